"""Clips in memory, and how a stored clip becomes network inputs: whole, a random crop, or evenly spaced crops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from edgeasc.train.augment import take_frames


@dataclass(frozen=True)
class ClipArrays:
    """Labelled feature arrays of some clips, all of one length.

    Attributes:
        features: `[n, 1, n_mels, n_frames of the stored clip]` in log units.
        labels: `[n]` class indices below `n_classes`.
        devices: recording device of every clip, None where unknown.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    n_classes: int
    devices: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def batch_indices(n_clips: int, batch_size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """A permutation of the clips in batches of nearly equal size, at most `batch_size`: no tiny batch at the end."""
    return np.array_split(rng.permutation(n_clips), steps_per_epoch(n_clips, batch_size))


def steps_per_epoch(n_clips: int, batch_size: int) -> int:
    """Batches of one epoch."""
    return -(-n_clips // batch_size)


def fit_length(features: Tensor, n_frames: int, silence: float) -> Tensor:
    """The first `n_frames` frames, or the clip with silence after it."""
    missing = n_frames - features.shape[3]
    return functional.pad(features, (0, missing), value=silence) if missing > 0 else features[..., :n_frames]


def random_crop(features: Tensor, n_frames: int, silence: float, rng: np.random.Generator) -> Tensor:
    """`n_frames` consecutive frames of every clip from a uniformly drawn start; a shorter clip is padded."""
    spare = features.shape[3] - n_frames
    if spare <= 0:
        return fit_length(features, n_frames, silence)
    start = rng.integers(0, spare, size=len(features), endpoint=True)
    return take_frames(features, start[:, None] + np.arange(n_frames)[None])


def even_crops(features: Tensor, n_frames: int, crops: int, silence: float) -> Iterator[Tensor]:
    """`crops` views of `n_frames` frames, first to last possible start; a single one is the clip cut or padded."""
    spare = max(features.shape[3] - n_frames, 0)
    starts = np.round(np.linspace(0, spare, crops)).astype(int) if crops > 1 else [0]
    for start in starts:
        yield fit_length(features[..., start:], n_frames, silence)


def one_hot(labels: NDArray[np.int64], n_classes: int) -> Tensor:
    """`[n]` class indices as float `[n, n_classes]`."""
    return functional.one_hot(torch.from_numpy(labels.astype(np.int64)), n_classes).float()
