"""Augmentation of waveforms that keeps the label: gain, sign, shift, masks, noise, one clip at a time.

A clip is `[n_samples]`, a batch `[B, 1, 1, n_samples]`. The operations take their numbers as arguments; `disturbed` and
`resampled_batch` draw them from a numpy generator, so that they are the same on every device. Mixing is `wave_mix`'s.
Source: EAT (Gazneli et al., "End-to-end audio strikes back", arXiv 2204.11479), section 3.3 and its published code,
as EAT-S with GMME pooling trains. Where that code differs from its text (a segment that lies in the first 0.2 s only,
pink noise with its mean added once more), this follows the text.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgeasc.specs import WaveAugmentSpec
from edgeasc.train.wave_noise import add_noise

FRACTIONS = 100  # a shift by part of a sample is a multiple of one over this
FILTER_ZEROS = 6  # zero crossings of the resampling filter on either side
ROLLOFF = 0.95  # of the lower Nyquist frequency passes


def disturbed(batch: Tensor, spec: WaveAugmentSpec, sample_rate: int, rng: np.random.Generator) -> Tensor:
    """Every clip of `batch` through the operations in an order of its own, each with `spec.probability`, then noise."""
    if spec.probability == 0:
        return batch
    clips = [_disturbed_clip(clip, spec, sample_rate, rng) for clip in batch.flatten(1)]
    return torch.stack(clips).view_as(batch)


def _disturbed_clip(clip: Tensor, spec: WaveAugmentSpec, sample_rate: int, rng: np.random.Generator) -> Tensor:
    operations = _operations(spec, sample_rate)
    for index in rng.permutation(len(operations)):
        if rng.random() < spec.probability:
            clip = operations[index](clip, rng)
    if spec.noise and rng.random() < spec.probability:
        clip = add_noise(clip, str(rng.choice(spec.noise)), spec.snr_db, sample_rate, rng)
    return clip


Operation = Callable[[Tensor, np.random.Generator], Tensor]


def _operations(spec: WaveAugmentSpec, sample_rate: int) -> list[Operation]:
    """What `spec` asks for, each with its draws."""
    low, high = spec.gain
    most, masked, segment = (
        round(seconds * sample_rate) for seconds in (spec.shift_seconds, spec.mask_seconds, spec.segment_seconds)
    )
    found: list[Operation] = []
    if low != high:
        found.append(lambda clip, rng: clip * rng.uniform(low, high))
    if spec.flip_sign:
        found.append(lambda clip, rng: -clip)
    if most > 0:
        found.append(lambda clip, rng: _shifted_at_random(clip, most, rng))
    if masked > 0:
        found.append(lambda clip, rng: masked_by_noise(clip, _start(clip, masked, rng), masked, rng))
    if segment > 0 and low != high:
        found.append(lambda clip, rng: scaled(clip, _start(clip, segment, rng), segment, rng.uniform(low, high)))
    if spec.rotate:
        found.append(lambda clip, rng: clip.roll(int(rng.integers(len(clip)))))
    return found


def _start(clip: Tensor, length: int, rng: np.random.Generator) -> int:
    """The first sample of a piece of `length` samples, anywhere within the clip."""
    return int(rng.integers(0, max(len(clip) - length, 0), endpoint=True))


def _shifted_at_random(clip: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    whole = int(rng.integers(-most, most, endpoint=True))
    return shifted(clip, whole, round(float(rng.uniform(-0.5, 0.5)) * FRACTIONS) / FRACTIONS)


def shifted(clip: Tensor, samples: int, fraction: float = 0.0) -> Tensor:
    """`clip` later by `samples` (earlier, where negative), zeros for what is missing; then later by `fraction` of one.

    The fraction turns the phases of the transform over the whole clip, which takes the clip for periodic.
    """
    size = len(clip)
    samples = max(-size, min(size, samples))
    moved = functional.pad(clip, (samples, -samples))  # a negative pad cuts
    if fraction == 0:
        return moved
    turn = -2j * np.pi * fraction * torch.fft.rfftfreq(size, dtype=torch.float64, device=clip.device)
    return torch.fft.irfft(torch.fft.rfft(moved) * torch.exp(turn).to(torch.complex64), n=size)


def masked_by_noise(clip: Tensor, start: int, length: int, rng: np.random.Generator) -> Tensor:
    """`length` samples from `start` replaced by normal noise of deviation 1e-6."""
    length = min(length, len(clip) - start)
    noise = rng.standard_normal(length, dtype=np.float32) * np.float32(1e-6)
    return torch.cat((clip[:start], torch.from_numpy(noise).to(clip), clip[start + length :]))


def scaled(clip: Tensor, start: int, length: int, factor: float) -> Tensor:
    """`length` samples from `start` made louder or softer by `factor`."""
    return torch.cat((clip[:start], clip[start : start + length] * factor, clip[start + length :]))


def resampled_batch(batch: Tensor, spec: WaveAugmentSpec, rng: np.random.Generator) -> Tensor:
    """With `spec.resample_probability` the batch at one of the rates `spec.resample`, cut or padded at its end."""
    if not spec.resample or rng.random() >= spec.resample_probability:
        return batch
    factor = float(rng.choice(spec.resample))
    size = batch.shape[-1]
    result = resampled(batch, factor)[..., :size]
    return functional.pad(result, (0, size - result.shape[-1]))


def resampled(batch: Tensor, factor: float) -> Tensor:
    """`batch` at `factor` times its rate: `[..., n] -> [..., ceil(n * factor)]`, by a Hann-windowed sinc.

    Heard at the old rate, a factor above 1 is slower and lower. Frequencies above the lower of both Nyquist
    frequencies are filtered out.
    """
    ratio = Fraction(factor).limit_denominator(100)
    if ratio == 1:
        return batch
    kernels, reach = _sinc_bank(ratio)
    flat = batch.reshape(-1, 1, batch.shape[-1])
    wanted = -(-batch.shape[-1] * ratio.numerator // ratio.denominator)
    padded = functional.pad(flat, (reach, reach + ratio.denominator))
    phases = functional.conv1d(padded, kernels.to(flat), stride=ratio.denominator)  # [*, numerator, n / denominator]
    return phases.transpose(1, 2).flatten(1)[:, :wanted].reshape(*batch.shape[:-1], wanted)


@lru_cache(maxsize=8)
def _sinc_bank(ratio: Fraction) -> tuple[Tensor, int]:
    """Filters `[numerator, 1, taps]`, one for each place of a new sample between old ones, and their reach in samples.

    Phase p yields new sample `numerator * k + p`, which lies at old time `(numerator * k + p) / ratio`.
    """
    cutoff = min(1.0, float(ratio)) * ROLLOFF  # of the old Nyquist frequency
    reach = int(np.ceil(FILTER_ZEROS / cutoff))
    places = np.arange(-reach, reach + ratio.denominator + 1)[None] - np.arange(ratio.numerator)[:, None] / float(ratio)
    window = np.where(
        np.abs(places) * cutoff < FILTER_ZEROS, np.cos(np.pi * places * cutoff / FILTER_ZEROS / 2) ** 2, 0
    )
    kernels = cutoff * np.sinc(cutoff * places) * window
    return torch.from_numpy(kernels[:, None].astype(np.float32)), reach
