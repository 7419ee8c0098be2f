"""How the features of a stored clip become network inputs of a fixed number of frames.

Whole: the clip is cut at its end, or padded there with digital silence. Crops: consecutive frames, drawn at random in
training, evenly spaced from the first to the last possible start in evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgeasc.specs import Recipe

MAX_STORED_SECONDS = 30.0  # of a clip kept in memory; what follows is cut


def stored_frames(lengths: Iterable[int], recipe: Recipe) -> int:
    """Frames to store for clips of `lengths` frames: the longest clip, within what one input needs and 30 s."""
    spec = recipe.features
    most = max(recipe.n_frames, spec.n_frames(int(MAX_STORED_SECONDS * spec.sample_rate)))
    return min(max(lengths, default=recipe.n_frames), most)


def fit_length(features: NDArray[np.float32], n_frames: int, silence: float) -> NDArray[np.float32]:
    """The first `n_frames` frames of `features` [..., n_mels, any], or all of them with `silence` after them."""
    missing = n_frames - features.shape[-1]
    if missing <= 0:
        return features[..., :n_frames]
    widths = [(0, 0)] * (features.ndim - 1) + [(0, missing)]
    return np.pad(features, widths, constant_values=np.float32(silence))


def even_starts(stored: int, n_frames: int, crops: int) -> NDArray[np.intp]:
    """First frames of `crops` windows, from the first to the last possible start; a single one starts at 0."""
    spare = max(stored - n_frames, 0)
    return np.round(np.linspace(0, spare, crops)).astype(np.intp) if crops > 1 else np.zeros(1, np.intp)


def clip_inputs(
    recipe: Recipe, features: NDArray[np.float32], rng: Generator | None = None, crops: int | None = None
) -> NDArray[np.float32]:
    """Network inputs [n, crops, 1, n_mels, recipe.n_frames] of stored clips `features` [n, 1, n_mels, any].

    Args:
        recipe: its `data` section decides. With `rng` one training input for each clip (a random crop, or the
            whole clip); without, the evaluation's evenly spaced crops.
        features: log-mel spectrograms in log units.
        rng: draws the starts of random crops.
        crops: another number of evaluation crops than the recipe's `test_crops`.
    """
    n_frames, silence = recipe.n_frames, recipe.features.silence
    if rng is not None and recipe.data.crop == "random":
        spare = max(features.shape[-1] - n_frames, 0)
        starts = rng.integers(0, spare, size=len(features), endpoint=True)
        views = [clip[..., start:] for clip, start in zip(features, starts, strict=True)]
        return np.stack([fit_length(view, n_frames, silence) for view in views])[:, None]
    count = 1 if rng is not None else crops or recipe.data.test_crops
    windows = [
        fit_length(features[..., start:], n_frames, silence)
        for start in even_starts(features.shape[-1], n_frames, count)
    ]
    return np.stack(windows, axis=1)
