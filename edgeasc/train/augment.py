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
    features, targets = mixup(features, targets, augment.mixup_alpha, rng)
    if isinstance(spec, Waveform):
        return mask(features, 3, augment.time_masks, augment.time_mask_width, rng, spec.silence), targets
    features = mask(features, 2, augment.freq_masks, augment.freq_mask_width, rng)
    return mask(features, 3, augment.time_masks, augment.time_mask_width, rng), targets


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


def mask(
    features: Tensor, axis: int, masks: int, max_width: int, rng: np.random.Generator, value: float | None = None
) -> Tensor:
    """SpecAugment along one axis: `masks` stripes per clip, width an integer uniform in 0..`max_width`.

    Masked values become `value`, or the clip's mean; a stripe never leaves the spectrogram.
    """
    if masks == 0 or max_width == 0:
        return features
    size = features.shape[axis]
    width = rng.integers(0, min(max_width, size), size=(len(features), masks, 1), endpoint=True)
    start = np.floor(rng.random(width.shape) * (size - width + 1)).astype(np.int64)
    places = np.arange(size)[None, None]
    hit = ((places >= start) & (places < start + width)).any(1)  # [B, size]
    shape = [len(features), 1, 1, 1]
    shape[axis] = size
    hidden = torch.from_numpy(hit).to(features.device).view(shape)
    fill = features.mean((1, 2, 3), keepdim=True) if value is None else features.new_tensor(value)
    return torch.where(hidden, fill, features)
