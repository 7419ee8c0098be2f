"""Augmentation of features, as pure functions of a batch and a random generator.

Shapes: features `[B, 1, n_mels, n_frames]` in log units, or waveforms `[B, 1, 1, n_samples]`; targets `[B, n_classes]`
class probabilities.
Draws come from a numpy generator (which knows Beta), so that they are the same on every device.
Source of roll, Mixup and SpecAugment: QTI DCASE 2021 report (arXiv 2206.13909), section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeasc.specs import AugmentSpec, FrontEndSpec, Waveform


@dataclass(frozen=True)
class Mixing:
    """Mixup of a batch: clips `first` [B] with a share [B] each, clips `second` [B] with the rest."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: NDArray[np.float32]

    def __call__(self, batch: Tensor) -> Tensor:
        """`[n, ...] -> [B, ...]`, features and targets alike."""
        first, second, share = (torch.from_numpy(a).to(batch.device) for a in (self.first, self.second, self.share))
        part = share.view(-1, *(1,) * (batch.ndim - 1)).to(batch.dtype)  # behind a norm, features may be of 16 bits
        return torch.lerp(batch[second], batch[first], part)


@dataclass(frozen=True)
class Draw:
    """What chance decided for the sound of a batch, in units that every front end can follow. None: not asked for.

    Attributes:
        later: seconds [B] that a clip is shifted by, circularly. gain: change of level [B] in dB.
    """

    later: NDArray[np.float64] | None = None
    gain: NDArray[np.float64] | None = None
    mixing: Mixing | None = None


def draw(n: int, augment: AugmentSpec, spec: FrontEndSpec, rng: np.random.Generator) -> Draw:
    """Shifts by whole frames of `spec`, levels, and partners for `n` clips, each as far as `augment` asks for it."""
    most = round(augment.roll_seconds * spec.sample_rate / spec.hop_length)
    frames = rng.integers(-most, most, size=n, endpoint=True) if most else None
    gain = rng.uniform(-augment.gain_db, augment.gain_db, size=n) if augment.gain_db else None
    mixing = draw_mixing(n, augment, rng) if augment.place == "input" else None
    return Draw(None if frames is None else frames * spec.hop_length / spec.sample_rate, gain, mixing)


def draw_mixing(n: int, augment: AugmentSpec, rng: np.random.Generator) -> Mixing | None:
    """Partners and shares, Beta(alpha, alpha): every clip of the batch with another, or neighbours (0, 1), (2, 3), ..

    Source of the neighbours: PANNs (Kong et al., arXiv 1912.10211), section IV, as the published code does it.
    """
    alpha, places = augment.mixup_alpha, np.arange(n)
    if alpha == 0:
        return None
    pairs = augment.draws == 2
    first, second = (places[::2], places[1::2]) if pairs else (places, rng.permutation(n))
    return Mixing(first, second, rng.beta(alpha, alpha, size=len(first)).astype(np.float32))


def augment(
    features: Tensor, targets: Tensor, augment: AugmentSpec, spec: FrontEndSpec, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Draw]:
    """Roll, gain, Mixup and SpecAugment, in this order, each as far as `augment` asks for it; of waveforms masks hide
    time alone, in silence."""
    drawn = draw(len(features), augment, spec, rng)
    targets = targets if drawn.mixing is None else drawn.mixing(targets)
    return hidden(follow(features, drawn, spec), augment, spec, rng), targets, drawn


def follow(features: Tensor, drawn: Draw, spec: FrontEndSpec) -> Tensor:
    """`features` of `spec` rolled, made louder or softer, and mixed, as `drawn` says."""
    if drawn.later is not None:
        features = roll(features, np.round(drawn.later * spec.sample_rate / spec.hop_length).astype(np.int64))
    if drawn.gain is not None:
        features = gain(features, drawn.gain, None if isinstance(spec, Waveform) else spec.log_floor)
    return features if drawn.mixing is None else drawn.mixing(features)


