"""The sounds that the built-in scenes are made of: noise beds, buzzes, events.

Every function draws twice. `place` decides what belongs to a recording (which engine, which birds) and is the same
generator state for each segment of it; `moment` decides what happens in this segment. All return float32
[N_SAMPLES] at SAMPLE_RATE; levels are set by the caller. Ranges are textbook ones: syllables at 4 Hz, voices at 90
to 240 Hz with formants near 0.5, 1.5 and 2.5 kHz, walking at 1.5 to 2.2 steps a second, firing frequencies of 25
to 90 Hz, tyre noise around 1 kHz, bird song at 2 to 7 kHz.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

SAMPLE_RATE = 16_000  # Hz
SECONDS = 2
N_SAMPLES = SAMPLE_RATE * SECONDS

Signal = NDArray[np.float32]
Sound = Callable[[Generator, Generator], Signal]


def frequencies(n_samples: int) -> Signal:
    """Hz of the spectrum of `n_samples` real samples, float32 [n_samples // 2 + 1]."""
    grid = np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE).astype(np.float32)
    grid[0] = grid[1]  # so that powers of it exist; DC is removed anyway
    return grid


FREQUENCY = frequencies(N_SAMPLES)
TIME = (np.arange(N_SAMPLES) / SAMPLE_RATE).astype(np.float32)  # s


def band(low: float, high: float, slope: float = 0.0, grid: Signal = FREQUENCY) -> Signal:
    """Amplitude over the frequencies `grid`: second-order edges at `low` and `high` Hz, `slope` dB per octave."""
    edges = np.sqrt((1 + (low / grid) ** 4) * (1 + (grid / high) ** 4))
    return np.asarray((grid / 1000.0) ** np.float32(slope / 6.02) / edges, np.float32)


def peak(centre: float, quality: float, grid: Signal = FREQUENCY) -> Signal:
    """A resonance of unit height at `centre` Hz, over the frequencies `grid`."""
    return np.asarray(1 / np.sqrt(1 + (quality * (grid / centre - centre / grid)) ** 2), np.float32)


def unit(signal: Signal) -> Signal:
    """`signal` with root mean square 1; silence stays silence."""
    rms = float(np.sqrt(np.mean(np.square(signal), dtype=np.float64)))
    return signal / np.float32(rms) if rms > 0 else signal


def noise(rng: Generator, shape: Signal) -> Signal:
    """Stationary noise with the amplitude spectrum `shape` [k], float32 [2k - 2].

    The spectrum is drawn uniform, which is faster; a sum of thousands of lines is normal all the same.
    """
    spectrum = rng.random(2 * shape.size, dtype=np.float32)
    spectrum -= np.float32(0.5)
    return unit(irfft(spectrum.view(np.complex64) * shape, 2 * (shape.size - 1)))


def filtered(signal: Signal, shape: Signal) -> Signal:
    """`signal` through a filter of amplitude `shape`, circular in time."""
    return np.asarray(irfft(rfft(signal) * shape, N_SAMPLES), np.float32)


