"""The order in which an epoch sees the clips."""

import numpy as np
import torch

from edgeasc.train.batches import batch_indices, one_hot


def test_batches_are_a_permutation_of_nearly_equal_parts():
    batches = batch_indices(130, 64, np.random.default_rng(0))
    assert sorted(np.concatenate(batches).tolist()) == list(range(130))
    assert sorted(map(len, batches)) == [43, 43, 44]


def test_one_hot_marks_the_label():
    assert torch.equal(one_hot(np.array([2, 0]), 3), torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
