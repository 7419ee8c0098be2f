"""Losses and schedules against formulas worked out in numpy, and against torch's own schedule."""

import math

import numpy as np
import pytest
import torch

from edgeasc.specs import TrainSpec
from edgeasc.train.losses import binary_cross_entropy, classification, cross_entropy, distillation, smooth
from edgeasc.train.schedule import learning_rate, one_cycle, scheduled, scheduled_momentum


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


def test_smoothing_over_the_others_leaves_the_class_its_part_and_gives_the_rest_to_them_evenly():
    torch.testing.assert_close(smooth(torch.eye(5), 0.1, "others")[0], torch.tensor([0.9, 0.025, 0.025, 0.025, 0.025]))


@pytest.mark.parametrize("over", ["uniform", "others"])
def test_smoothed_mixed_targets_stay_a_distribution(over):
    targets = torch.from_numpy(softmax(logits(1).numpy()))
    torch.testing.assert_close(smooth(targets, 0.1, over).sum(1), torch.ones(5, dtype=torch.float64))


def test_binary_cross_entropy_is_the_mean_over_batch_and_classes_of_sigmoids():
    targets, p = np.random.default_rng(3).random((5, 4)), 1 / (1 + np.exp(-logits(0).numpy()))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    assert float(binary_cross_entropy(logits(0), torch.from_numpy(targets))) == pytest.approx(expected.mean())
    assert float(binary_cross_entropy(logits(0), torch.from_numpy(targets), "sum")) == pytest.approx(expected.sum())


KINDS = [("cross-entropy", True, False), ("bce", False, True)]


@pytest.mark.parametrize(
    ("name", "mixed", "binary"), [*KINDS, ("bce-when-mixed", True, True), ("bce-when-mixed", False, False)]
)
def test_the_recipe_names_the_loss(name, mixed, binary):
    targets = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3, 0]]
    expected = binary_cross_entropy(logits(0), targets) if binary else cross_entropy(logits(0), smooth(targets, 0.1))
    found = classification(logits(0), targets, TrainSpec(loss=name, label_smoothing=0.1), mixed)
    assert float(found) == pytest.approx(float(expected))


def test_summed_losses_are_the_means_times_their_counts():
    targets = torch.from_numpy(softmax(logits(1).numpy()))
    for name, count in (("cross-entropy", 5), ("bce", 20)):
        mean, total = (
            classification(logits(0), targets, TrainSpec(loss=name, loss_over=o), True) for o in ("mean", "sum")
        )
        assert float(total) == pytest.approx(count * float(mean))


@pytest.mark.parametrize(("steps", "pct_start"), [(200, 0.1), (37, 0.3), (10, 0.5)])
def test_one_cycle_equals_that_of_torch_in_rate_and_momentum(steps, pct_start):
    spec = TrainSpec(schedule="onecycle", lr=3e-4, pct_start=pct_start, cycle_momentum=True)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2, 2))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-4, total_steps=steps, pct_start=pct_start)
    for step in range(steps):
        group = optimizer.param_groups[0]
        assert scheduled(step, steps, 0, spec) == pytest.approx(group["lr"], rel=1e-9)
        assert scheduled_momentum(step, steps, spec) == pytest.approx(group["betas"][0], rel=1e-9)
        optimizer.step()
        if step + 1 < steps:
            theirs.step()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_one_cycle_of_very_few_steps_stays_between_its_ends(steps):
    rates = [one_cycle(step, steps, 0.1, 1.0, 9.0, 0.5) for step in range(steps)]
    assert all(0.5 <= rate <= 9.0 for rate in rates) and rates[-1] == 0.5


def test_momentum_stays_unless_it_is_to_cycle():
    assert scheduled_momentum(5, 10, TrainSpec(schedule="onecycle", momentum=0.9)) == 0.9


def test_a_constant_rate_rises_in_its_warmup_and_then_stays():
    spec = TrainSpec(schedule="constant", lr=0.5)
    assert [scheduled(step, 8, 4, spec) for step in range(8)] == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert scheduled(0, 8, 0, spec) == 0.5
