"""Losses and schedule against formulas worked out in numpy."""

import math

import numpy as np
import pytest
import torch

from edgeasc.train.losses import cross_entropy, distillation, smooth
from edgeasc.train.schedule import learning_rate


def logits(seed):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 2, (5, 4)))


def softmax(x):
    e = np.exp(x)
    return e / e.sum(1, keepdims=True)


def test_cross_entropy_with_soft_targets():
    targets = softmax(logits(1).numpy())
    expected = -(targets * np.log(softmax(logits(0).numpy()))).sum() / 5
    assert float(cross_entropy(logits(0), torch.from_numpy(targets))) == pytest.approx(expected)


def test_distillation_is_t_squared_times_kl_at_temperature():
    teacher, student = softmax(logits(1).numpy() / 3), softmax(logits(0).numpy() / 3)
    expected = 9 * (teacher * np.log(teacher / student)).sum() / 5
    assert float(distillation(logits(0), logits(1), 3.0)) == pytest.approx(expected)


def test_distillation_from_itself_is_zero():
    assert float(distillation(logits(0), logits(0), 2.0)) == pytest.approx(0, abs=1e-12)


def test_smoothing_moves_mass_to_all_classes_evenly():
    torch.testing.assert_close(smooth(torch.eye(4), 0.2)[0], torch.tensor([0.85, 0.05, 0.05, 0.05]))


def test_learning_rate_rises_linearly_to_its_peak_then_falls_as_a_cosine():
    rates = [learning_rate(step, 110, 10, 0.06) for step in range(110)]
    assert rates[:10] == pytest.approx([0.006 * k for k in range(1, 11)])
    assert rates[10] == 0.06
    assert rates[60] == pytest.approx(0.03)
    assert rates[-1] == pytest.approx(0.03 * (1 + math.cos(math.pi * 0.99)))


def test_learning_rate_without_warmup_starts_at_its_peak():
    assert learning_rate(0, 10, 0, 0.1) == 0.1
