"""How the features of a stored clip become network inputs of a fixed number of frames.

Whole: the clip is cut at its end, or padded there with digital silence. Crops: consecutive frames, drawn at random in
training, evenly spaced from the first to the last possible start in evaluation. Clips of one data set may differ in
length: they are stored as one array, padded to the longest, and crops are taken from the sound, not from the padding.
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


def crop_starts(lengths: NDArray[np.int64] | None, n: int, stored: int, n_frames: int, crops: int) -> NDArray[np.intp]:
    """First frames [n, crops] of evenly spaced windows in `n` clips of `lengths` frames, all of `stored` where None."""
    if lengths is None:
        return np.tile(even_starts(stored, n_frames, crops), (n, 1))
    return np.stack([even_starts(int(length), n_frames, crops) for length in lengths])


def cut(features: NDArray[np.float32], starts: NDArray[np.intp], n_frames: int, silence: float) -> NDArray[np.float32]:
    """One window [n, ..., n_frames] of each clip [n, ..., any] from its own start, silence where the clip ends."""
    if len(set(starts.tolist())) == 1:
        return fit_length(features[..., starts[0] :], n_frames, silence)
    views = [fit_length(clip[..., start:], n_frames, silence) for clip, start in zip(features, starts, strict=True)]
    return np.stack(views)


def clip_inputs(
    recipe: Recipe,
    features: NDArray[np.float32],
    rng: Generator | None = None,
    crops: int | None = None,
    lengths: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Network inputs [n, crops, 1, n_mels, recipe.n_frames] of stored clips `features` [n, 1, n_mels, any].

    Args:
        recipe: its `data` section decides. With `rng` one training input for each clip (a random crop, or the
            whole clip); without, the evaluation's evenly spaced crops.
        features: log-mel spectrograms in log units.
        rng: draws the starts of random crops.
        crops: another number of evaluation crops than the recipe's `test_crops`.
        lengths: frames [n] of each clip before it was padded to be stored; None: all as stored.
    """
    n_frames, silence, stored = recipe.n_frames, recipe.features.silence, features.shape[-1]
    if rng is not None:
        starts = training_starts(recipe, len(features), stored, rng, lengths)
        return cut(features, starts, n_frames, silence)[:, None]
    count = crops or recipe.data.test_crops
    places = crop_starts(lengths, len(features), stored, n_frames, count)
    return np.stack([cut(features, places[:, crop], n_frames, silence) for crop in range(count)], axis=1)


def training_starts(
    recipe: Recipe, n: int, stored: int, rng: Generator, lengths: NDArray[np.int64] | None = None
) -> NDArray[np.intp]:
    """The first frame of each of `n` training inputs: of random crops anywhere from the first to the last that the
    clip's own sound fills, of whole clips 0."""
    if recipe.data.crop == "whole":
        return np.zeros(n, np.intp)
    spare = max(stored - recipe.n_frames, 0) if lengths is None else np.maximum(lengths - recipe.n_frames, 0)
    drawn: NDArray[np.int64] = rng.integers(0, spare, size=n, dtype=np.int64, endpoint=True)
    return drawn.astype(np.intp)