def hidden(features: Tensor, augment: AugmentSpec, spec: FrontEndSpec, rng: np.random.Generator) -> Tensor:
    """SpecAugment of a network's inputs; not where it is done behind the norm."""
    if augment.place == "norm":
        return features
    if isinstance(spec, Waveform):
        same = augment.masks_per == "batch"
        return mask(features, 3, augment.time_masks, augment.time_mask_width, rng, spec.silence, same)
    return masks(features, augment, rng)


def augment_normed(
    normed: Tensor, targets: Tensor, augment: AugmentSpec, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """SpecAugment in zeros and then Mixup, of features `[B, 1, n_mels, n_frames]` behind a norm over the mels.

    Source: Pellegrini, Interspeech 2021, section 3.3, in the order of its published code.
    """
    return mix(masks(normed, augment, rng, 0.0), targets, augment, rng)


def mix(features: Tensor, targets: Tensor, augment: AugmentSpec, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mixup as `augment` asks for it; of pairs, `[2 B, ...]` becomes `[B, ...]`."""
    mixing = draw_mixing(len(features), augment, rng)
    return (features, targets) if mixing is None else (mixing(features), mixing(targets))


def masks(features: Tensor, augment: AugmentSpec, rng: np.random.Generator, value: float | None = None) -> Tensor:
    """Stripes over the mels, then over time; see `mask`."""
    same = augment.masks_per == "batch"
    features = mask(features, 2, augment.freq_masks, augment.freq_mask_width, rng, value, same)
    return mask(features, 3, augment.time_masks, augment.time_mask_width, rng, value, same)


def is_random(augment: AugmentSpec) -> bool:
    """Whether any augmentation is on, so that a clip never sounds the same twice."""
    masks = augment.freq_masks * augment.freq_mask_width + augment.time_masks * augment.time_mask_width
    return augment.roll_seconds > 0 or augment.mixup_alpha > 0 or augment.gain_db > 0 or masks > 0


def roll(features: Tensor, shifts: NDArray[np.int64]) -> Tensor:
    """Every clip shifted circularly in time by its number of frames [B], later where it is positive."""
    n_frames = features.shape[3]
    index = (np.arange(n_frames)[None] - shifts[:, None]) % n_frames
    where = torch.from_numpy(index).to(features.device).view(-1, 1, 1, n_frames)
    return features.gather(3, where.expand_as(features))


def gain(features: Tensor, levels: NDArray[np.float64], log_floor: float | None) -> Tensor:
    """Every clip louder or softer by its level [B] in dB, floor kept: as if the waveform had been scaled.

    Without a floor the features are the waveform.
    """
    power = 10.0 ** (levels / 10)
    factor = torch.from_numpy(power.astype(np.float32)).to(features.device).view(-1, 1, 1, 1)
    if log_floor is None:
        return features * factor.sqrt()
    return ((features.exp() - log_floor).clamp(min=0) * factor + log_floor).log()


def mask(
    features: Tensor,
    axis: int,
    masks: int,
    max_width: int,
    rng: np.random.Generator,
    value: float | None = None,
    same: bool = False,
) -> Tensor:
    """SpecAugment along one axis: `masks` stripes per clip, width an integer uniform in 0..`max_width`.

    Masked values become `value`, or the clip's mean; a stripe never leaves the spectrogram. `same`: one draw of
    stripes for the whole batch.
    """
    if masks == 0 or max_width == 0:
        return features
    size, drawn = features.shape[axis], 1 if same else len(features)
    width = rng.integers(0, min(max_width, size), size=(drawn, masks, 1), endpoint=True)
    start = np.floor(rng.random(width.shape) * (size - width + 1)).astype(np.int64)
    places = np.arange(size)[None, None]
    hit = ((places >= start) & (places < start + width)).any(1)  # [B, size], or [1, size]
    shape = [drawn, 1, 1, 1]
    shape[axis] = size
    striped = torch.from_numpy(hit).to(features.device).view(shape)
    fill = features.mean((1, 2, 3), keepdim=True) if value is None else features.new_tensor(value)
    return torch.where(striped, fill, features)
