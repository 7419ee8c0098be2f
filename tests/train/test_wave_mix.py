"""Mixing of waveforms against plain loops, and the labels that follow from the shares."""

import numpy as np
import pytest
import torch

from edgeasc.specs import WaveAugmentSpec
from edgeasc.train.wave_mix import augment_waves, both_labels, freqmix, mixed_batch, mixup, phasemix, timemix

BATCH, SIZE, RATE = 6, 1030, 8000
PARTNER = np.array([3, 0, 5, 2, 4, 1])  # clip 4 is its own
SHARE = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], np.float32)
TAIL = np.array([True, False, True, False, True, False])


def rng(seed=5):
    return np.random.default_rng(seed)


def waves(seed=0):
    levels = np.array([0.01, 0.1, 1.0, 0.3, 0.5, 0.0])[:, None]  # the last is silent
    return torch.from_numpy((rng(seed).normal(0, 1, (BATCH, SIZE)) * levels).astype(np.float32))[:, None, None]


def test_mixup_weighs_by_level():
    batch = waves()
    found, shares = mixup(batch, PARTNER, SHARE)
    for k, other in enumerate(PARTNER):
        x, y = batch[k, 0, 0].double().numpy(), batch[other, 0, 0].double().numpy()
        g, h = (10 * np.log10(max(np.mean(z**2), 1e-5)) for z in (x, y))
        p = 1 / (1 + 10 ** ((g - h) / 20) * (1 - SHARE[k]) / SHARE[k])
        assert float(shares[k]) == pytest.approx(p, rel=1e-5)
        np.testing.assert_allclose(found[k, 0, 0], (p * x + (1 - p) * y) / np.sqrt(p**2 + (1 - p) ** 2), atol=1e-5)


def test_timemix_replaces_one_end():
    batch = waves()
    found, shares = timemix(batch, PARTNER, SHARE, TAIL)
    for k, other in enumerate(PARTNER):
        count = int(SIZE * (1 - float(SHARE[k])))
        expected = batch[k, 0, 0].numpy().copy()
        piece = slice(SIZE - count, SIZE) if TAIL[k] else slice(0, count)
        expected[piece] = batch[other, 0, 0].numpy()[piece]
        np.testing.assert_array_equal(found[k, 0, 0], expected)
    np.testing.assert_array_equal(shares, SHARE)


@pytest.mark.parametrize("tail", [True, False])
def test_freqmix_takes_the_partners_upper_or_lower_tones(tail):
    time = np.arange(4096)
    low, high = (
        np.sin(2 * np.pi * cycles * time / 64).astype(np.float32) for cycles in (4, 28)
    )  # of 32 to half the rate
    batch = torch.from_numpy(np.stack([low + high, 0.5 * low + 0.25 * high]))[:, None, None]
    share = np.full(2, 0.5, np.float32)
    found, _ = freqmix(batch, np.array([1, 0]), share, np.full(2, tail), 256, 64)
    expected = low + 0.25 * high if tail else 0.5 * low + high
    np.testing.assert_allclose(found[0, 0, 0, 300:-300], expected[300:-300], atol=2e-3)


def test_freqmix_replaces_bins_of_the_transform():
    batch = waves()
    found, shares = freqmix(batch, PARTNER, SHARE, TAIL, 256, 64)
    window = torch.hann_window(256)
    padded = torch.nn.functional.pad(batch[:, 0, 0], (0, -SIZE % 64))
    spectra = torch.stft(padded, 256, 64, window=window, pad_mode="constant", return_complex=True)
    mixed = spectra.clone()
    for k, other in enumerate(PARTNER):
        count = int(129 * (1 - float(SHARE[k])))
        bins = slice(129 - count, 129) if TAIL[k] else slice(0, count)
        mixed[k, bins] = spectra[other, bins]
    expected = torch.istft(mixed, 256, 64, window=window, length=padded.shape[1])[:, :SIZE]
    torch.testing.assert_close(found[:, 0, 0], expected)
    np.testing.assert_array_equal(shares, SHARE)


def test_phasemix_keeps_magnitudes_and_mixes_phases():
    # One frame without overlap at its middle: the phase of a tone goes half the way to the partner's.
    time = np.arange(2048)
    tone = lambda phase: np.cos(2 * np.pi * 16 * time / 256 + phase).astype(np.float32)  # noqa: E731
    batch = torch.from_numpy(np.stack([tone(0.2), 0.1 * tone(1.0)]))[:, None, None]
    found, shares = phasemix(batch, np.array([1, 0]), np.array([0.5, 1.0], np.float32), 256, 64)
    np.testing.assert_allclose(found[0, 0, 0, 300:-300], tone(0.6)[300:-300], atol=5e-3)
    np.testing.assert_allclose(found[1, 0, 0], 0.1 * tone(1.0), atol=1e-5)  # part 1: its own
    np.testing.assert_allclose(shares, [0.75, 1.0])


def test_the_second_label_counts_below_nine_tenths_and_no_label_counts_twice():
    targets = torch.eye(3)[[0, 0, 1, 2, 2, 1]]
    found = both_labels(targets, PARTNER, torch.from_numpy(SHARE))
    expected = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0][::1], [0, 1, 1], [0, 0, 1], [0, 1, 0]], np.float32)
    expected[2] = [0, 1, 0]  # clips 2 and 5 are of one class
    np.testing.assert_array_equal(found, expected)


def test_nothing_is_mixed_before_its_epoch():
    spec = WaveAugmentSpec()
    for epoch, both in ((0, False), (11, False), (12, True), (400, True)):
        assert mixed_batch(waves(), torch.eye(6), spec, RATE, rng(), epoch).both is both


def test_mixes_come_with_their_probability():
    spec = WaveAugmentSpec(mix_probability=0.3, mixes=("timemix",), mix_after=0)
    generator = rng()
    count = sum(mixed_batch(waves(), torch.eye(6), spec, RATE, generator, 0).both for _ in range(400))
    assert count / 400 == pytest.approx(0.3, abs=0.07)


@pytest.mark.parametrize("kind", ["mixup", "timemix", "freqmix", "phasemix"])
def test_every_mix_alone_is_reached_from_the_recipe(kind):
    spec = WaveAugmentSpec(mixes=(kind,), mix_after=0, probability=0, resample=())
    found = augment_waves(waves(), torch.eye(6), spec, RATE, rng(), 0)
    again = augment_waves(waves(), torch.eye(6), spec, RATE, rng(), 0)
    assert found.both
    assert found.inputs.shape == (BATCH, 1, 1, SIZE)
    assert bool(found.inputs.isfinite().all())
    assert not torch.equal(found.inputs, waves())
    assert torch.equal(found.inputs, again.inputs)
    assert set(found.targets.sum(1).tolist()) <= {1.0, 2.0}


def test_everything_off_leaves_the_batch_alone():
    spec = WaveAugmentSpec(probability=0, resample=(), mixes=())
    found = augment_waves(waves(), torch.eye(6), spec, RATE, rng(), 100)
    assert torch.equal(found.inputs, waves())
    assert torch.equal(found.targets, torch.eye(6))
    assert not found.both
