"""Augmentation: what is kept, what is mixed, and within which limits."""

import numpy as np
import pytest
import torch

from edgeasc.features.logmel import log_mel
from edgeasc.specs import AugmentSpec, LogMel
from edgeasc.train.augment import augment, augment_normed, gain, is_random, mask, mix

OFF = AugmentSpec(roll_seconds=0, mixup_alpha=0, freq_masks=0, time_masks=0)
SPEC = LogMel(n_fft=512, win_length=400, hop_length=160)  # 10 ms


def replace(**changes):
    return OFF.model_copy(update=changes)


def rng():
    return np.random.default_rng(5)


def features(batch=6, n_mels=8, n_frames=11):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(batch, 1, n_mels, n_frames)).astype(np.float32))


def test_roll_is_a_circular_shift_within_the_limit():
    x = features(200)
    shifted = augment(x, torch.zeros(200, 2), replace(roll_seconds=0.03), SPEC, rng())[0]
    found = set()
    for clip, moved in zip(x, shifted, strict=True):
        shift = [s for s in range(-3, 4) if torch.equal(torch.roll(clip, s, dims=2), moved)]
        assert len(shift) == 1
        found.update(shift)
    assert found == set(range(-3, 4))


def test_mixup_mixes_features_and_targets_by_the_same_part():
    x = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 1, 2, 3)  # clip k is all k
    targets = torch.eye(4)
    mixed, soft = mix(x, targets, replace(mixup_alpha=0.3), rng())
    torch.testing.assert_close(mixed[:, 0, 0, 0], soft @ torch.arange(4.0))
    torch.testing.assert_close(soft.sum(1), torch.ones(4))


def test_mixup_parts_follow_beta():
    x = torch.zeros(20_000, 1, 1, 1)
    x[::2] = 1.0
    part = mix(x, torch.zeros(20_000, 2), replace(mixup_alpha=0.3), rng())[0].flatten()
    mixed_pairs = part[(part > 0) & (part < 1)]
    # Beta(a, a) has variance 1 / (4 (2a + 1)).
    assert abs(float(mixed_pairs.mean()) - 0.5) < 0.02
    assert abs(float(mixed_pairs.var()) - 1 / (4 * 1.6)) < 0.01


@pytest.mark.parametrize("axis", [2, 3])
def test_masks_are_stripes_of_the_clip_mean_within_the_width(axis):
    x = features(300)
    hidden = (mask(x, axis, 1, 4, rng()) != x).any(5 - axis)[:, 0]  # [B, size]
    widths = hidden.sum(1)
    assert set(widths.tolist()) == {0, 1, 2, 3, 4}
    edges = (hidden[:, 1:] != hidden[:, :-1]).sum(1) + hidden[:, 0] + hidden[:, -1]
    assert int(edges.max()) == 2  # one stripe, no hole
    masked = mask(x, axis, 1, 4, rng())
    changed = masked != x
    torch.testing.assert_close(masked[changed], x.mean((1, 2, 3), keepdim=True).expand_as(x)[changed])


def test_mask_wider_than_the_spectrogram_stays_inside_it():
    assert mask(features(50), 3, 2, 80, rng()).shape == (50, 1, 8, 11)


def test_gain_equals_scaling_the_waveform():
    spec = LogMel(n_mels=16, n_fft=512, win_length=400, hop_length=160)
    waveform = np.random.default_rng(1).normal(0, 0.1, 4000).astype(np.float32)
    x = torch.from_numpy(log_mel(waveform, spec))[None, None]
    louder = gain(x, np.array([4.5]), spec.log_floor)
    expected = log_mel((waveform * 10 ** (4.5 / 20)).astype(np.float32), spec)
    np.testing.assert_allclose(louder[0, 0].numpy(), expected, atol=2e-4)


def test_everything_off_leaves_the_batch_alone():
    x, targets = features(), torch.eye(6)
    same_x, same_targets, _ = augment(x, targets, OFF, LogMel(), rng())
    assert torch.equal(same_x, x)
    assert torch.equal(same_targets, targets)
    assert not is_random(OFF)


@pytest.mark.parametrize(
    "on", [{"roll_seconds": 1.0}, {"mixup_alpha": 0.3}, {"freq_masks": 1}, {"time_masks": 1}, {"gain_db": 3.0}]
)
def test_each_augmentation_alone_counts_as_random_and_changes_the_batch(on):
    spec = OFF.model_copy(update=on)
    x, targets = features(), torch.eye(6)
    assert is_random(spec)
    assert not torch.equal(augment(x, targets, spec, LogMel(log_floor=1e-3), rng())[0], x)


def test_same_generator_seed_gives_the_same_batch():
    spec, x = AugmentSpec(gain_db=3.0), features()
    first, second = (augment(x, torch.eye(6), spec, LogMel(), np.random.default_rng(3))[0] for _ in range(2))
    assert torch.equal(first, second)


def test_pairs_are_neighbours_each_mixed_by_its_own_part():
    x = torch.arange(40.0).view(40, 1, 1, 1).expand(40, 1, 2, 3)  # clip k is all k
    mixed, soft = mix(x, torch.eye(40), replace(mixup_alpha=1.0, mixup_of="pairs"), rng())
    assert mixed.shape == (20, 1, 2, 3)
    for pair in range(20):
        part = float(soft[pair, 2 * pair])
        assert soft[pair].nonzero().flatten().tolist() == [2 * pair, 2 * pair + 1]
        torch.testing.assert_close(mixed[pair], torch.full((1, 2, 3), part * 2 * pair + (1 - part) * (2 * pair + 1)))
    assert len({round(float(row.max()), 6) for row in soft}) > 15


def test_masks_of_a_batch_are_the_same_for_all_its_clips():
    x = features(50)
    hidden = mask(x, 3, 2, 4, rng(), value=0.0, same=True) == 0
    assert hidden.any() and torch.equal(hidden, hidden[:1].expand_as(hidden))


def test_masks_of_clips_differ_from_clip_to_clip():
    hidden = mask(features(50), 3, 2, 4, rng(), value=0.0) == 0
    assert not torch.equal(hidden, hidden[:1].expand_as(hidden))


def test_behind_the_norm_stripes_are_zero_and_come_before_mixing():
    spec = OFF.model_copy(update={"freq_masks": 2, "freq_mask_width": 3, "mixup_alpha": 1.0, "mixup_of": "pairs"})
    x, draws = features(8), np.random.default_rng(5)
    striped = mask(x, 2, 2, 3, draws, 0.0)
    part = torch.from_numpy(draws.beta(1.0, 1.0, size=4).astype(np.float32))
    expected = torch.stack([p * striped[2 * k] + (1 - p) * striped[2 * k + 1] for k, p in enumerate(part)])
    found, targets = augment_normed(x, torch.eye(8), spec, rng())
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(targets.sum(1), torch.ones(4))


def test_what_belongs_behind_the_norm_is_left_out_before_it():
    spec = OFF.model_copy(update={"time_masks": 2, "mixup_alpha": 1.0, "mixup_of": "pairs", "place": "norm"})
    x, targets = features(), torch.eye(6)
    same_x, same_targets, _ = augment(x, targets, spec, LogMel(), rng())
    assert torch.equal(same_x, x) and torch.equal(same_targets, targets)
