"""Operations on one waveform against formulas in numpy and scipy; what is drawn stays within what the recipe says."""

import numpy as np
import pytest
import torch
from scipy import signal

from edgeasc.specs import WaveAugmentSpec
from edgeasc.train.wave_augment import disturbed, masked_by_noise, resampled, resampled_batch, scaled, shifted

RATE = 8000
OFF = {
    "gain": (1.0, 1.0), "flip_sign": False, "shift_seconds": 0, "mask_seconds": 0, "segment_seconds": 0,
    "rotate": False, "noise": (), "probability": 1.0,
}  # fmt: skip


def rng(seed=5):
    return np.random.default_rng(seed)


def waves(batch=4, size=1200, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.2, (batch, 1, 1, size)).astype(np.float32))


def only(**changes):
    return WaveAugmentSpec(**(OFF | changes))


@pytest.mark.parametrize("samples", [0, 1, 7, 1200, 5000, -1, -7, -1200])
def test_a_whole_shift_fills_with_zeros(samples):
    clip = waves(1)[0, 0, 0]
    expected = np.zeros(1200, np.float32)
    for place in range(1200):
        if 0 <= place - samples < 1200:
            expected[place] = clip[place - samples]
    np.testing.assert_array_equal(shifted(clip, samples).numpy(), expected)


@pytest.mark.parametrize("size", [1200, 1201])
def test_a_shift_by_part_of_a_sample_reads_a_periodic_tone_between_its_samples(size):
    tone = lambda places: np.sin(2 * np.pi * 31 * places / size + 0.4)  # noqa: E731
    clip = torch.from_numpy(tone(np.arange(size)).astype(np.float32))
    np.testing.assert_allclose(shifted(clip, 0, 0.37).numpy(), tone(np.arange(size) - 0.37), atol=2e-6)


def test_a_shift_by_a_whole_and_a_part_is_one_after_the_other():
    clip = waves(1)[0, 0, 0]
    expected = np.fft.ifft(
        np.fft.fft(shifted(clip, 5).numpy()) * np.exp(-2j * np.pi * np.fft.fftfreq(1200) * -0.25)
    ).real
    found = shifted(clip, 5, -0.25).numpy()
    # At half the rate a real signal keeps the real part of the turn only: the same in both.
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_mask_is_a_piece_at_minus_120_db_and_the_rest_stays():
    clip = torch.ones(1000)
    masked = masked_by_noise(clip, 100, 300, rng())
    assert torch.equal(masked[:100], clip[:100])
    assert torch.equal(masked[400:], clip[400:])
    assert 0.8e-6 < float(masked[100:400].std()) < 1.2e-6


def test_a_segment_alone_is_scaled():
    expected = np.ones(50, np.float32)
    expected[10:30] *= 0.5
    np.testing.assert_array_equal(scaled(torch.ones(50), 10, 20, 0.5).numpy(), expected)


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.2])
def test_resampling_reads_a_tone_at_the_new_rate(factor):
    size = 2000
    tone = lambda places: np.sin(2 * np.pi * 0.11 * places + 0.3)  # noqa: E731
    found = resampled(torch.from_numpy(tone(np.arange(size)).astype(np.float32))[None], factor)[0].numpy()
    assert len(found) == np.ceil(size * round(factor, 3))
    inside = slice(60, -60)  # at the ends the filter meets silence
    np.testing.assert_allclose(found[inside], tone(np.arange(len(found)) / factor)[inside], atol=6e-3)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_resampling_agrees_with_a_polyphase_filter_of_scipy_on_low_noise(factor):
    low = signal.sosfilt(signal.butter(8, 0.5, output="sos"), np.random.default_rng(3).normal(0, 1, 3000))
    up, down = {0.8: (4, 5), 1.2: (6, 5)}[factor]
    expected = signal.resample_poly(low, up, down, window=("kaiser", 10.0))
    found = resampled(torch.from_numpy(low.astype(np.float32))[None], factor)[0].numpy()
    assert np.sqrt(np.mean((found - expected)[60:-60] ** 2)) < 0.01 * low.std()


def test_resampling_lets_nothing_alias():
    tone = np.sin(np.pi * 0.95 * np.arange(4000)).astype(np.float32)  # above 0.8 of half the rate
    assert float(resampled(torch.from_numpy(tone)[None], 0.8)[0, 60:-60].abs().max()) < 0.02


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_resampled_batch_keeps_its_length(factor):
    spec = WaveAugmentSpec(resample=(factor,), resample_probability=1.0)
    batch = waves()
    found = resampled_batch(batch, spec, rng())
    assert found.shape == batch.shape
    whole = resampled(batch, factor)
    kept = min(1200, whole.shape[-1])
    assert torch.equal(found[..., :kept], whole[..., :kept])
    assert bool((found[..., kept:] == 0).all())


def test_gain_is_one_factor_for_the_clip_within_its_range():
    ratios = disturbed(waves(300), only(gain=(0.5, 1.3), segment_seconds=0), RATE, rng()) / waves(300)
    np.testing.assert_allclose(ratios.amin(3), ratios.amax(3), rtol=1e-6)
    assert 0.5 <= float(ratios.min()) < 0.55
    assert 1.25 < float(ratios.max()) <= 1.3


def test_sign_turns_the_clip_over():
    assert torch.equal(disturbed(waves(), only(flip_sign=True), RATE, rng()), -waves())


def test_rotation_is_a_circular_shift():
    clip, found = waves(1)[0, 0, 0], disturbed(waves(1), only(rotate=True), RATE, rng())[0, 0, 0]
    assert any(np.array_equal(np.roll(clip.numpy(), shift), found.numpy()) for shift in range(1200))


def test_shifts_stay_within_their_seconds():
    click = torch.zeros(200, 1, 1, 1200)
    click[..., 600] = 1.0
    places = disturbed(click, only(shift_seconds=0.01), RATE, rng()).argmax(3).flatten().numpy() - 600
    assert places.min() == -80
    assert places.max() == 80


def test_each_operation_comes_with_its_probability():
    spec = only(flip_sign=True, probability=0.25)
    turned = disturbed(torch.ones(2000, 1, 1, 4), spec, RATE, rng())[:, 0, 0, 0] < 0
    assert float(turned.float().mean()) == pytest.approx(0.25, abs=0.03)


def test_orders_differ_between_clips():
    hidden = disturbed(torch.ones(200, 1, 1, 1200), only(gain=(0.5, 0.500001), mask_seconds=0.15), RATE, rng())
    levels = np.nanstd(torch.where(hidden.abs() < 1e-4, hidden, torch.nan).numpy(), axis=3)
    assert (levels < 0.75e-6).any()  # masked first, then made softer
    assert (levels > 0.75e-6).any()  # the other way round


def test_probability_0_leaves_the_batch_alone():
    assert torch.equal(disturbed(waves(), WaveAugmentSpec(probability=0), RATE, rng()), waves())


def test_the_same_generator_gives_the_same_clips():
    first, second = (disturbed(waves(), WaveAugmentSpec(probability=1.0), RATE, rng(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, waves())


@pytest.mark.parametrize("size", [1, 2, 50])
def test_clips_shorter_than_every_piece_stay_finite_and_keep_their_length(size):
    found = disturbed(waves(8, size), WaveAugmentSpec(probability=1.0), RATE, rng())
    assert found.shape == (8, 1, 1, size)
    assert bool(found.isfinite().all())


def test_silence_stays_silent_but_for_the_mask():
    found = disturbed(torch.zeros(20, 1, 1, 1200), WaveAugmentSpec(probability=1.0), RATE, rng())
    assert float(found.abs().max()) < 1e-5
