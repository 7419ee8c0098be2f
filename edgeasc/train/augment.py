"""Augmentation of features, as pure functions of a batch and a random generator.

Shapes: features `[B, 1, n_mels, n_frames]` in log units, or waveforms `[B, 1, 1, n_samples]`; targets `[B, n_classes]`
class probabilities.
Draws come from a numpy generator (which knows Beta), so that they are the same on every device.
Source of roll, Mixup and SpecAugment: QTI DCASE 2021 report (arXiv 2206.13909), section 3.1.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgeasc.specs import AugmentSpec, FrontEndSpec, Waveform


def augment(
    features: Tensor, targets: Tensor, augment: AugmentSpec, spec: FrontEndSpec, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Roll, gain, Mixup and SpecAugment, in this order, each as far as `augment` asks for it; of waveforms masks hide
    time alone, in silence."""
    features = roll(features, round(augment.roll_seconds * spec.sample_rate / spec.hop_length), rng)
    features = gain(features, augment.gain_db, None if isinstance(spec, Waveform) else spec.log_floor, rng)
    if augment.place == "norm":
        return features, targets  # the rest is done behind it
    features, targets = mix(features, targets, augment, rng)
    if isinstance(spec, Waveform):
        return mask(features, 3, augment.time_masks, augment.time_mask_width, rng, spec.silence), targets
    return masks(features, augment, rng), targets


def augment_normed(
    normed: Tensor, targets: Tensor, augment: AugmentSpec, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """SpecAugment in zeros and then Mixup, of features `[B, 1, n_mels, n_frames]` behind a norm over the mels.

    Source: Pellegrini, Interspeech 2021, section 3.3, in the order of its published code.
    """
    return mix(masks(normed, augment, rng, 0.0), targets, augment, rng)


def mix(features: Tensor, targets: Tensor, augment: AugmentSpec, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mixup as `augment` asks for it; of pairs, `[2 B, ...]` becomes `[B, ...]`."""
    if augment.draws == 2:
        return mixup_pairs(features, targets, augment.mixup_alpha, rng)
    return mixup(features, targets, augment.mixup_alpha, rng)


def masks(features: Tensor, augment: AugmentSpec, rng: np.random.Generator, value: float | None = None) -> Tensor:
    """Stripes over the mels, then over time; see `mask`."""
    same = augment.masks_per == "batch"
    features = mask(features, 2, augment.freq_masks, augment.freq_mask_width, rng, value, same)
    return mask(features, 3, augment.time_masks, augment.time_mask_width, rng, value, same)


def is_random(augment: AugmentSpec) -> bool:
    """Whether any augmentation is on, so that a clip never sounds the same twice."""
    masks = augment.freq_masks * augment.freq_mask_width + augment.time_masks * augment.time_mask_width
    return augment.roll_seconds > 0 or augment.mixup_alpha > 0 or augment.gain_db > 0 or masks > 0


def roll(features: Tensor, max_frames: int, rng: np.random.Generator) -> Tensor:
    """Every clip shifted circularly in time by a whole number of frames, uniform in +- `max_frames`."""
    if max_frames == 0:
        return features
    shifts = rng.integers(-max_frames, max_frames, size=len(features), endpoint=True)
    n_frames = features.shape[3]
    index = (np.arange(n_frames)[None] - shifts[:, None]) % n_frames
    where = torch.from_numpy(index).to(features.device).view(-1, 1, 1, n_frames)
    return features.gather(3, where.expand_as(features))


def gain(features: Tensor, max_db: float, log_floor: float | None, rng: np.random.Generator) -> Tensor:
    """Every clip louder or softer by a level uniform in +- `max_db`, floor kept: as if the waveform had been scaled.

    Without a floor the features are the waveform.
    """
    if max_db == 0:
        return features
    power = 10.0 ** (rng.uniform(-max_db, max_db, size=len(features)) / 10)
    factor = torch.from_numpy(power.astype(np.float32)).to(features.device).view(-1, 1, 1, 1)
    if log_floor is None:
        return features * factor.sqrt()
    return ((features.exp() - log_floor).clamp(min=0) * factor + log_floor).log()


def mixup(features: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Every clip mixed with another of the batch, features and targets alike, by its own Beta(alpha, alpha) draw."""
    if alpha == 0:
        return features, targets
    other = torch.from_numpy(rng.permutation(len(features))).to(features.device)
    part = torch.from_numpy(rng.beta(alpha, alpha, size=len(features)).astype(np.float32)).to(features.device)
    mixed = torch.lerp(features[other], features, part.view(-1, 1, 1, 1))
    return mixed, torch.lerp(targets[other], targets, part.view(-1, 1))


def mixup_pairs(features: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Neighbours (0, 1), (2, 3), .. mixed, `[2 B, ...] -> [B, ...]`, each pair by its own Beta(alpha, alpha) draw.

    Source: PANNs (Kong et al., arXiv 1912.10211), section IV, as the published code does it.
    """
    part = torch.from_numpy(rng.beta(alpha, alpha, size=len(features) // 2).astype(np.float32)).to(features.device)
    mixed = torch.lerp(features[1::2], features[::2], part.view(-1, 1, 1, 1))
    return mixed, torch.lerp(targets[1::2], targets[::2], part.view(-1, 1))


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
    hidden = torch.from_numpy(hit).to(features.device).view(shape)
    fill = features.mean((1, 2, 3), keepdim=True) if value is None else features.new_tensor(value)
    return torch.where(hidden, fill, features)
