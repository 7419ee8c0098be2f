"""Labelled clips in memory, and the order in which an epoch sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class ClipArrays:
    """Labelled feature arrays of some clips, stored at one length.

    Attributes:
        features: `[n, 1, n_mels, n_frames of the stored clip]` in log units.
        labels: `[n]` class indices below `n_classes`.
        devices: recording device of every clip, None where unknown.
        lengths: `[n]` frames of every clip before it was padded to the longest; None: all are of one length.
        calibration: features `[m, 1, n_mels, frames]` of the calibration set, where int8 ranges are to come from one.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    n_classes: int
    devices: tuple[str | None, ...] = ()
    calibration: NDArray[np.float32] | None = None
    lengths: NDArray[np.int64] | None = None
    calibration_lengths: NDArray[np.int64] | None = None

    def lengths_of(self, clips: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """The lengths of some clips, None where all are of one length."""
        return None if self.lengths is None else self.lengths[clips]

    def __len__(self) -> int:
        return len(self.labels)


def batch_indices(n_clips: int, batch_size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """A permutation of the clips in batches of nearly equal size, at most `batch_size`: no tiny batch at the end."""
    return np.array_split(rng.permutation(n_clips), steps_per_epoch(n_clips, batch_size))


def steps_per_epoch(n_clips: int, batch_size: int) -> int:
    """Batches of one epoch."""
    return -(-n_clips // batch_size)


def one_hot(labels: NDArray[np.int64], n_classes: int) -> Tensor:
    """`[n]` class indices as float `[n, n_classes]`."""
    return functional.one_hot(torch.from_numpy(labels.astype(np.int64)), n_classes).float()
