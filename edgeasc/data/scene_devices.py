"""The recording devices of the built-in scenes, as numbers that do not change.

Device `a` is the reference, a good binaural-class recorder. `b` and `c` stand for consumer devices, `s1` to `s6`
for simulated ones in the manner of the TAU data sets: an impulse response (here a smooth magnitude curve and early
reflections of the case), band limits, dynamic range compression and a noise floor. `s4`, `s5` and `s6` are heard
only in the test split, and are no mere mixtures of the others: their resonances and band limits lie elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.signal import lfilter

from edgeasc.data.scene_sounds import SAMPLE_RATE, Signal, band, frequencies, noise, peak


@dataclass(frozen=True)
class Device:
    """One recording device."""

    name: str
    low_cut: float  # Hz
    high_cut: float  # Hz
    tilt: float  # dB per octave around 1 kHz
    resonances: tuple[tuple[float, float, float], ...]  # centre in Hz, quality, gain in dB
    reflection: tuple[float, float]  # delay in ms and level of the strongest echo inside the case
    threshold_db: float  # dBFS above which compression sets in
    ratio: float  # of compression; 1 is none
    noise_db: float  # dBFS, root mean square of the noise floor
    noise_slope: float  # dB per octave


DEVICES = (
    Device("a", 25, 7800, 0.0, (), (0.0, 0.0), 0.0, 1.0, -80, -1.0),
    Device("b", 90, 7200, 0.6, ((3200, 1.5, 5.0), (450, 2.0, -3.0)), (0.35, 0.25), -30, 2.0, -62, -2.0),
    Device("c", 60, 5600, -0.8, ((180, 1.2, 5.0), (2200, 2.0, -4.0)), (0.6, 0.2), -28, 1.6, -64, -3.0),
    Device("s1", 150, 7000, 1.2, ((1100, 2.0, 6.0), (5200, 2.0, -5.0)), (0.5, 0.4), -26, 1.8, -58, 0.0),
    Device("s2", 70, 4800, -1.5, ((700, 1.5, -5.0), (2800, 3.0, 6.0)), (0.9, 0.3), -32, 2.5, -60, -1.0),
    Device("s3", 220, 6400, 0.5, ((420, 3.0, 6.0), (3800, 1.5, 4.0)), (0.25, 0.45), -24, 1.5, -56, -2.0),
    Device("s4", 320, 6000, 2.0, ((1700, 3.0, 8.0), (620, 2.5, -6.0)), (0.75, 0.45), -30, 2.2, -55, 1.0),
    Device("s5", 110, 3900, -2.2, ((260, 2.0, 7.0), (1400, 3.0, -6.0)), (1.2, 0.4), -34, 3.0, -57, -3.0),
    Device(
        "s6", 180, 5200, 1.0, ((900, 4.0, -8.0), (2500, 2.5, 8.0), (4600, 3.0, -6.0)), (0.4, 0.5), -28, 2.0, -52, 0.0
    ),
)
BY_NAME = {device.name: device for device in DEVICES}


def recorded(sound: Signal, device: Device, rng: Generator) -> Signal:
    """`sound` [n] at SAMPLE_RATE, n even, as `device` hears it; `rng` draws the noise of its electronics.

    The filter is circular: what rings beyond one end comes in at the other.
    """
    heard = np.asarray(irfft(rfft(sound) * _response(device.name, sound.size), sound.size), np.float32)
    heard = _compressed(heard, device)
    hiss = band(30, 7500, device.noise_slope, frequencies(sound.size))
    floor = np.float32(10 ** (device.noise_db / 20)) * noise(rng, hiss)
    return np.clip(heard + floor, -1.0, 1.0).astype(np.float32)


@lru_cache(maxsize=32)  # a few lengths of clips
def _response(name: str, n_samples: int) -> NDArray[np.complex64]:
    """Complex response of a device over the spectrum of `n_samples`: magnitude times the comb of its reflection."""
    device, grid = BY_NAME[name], frequencies(n_samples)
    magnitude = band(device.low_cut, device.high_cut, device.tilt, grid)
    for centre, quality, gain_db in device.resonances:
        magnitude = magnitude * 10 ** (gain_db / 20 * peak(centre, quality, grid))
    delay, level = device.reflection
    echo = 1 + level * np.exp(-2j * np.pi * grid * delay / 1000)
    return (magnitude * echo).astype(np.complex64)


def _compressed(signal: Signal, device: Device) -> Signal:
    """Dynamic range compression with a 20 ms follower and make-up gain for a signal at -20 dBFS."""
    if device.ratio == 1.0:
        return signal
    pole = np.exp(-1 / (0.02 * SAMPLE_RATE))
    power = lfilter([1 - pole], [1, -pole], np.square(signal)).astype(np.float32)
    over = np.maximum(10 * np.log10(power + 1e-12) - device.threshold_db, 0.0)  # dB above the threshold
    slope = 1 / device.ratio - 1
    make_up = -slope * max(0.0, -20.0 - device.threshold_db)
    return np.asarray(signal * 10 ** ((slope * over + make_up) / 20), np.float32)
