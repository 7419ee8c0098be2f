"""Eight noises for a waveform `[n_samples]`, and the short-time transforms that EAT's augmentation uses.

Source: EAT (arXiv 2204.11479) and its published code.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

# The amplitude of a coloured noise goes with frequency to this power.
COLOURS = {"white": 0.0, "blue": 0.5, "pink": -0.5, "red": -1.0, "violet": 1.0}
SINE_HZ, SINE_SPREAD_HZ = 50.0, 3.0
PHASE_NOISE = (0.01, 0.02)  # radians, the range of the largest turn


def add_noise(clip: Tensor, kind: str, snr_db: float, sample_rate: int, rng: np.random.Generator) -> Tensor:
    """`clip` with noise of one kind, at a power `snr_db` below its own: coloured, `uniform`, a low `sine`, or `phase`.

    Phase noise turns the phases of a short-time transform by up to 0.02 and knows no level.
    """
    if kind == "phase":
        n_fft, hop = short_transforms(sample_rate)[int(rng.integers(3))]
        return with_phase_noise(clip, n_fft, hop, rng.uniform(*PHASE_NOISE), rng)
    if kind == "sine":
        noise = low_sine(len(clip), sample_rate, rng)
    elif kind == "uniform":
        noise = rng.uniform(-np.sqrt(3), np.sqrt(3), len(clip))
    else:
        noise = coloured(len(clip), COLOURS[kind], rng)
    level = clip.square().mean().sqrt() * 10 ** (-snr_db / 20)
    return clip + level * torch.from_numpy(noise.astype(np.float32)).to(clip)


def coloured(size: int, power: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Normal noise whose amplitude goes with frequency to `power`, of mean 0 and mean square 1."""
    white = rng.standard_normal(size)
    if power == 0:
        return white
    bins = np.arange(1, size // 2 + 2)  # from 1: the mean has the lowest frequency's amplitude until it is taken out
    noise = np.fft.irfft(np.fft.rfft(white) * bins**power, n=size)
    noise -= noise.mean()
    result: NDArray[np.float64] = noise / max(float(np.sqrt(np.mean(noise**2))), 1e-12)
    return result


def low_sine(size: int, sample_rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A tone around 0 to 50 Hz at any phase, of mean square 1 over whole periods."""
    frequency = SINE_HZ * rng.random() + SINE_SPREAD_HZ * rng.standard_normal()
    phase = np.pi * rng.random()
    result: NDArray[np.float64] = np.sqrt(2) * np.sin(2 * np.pi * frequency * np.arange(size) / sample_rate + phase)
    return result


def with_phase_noise(clip: Tensor, n_fft: int, hop: int, most: float, rng: np.random.Generator) -> Tensor:
    """Every bin of a short-time transform turned by an angle uniform in 0 to `most` radians."""
    spectrum = short_transform(clip[None], n_fft, hop)
    angles = rng.random(tuple(spectrum.shape), dtype=np.float32) * np.float32(most)
    turned = spectrum * torch.exp(1j * torch.from_numpy(angles).to(clip.device))
    return inverse_transform(turned, len(clip), n_fft, hop)[0]


def short_transforms(sample_rate: int) -> tuple[tuple[int, int], ...]:
    """FFT size and hop of the three transforms to choose from; rates not published take the next lower one's."""
    if sample_rate >= 22_050:
        return (512, 128), (1024, 256), (2048, 1024)
    largest = 1024 if sample_rate >= 16_000 else 512
    return tuple((n_fft, n_fft // 4) for n_fft in (largest // 4, largest // 2, largest))


def short_transform(waves: Tensor, n_fft: int, hop: int, window: Tensor | None = None) -> Tensor:
    """`[B, n] -> [B, n_fft / 2 + 1, frames]`, centred, zeros around; a rectangular window, unless given."""
    whole = functional.pad(waves, (0, -waves.shape[1] % hop))  # the last frame then sits on the last sample
    return torch.stft(whole, n_fft, hop, window=_window(n_fft, window, waves), pad_mode="constant", return_complex=True)


def inverse_transform(spectrum: Tensor, size: int, n_fft: int, hop: int, window: Tensor | None = None) -> Tensor:
    """The first `size` samples that `spectrum` `[B, n_fft / 2 + 1, frames]` stands for, by overlap and add."""
    length = hop * (spectrum.shape[2] - 1)
    waves = torch.istft(spectrum, n_fft, hop, window=_window(n_fft, window, spectrum.real), length=length)
    return waves[:, :size]


def _window(n_fft: int, window: Tensor | None, like: Tensor) -> Tensor:
    return torch.ones(n_fft, dtype=like.dtype, device=like.device) if window is None else window.to(like)