def drift(rng: Generator, rate: float, depth: float = 1.0) -> Signal:
    """A random curve of straight pieces, `rate` a second, its knots normal with standard deviation `depth`."""
    length = int(SAMPLE_RATE / rate)  # of one piece, in samples
    knots = np.float32(depth) * rng.standard_normal(N_SAMPLES // length + 2, dtype=np.float32)
    ramp = np.arange(length, dtype=np.float32) / np.float32(length)
    return np.asarray((knots[:-1, None] + np.diff(knots)[:, None] * ramp).ravel()[:N_SAMPLES])


def buzz(pitch: NDArray[np.float32]) -> Signal:
    """A sawtooth whose frequency follows `pitch` [N_SAMPLES] in Hz: all harmonics, to be filtered."""
    phase = np.cumsum(pitch, dtype=np.float64) / SAMPLE_RATE
    phase -= np.floor(phase)
    return 2 * phase.astype(np.float32) - 1


def scattered(rng: Generator, rate: float, kernel: Signal, spread_db: float = 6.0) -> Signal:
    """Copies of `kernel` at random times, `rate` a second in the mean, with random levels; ends wrap around."""
    return placed(rng.uniform(0, SECONDS, rng.poisson(rate * SECONDS)), kernel, rng, spread_db)


def placed(times: NDArray[np.float64], kernel: Signal, rng: Generator, spread_db: float) -> Signal:
    """Copies of `kernel` starting at `times` in s."""
    impulses = np.zeros(N_SAMPLES, np.float32)
    places = (np.asarray(times) * SAMPLE_RATE).astype(np.int64) % N_SAMPLES
    np.add.at(impulses, places, (10 ** (spread_db * rng.standard_normal(places.size) / 20)).astype(np.float32))
    if kernel.size < N_SAMPLES:
        kernel = np.concatenate([kernel, np.zeros(N_SAMPLES - kernel.size, np.float32)])
    return np.asarray(irfft(rfft(impulses) * rfft(kernel), N_SAMPLES), np.float32)


def thud(rng: Generator, centre: float, quality: float, decay: float) -> Signal:
    """A knock: noise around `centre` Hz dying away with `decay` s."""
    return unit(noise(rng, peak(centre, quality)) * np.exp(-TIME / np.float32(decay)))


def ring(partials: list[tuple[float, float]], decay: float) -> Signal:
    """A struck sound: (frequency in Hz, level) partials dying away with `decay` s."""
    tones = sum(np.float32(level) * np.sin(np.float32(2 * np.pi * f) * TIME) for f, level in partials)
    return unit(np.asarray(tones * np.exp(-TIME / np.float32(decay)), np.float32))


def ventilation(place: Generator, moment: Generator) -> Signal:
    """Air conditioning: steady, falling by 4 to 8 dB per octave."""
    return noise(moment, band(place.uniform(30, 90), place.uniform(800, 5000), place.uniform(-8, -4)))


def rumble(place: Generator, moment: Generator) -> Signal:
    """A vehicle's body or a hall's ground: low, slowly swelling."""
    bed = noise(moment, band(place.uniform(20, 60), place.uniform(120, 500), place.uniform(-6, -2)))
    return bed * np.exp(drift(moment, place.uniform(0.5, 3), 0.3))


def babble(place: Generator, moment: Generator) -> Signal:
    """Two to five people talking at a distance."""
    return _voices(place, moment, int(place.integers(2, 6)), depth=1.0)


def voice(place: Generator, moment: Generator) -> Signal:
    """One person talking nearby, with pauses."""
    return _voices(place, moment, 1, depth=1.8)


def _voices(place: Generator, moment: Generator, count: int, depth: float) -> Signal:
    mix = np.zeros(N_SAMPLES, np.float32)
    for _ in range(count):
        pitch = place.uniform(90, 240) * np.exp(drift(moment, 3, 0.12))
        syllables = np.exp(drift(moment, place.uniform(6, 9), depth)) * (drift(moment, 1.5) > -0.6)
        mix += buzz(pitch) * syllables
    formants = peak(place.uniform(400, 700), 3) + 0.6 * peak(place.uniform(1200, 1900), 4)
    formants += 0.3 * peak(place.uniform(2300, 3100), 4)
    breath = noise(moment, band(3000, 6500)) * np.exp(drift(moment, 7, 1.0))
    return unit(filtered(mix, formants * band(100, 5000, -2))) + np.float32(0.08) * breath


def footsteps(place: Generator, moment: Generator) -> Signal:
    """One to three walkers on a hard or soft floor."""
    total = np.zeros(N_SAMPLES, np.float32)
    for _ in range(int(place.integers(1, 4))):
        step = thud(place, place.uniform(90, 300), 2, place.uniform(0.01, 0.04))
        step += place.uniform(0.1, 0.9) * thud(place, place.uniform(1200, 4000), 1.5, place.uniform(0.004, 0.02))
        period = 1 / place.uniform(1.5, 2.2)
        times = moment.uniform(0, period) + period * np.arange(int(SECONDS / period))
        total += placed(times + 0.02 * moment.standard_normal(times.size), step, moment, 3)
    return unit(total)


def birds(place: Generator, moment: Generator) -> Signal:
    """One or two birds: glides of 50 to 200 ms, sometimes trilled."""
    total = np.zeros(N_SAMPLES, np.float32)
    for _ in range(int(place.integers(1, 3))):
        length = place.uniform(0.05, 0.2)
        inside = np.clip(TIME / np.float32(length), 0, 1)
        glide = place.uniform(2000, 6500) * (1 + place.uniform(-0.3, 0.3) * inside)
        glide *= 1 + place.uniform(0, 0.1) * np.sin(2 * np.pi * place.uniform(15, 60) * TIME)
        call = np.sin(2 * np.pi * np.cumsum(glide) / SAMPLE_RATE) * np.sin(np.pi * inside) ** 2
        total += scattered(moment, place.uniform(0.7, 4), call.astype(np.float32))
    return unit(total)


def leaves(place: Generator, moment: Generator) -> Signal:
    """Foliage: hiss above 1 kHz that comes and goes."""
    return noise(moment, band(place.uniform(1000, 2500), 7500, -2)) * np.exp(drift(moment, place.uniform(0.5, 2), 0.5))


def wind(place: Generator, moment: Generator) -> Signal:
    """Wind at the microphone: below 150 Hz, gusty."""
    return noise(moment, band(15, place.uniform(60, 150), -4)) * np.exp(drift(moment, place.uniform(1, 4), 0.7))


def engine(place: Generator, moment: Generator) -> Signal:
    """A combustion engine: harmonics of the firing frequency, the pitch wandering with the load."""
    pitch = place.uniform(25, 90) * np.exp(drift(moment, 1, place.uniform(0.01, 0.15)))
    body = band(40, place.uniform(200, 900), -3) + 0.3 * peak(place.uniform(80, 400), 4)
    return unit(filtered(buzz(pitch), body))


def whine(place: Generator, moment: Generator) -> Signal:
    """An electric drive: two gliding tones with side bands."""
    glide = place.uniform(250, 2500) * np.exp(place.uniform(-0.2, 0.2) * (TIME - 1) + drift(moment, 2, 0.01))
    phase = 2 * np.pi * np.cumsum(glide, dtype=np.float64) / SAMPLE_RATE
    tone = np.sin(phase) + place.uniform(0.1, 0.6) * np.sin(place.choice([1.5, 2.0, 3.0]) * phase)
    return unit(np.asarray(tone, np.float32) * np.exp(drift(moment, 5, 0.2)))


def rails(place: Generator, moment: Generator) -> Signal:
    """Wheels on rails: roar around 500 Hz and the double knock of joints."""
    roar = noise(moment, band(place.uniform(80, 250), place.uniform(700, 2500), place.uniform(-4, 0)))
    knock = thud(place, place.uniform(70, 250), 2, place.uniform(0.02, 0.06))
    period, gap = place.uniform(0.4, 1.6), place.uniform(0.08, 0.2)
    times = moment.uniform(0, period) + period * np.arange(int(SECONDS / period) + 1)
    joints = placed(np.concatenate([times, times + gap]), knock, moment, 2)
    return unit(roar * np.exp(drift(moment, 2, 0.25)) + place.uniform(0.2, 1.5) * unit(joints))


def squeal(place: Generator, moment: Generator) -> Signal:
    """Flanges in a curve: one or two narrow bands, on and off."""
    shape = peak(place.uniform(1500, 4500), 60) + place.uniform(0, 1) * peak(place.uniform(2500, 6500), 60)
    return unit(noise(moment, shape) * np.exp(drift(moment, 3, 1.2)))


def traffic(place: Generator, moment: Generator) -> Signal:
    """Cars passing: tyre noise around 1 kHz that swells for one to three seconds each."""
    total = np.zeros(N_SAMPLES, np.float32)
    for _ in range(int(moment.integers(1, 4))):
        tyres = noise(moment, band(place.uniform(60, 200), place.uniform(1200, 3500), place.uniform(-4, -1)))
        width, when = moment.uniform(0.4, 1.6), moment.uniform(-0.5, SECONDS + 0.5)
        total += tyres * np.exp(-(((TIME - np.float32(when)) / np.float32(width)) ** 2))
    return unit(total)


def music(place: Generator, moment: Generator) -> Signal:
    """Background music: chords of three notes, changing on a beat."""
    beat = place.uniform(0.35, 0.7)
    root = place.uniform(110, 330)
    total = np.zeros(N_SAMPLES, np.float32)
    for interval in (0, place.choice([3, 4]), 7):
        steps = place.choice([0, 2, 5, 7, 9, -3], 8)[((TIME + moment.uniform(0, beat)) / beat).astype(int) % 8]
        total += buzz((root * 2 ** ((interval + steps) / 12)).astype(np.float32))
    return unit(filtered(total, band(150, place.uniform(1500, 5000), -3)) * np.exp(-2.0 * ((TIME / beat) % 1.0)))


def chime(place: Generator, moment: Generator) -> Signal:
    """An announcement's gong or a door signal."""
    tone = place.uniform(400, 1500)
    sound = ring([(tone, 1.0), (2 * tone, 0.3), (3 * tone, 0.1)], place.uniform(0.1, 0.6))
    start = moment.uniform(0, SECONDS)
    return placed(start + np.arange(int(place.integers(1, 5))) * place.uniform(0.15, 0.5), sound, moment, 2)


def bell(place: Generator, moment: Generator) -> Signal:
    """A struck bell: inharmonic partials."""
    tone = place.uniform(700, 2200)
    sound = ring([(tone, 1.0), (2.76 * tone, 0.5), (0.56 * tone, 0.4)], place.uniform(0.1, 0.4))
    return scattered(moment, place.uniform(0.8, 3), sound, 2)


def horn(place: Generator, moment: Generator) -> Signal:
    """A car's horn: two buzzes a third apart for 0.2 to 1 s."""
    pitch = place.uniform(300, 500)
    on = np.abs(TIME - np.float32(moment.uniform(0, SECONDS))) < moment.uniform(0.1, 0.5)
    tone = buzz(np.full(N_SAMPLES, pitch, np.float32)) + buzz(np.full(N_SAMPLES, 1.26 * pitch, np.float32))
    return unit(filtered(tone, band(300, 4000, -2)) * on)


def rattle(place: Generator, moment: Generator) -> Signal:
    """Loose panels, trolleys, crockery: many short clicks with a colour."""
    click = thud(place, place.uniform(800, 5000), place.uniform(2, 8), place.uniform(0.002, 0.015))
    return unit(scattered(moment, place.uniform(4, 40), click, 8) * np.exp(drift(moment, 3, 0.5)))


def water(place: Generator, moment: Generator) -> Signal:
    """A fountain or wet tyres: bright, steady."""
    return noise(moment, band(place.uniform(400, 1500), place.uniform(4000, 7500), place.uniform(-2, 1)))
