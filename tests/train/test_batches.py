"""How stored clips become inputs."""

import numpy as np
import torch

from edgeasc.train.batches import batch_indices, even_crops, fit_length, random_crop


def clip(n_frames, batch=1):
    return torch.arange(float(n_frames)).view(1, 1, 1, -1).expand(batch, 1, 2, n_frames).contiguous()


def test_batches_are_a_permutation_of_nearly_equal_parts():
    batches = batch_indices(130, 64, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(130))
    assert sorted(map(len, batches)) == [43, 43, 44]


def test_short_clip_is_padded_with_silence_at_the_end():
    out = fit_length(clip(3), 5, -13.8)
    torch.testing.assert_close(out[0, 0, 0], torch.tensor([0.0, 1.0, 2.0, -13.8, -13.8]))


def test_random_crops_are_consecutive_and_reach_both_ends():
    out = random_crop(clip(9, 200), 4, -1.0, np.random.default_rng(0))[:, 0, 0]
    assert torch.equal(out - out[:, :1], torch.arange(4.0).expand(200, 4))
    assert set(out[:, 0].tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}


def test_even_crops_go_from_the_first_to_the_last_start():
    starts = [float(crop[0, 0, 0, 0]) for crop in even_crops(clip(10), 4, 3, -1.0)]
    assert starts == [0.0, 3.0, 6.0]


def test_single_crop_is_the_beginning_of_the_clip():
    (only,) = even_crops(clip(10), 4, 1, -1.0)
    assert only[0, 0, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
