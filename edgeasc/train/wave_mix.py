"""Augmentation of waveforms that mixes two clips and their labels.

Shapes: a batch `[B, 1, 1, n_samples]`, targets `[B, n_classes]` of class probabilities. Every function takes the
partner of each clip `[B]` and what it draws for each clip, and gives the mixed batch and the share of the first clip;
`mixed_batch` draws them from a numpy generator and makes the targets.
Source: EAT (arXiv 2204.11479) and its published code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeasc.specs import WaveAugmentSpec
from edgeasc.train.wave_augment import disturbed, resampled_batch
from edgeasc.train.wave_noise import inverse_transform, short_transform, short_transforms

SECOND_COUNTS_BELOW = 0.9  # share of the first clip at which the second one's label is dropped
QUIETEST_POWER = 1e-5


@dataclass(frozen=True)
class Mixed:
    """A batch after augmentation; `both` says that targets hold two labels at 1, for binary cross-entropy."""

    inputs: Tensor
    targets: Tensor
    both: bool = False


def augment_waves(
    batch: Tensor, targets: Tensor, spec: WaveAugmentSpec, sample_rate: int, rng: np.random.Generator, epoch: int
) -> Mixed:
    """Disturbed clips, now and then the batch at another rate, then mixes: all that `spec` asks for in this epoch."""
    waves = resampled_batch(disturbed(batch, spec, sample_rate, rng), spec, rng)
    return mixed_batch(waves, targets, spec, sample_rate, rng, epoch)


def mixed_batch(
    batch: Tensor, targets: Tensor, spec: WaveAugmentSpec, sample_rate: int, rng: np.random.Generator, epoch: int
) -> Mixed:
    """One of the mixes of `spec` for the batch, with `spec.mix_probability`, from epoch `mix_after` (from 0) on."""
    if not spec.mixes or epoch < spec.mix_after or rng.random() >= spec.mix_probability:
        return Mixed(batch, targets)
    size = len(batch)
    partner, draw, tail = rng.permutation(size), rng.random(size, dtype=np.float32), rng.random(size) < 0.5
    n_fft, hop = short_transforms(sample_rate)[int(rng.integers(3))]
    kind = str(rng.choice(spec.mixes))
    if kind == "mixup":
        inputs, share = mixup(batch, partner, 0.1 + 0.9 * draw)
    elif kind == "timemix":
        inputs, share = timemix(batch, partner, 0.5 + 0.5 * draw, tail)
    elif kind == "freqmix":
        inputs, share = freqmix(batch, partner, 0.5 + 0.5 * draw, tail, n_fft, hop)
    else:
        inputs, share = phasemix(batch, partner, draw, n_fft, hop)
    return Mixed(inputs, both_labels(targets, partner, share), both=True)


def both_labels(targets: Tensor, partner: NDArray[np.int64], share: Tensor) -> Tensor:
    """`min(1, target + partner's target)`, the latter only where the first clip's share is below 0.9."""
    second = targets[torch.from_numpy(partner).to(targets.device)]
    return (targets + second * (share.view(-1, 1) < SECOND_COUNTS_BELOW)).clamp(max=1)


def mixup(batch: Tensor, partner: NDArray[np.int64], share: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Sums of two clips whose shares make up for their levels, at about the power of one.

    With levels G and G' in dB, `p = 1 / (1 + 10^((G - G') / 20) (1 - share) / share)`; the result is
    `(p x + (1 - p) x') / sqrt(p^2 + (1 - p)^2)`, and p is the share. Source: Tokozume et al., arXiv 1711.10282.
    """
    other = torch.from_numpy(partner).to(batch.device)
    level = batch.square().mean(3, keepdim=True).clamp(min=QUIETEST_POWER).sqrt()
    wanted = torch.from_numpy(share).to(batch).view(-1, 1, 1, 1)
    p = 1 / (1 + level / level[other] * (1 - wanted) / wanted)
    mixed = (p * batch + (1 - p) * batch[other]) / torch.sqrt(p**2 + (1 - p) ** 2)
    return mixed, p.flatten()


def timemix(
    batch: Tensor, partner: NDArray[np.int64], share: NDArray[np.float32], tail: NDArray[np.bool_]
) -> tuple[Tensor, Tensor]:
    """The end of a clip (its beginning, where `tail` is false) replaced by the partner's, `1 - share` of its length."""
    theirs = _replaced(batch.shape[3], share, tail)[:, None, None]
    other = batch[torch.from_numpy(partner).to(batch.device)]
    return torch.where(torch.from_numpy(theirs).to(batch.device), other, batch), torch.from_numpy(share).to(batch)


def freqmix(
    batch: Tensor,
    partner: NDArray[np.int64],
    share: NDArray[np.float32],
    tail: NDArray[np.bool_],
    n_fft: int,
    hop: int,
) -> tuple[Tensor, Tensor]:
    """The upper bins of a short-time transform (the lower, where `tail` is false) replaced, `1 - share` of them all."""
    window = torch.hann_window(n_fft, device=batch.device)
    spectrum = short_transform(batch.flatten(1), n_fft, hop, window)
    theirs = torch.from_numpy(_replaced(spectrum.shape[1], share, tail)[:, :, None]).to(batch.device)
    spectrum = torch.where(theirs, spectrum[torch.from_numpy(partner).to(batch.device)], spectrum)
    mixed = inverse_transform(spectrum, batch.shape[3], n_fft, hop, window)
    return mixed.view_as(batch), torch.from_numpy(share).to(batch)


def phasemix(
    batch: Tensor, partner: NDArray[np.int64], part: NDArray[np.float32], n_fft: int, hop: int
) -> tuple[Tensor, Tensor]:
    """A clip's magnitudes with phases `part` its own and `1 - part` the partner's; its share is `(1 + part) / 2`."""
    spectrum = short_transform(batch.flatten(1), n_fft, hop)
    angles = spectrum.angle()
    wanted = torch.from_numpy(part).to(batch)
    phases = torch.lerp(angles[torch.from_numpy(partner).to(batch.device)], angles, wanted.view(-1, 1, 1))
    mixed = inverse_transform(torch.polar(spectrum.abs(), phases), batch.shape[3], n_fft, hop)
    return mixed.view_as(batch), 0.5 + 0.5 * wanted


def _replaced(size: int, share: NDArray[np.float32], tail: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`[B, size]`: the last (or first) `floor(size * (1 - share))` places of each row."""
    counts = np.floor(size * (1 - share.astype(np.float64))).astype(np.int64)[:, None]
    places = np.arange(size)[None]
    return np.where(tail[:, None], places >= size - counts, places < counts)
