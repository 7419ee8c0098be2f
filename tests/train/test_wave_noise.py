"""Noises: level, slope of the spectrum, and transforms that give back what they took."""

import numpy as np
import pytest
import torch

from edgeasc.train.wave_noise import (
    COLOURS,
    add_noise,
    coloured,
    inverse_transform,
    low_sine,
    short_transform,
    short_transforms,
    with_phase_noise,
)

RATE = 16_000
LEVELLED = [*COLOURS, "uniform", "sine"]


def clip(size=16_000, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.1, size).astype(np.float32))


def rng(seed=4):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", LEVELLED)
def test_the_noise_lies_30_db_below_the_clip(kind):
    wave = clip()
    noise = (add_noise(wave, kind, 30.0, RATE, rng()) - wave).numpy()
    ratio = 10 * np.log10(np.mean(wave.numpy() ** 2) / np.mean(noise**2))
    assert ratio == pytest.approx(30.0, abs=1.0 if kind == "sine" else 0.2)


@pytest.mark.parametrize(
    ("kind", "db_per_octave"), [("white", 0), ("blue", 3), ("pink", -3), ("red", -6), ("violet", 6)]
)
def test_a_colour_has_its_slope(kind, db_per_octave):
    spectra = np.mean(
        [np.abs(np.fft.rfft(coloured(4096, COLOURS[kind], rng(seed)))) ** 2 for seed in range(60)], axis=0
    )
    octaves = [10 * np.log10(spectra[low : 2 * low].mean()) for low in (16, 32, 64, 128, 256, 512)]
    np.testing.assert_allclose(np.diff(octaves), db_per_octave, atol=0.6)


@pytest.mark.parametrize("kind", ["white", "pink", "violet"])
@pytest.mark.parametrize("size", [1001, 1000])
def test_a_colour_is_its_white_noise_with_every_bin_scaled(kind, size):
    white = rng().standard_normal(size)
    bins = np.abs(np.fft.fftfreq(size, 1 / size)) + 1  # both halves, unlike in the function
    expected = np.fft.ifft(np.fft.fft(white) * bins ** COLOURS[kind]).real
    if kind != "white":
        expected = (expected - expected.mean()) / expected.std()
    np.testing.assert_allclose(coloured(size, COLOURS[kind], rng()), expected, atol=1e-9)


def test_the_sine_is_low():
    loudest = [int(np.abs(np.fft.rfft(low_sine(RATE, RATE, rng(seed)))).argmax()) for seed in range(50)]  # 1 Hz a bin
    assert max(loudest) <= 62
    assert len(set(loudest)) > 10


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050])
@pytest.mark.parametrize("size", [1, 3000, 4097])
def test_every_transform_gives_back_the_wave(rate, size):
    wave = clip(size)[None]
    for n_fft, hop in short_transforms(rate):
        for window in (None, torch.hann_window(n_fft)):
            back = inverse_transform(short_transform(wave, n_fft, hop, window), size, n_fft, hop, window)
            torch.testing.assert_close(back, wave, atol=2e-6, rtol=0)


def test_a_transform_is_the_fft_of_every_frame():
    wave, frame = clip(1024), 3
    spectrum = short_transform(wave[None], 256, 64)[0]
    padded = np.pad(wave.numpy(), 128)
    np.testing.assert_allclose(spectrum[:, frame], np.fft.rfft(padded[frame * 64 : frame * 64 + 256]), atol=1e-4)


def test_the_published_transforms():
    assert short_transforms(22_050) == ((512, 128), (1024, 256), (2048, 1024))
    assert short_transforms(16_000) == ((256, 64), (512, 128), (1024, 256))
    assert short_transforms(8_000) == ((128, 32), (256, 64), (512, 128))


def test_phase_noise_is_slight():
    wave = clip(4096)
    found = with_phase_noise(wave, 512, 128, 0.02, rng())
    error = float((found - wave).square().mean().sqrt() / wave.square().mean().sqrt())
    # Angles uniform in 0..a: a rotation by a / 2 and a scatter of a / sqrt(12), less what overlap averages out.
    assert 0 < error < 0.02


def test_phase_noise_turns_each_bin_by_its_draw():
    wave = clip(512)
    spectrum = short_transform(wave[None], 256, 64)[0].numpy()
    angles = rng().random((1, *spectrum.shape), dtype=np.float32)[0] * np.float32(0.5)
    expected = inverse_transform(
        torch.from_numpy(spectrum * np.exp(1j * angles))[None].to(torch.complex64), 512, 256, 64
    )
    torch.testing.assert_close(with_phase_noise(wave, 256, 64, 0.5, rng()), expected[0], atol=1e-6, rtol=0)
