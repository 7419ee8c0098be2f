"""Optimisers: what decays, and Adam's settings, against updates worked out in numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.specs import TrainSpec
from edgeasc.train.optimizer import create_optimizer, set_rate


def network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.PReLU(2))


def step(net, spec):
    """Parameters before and after one step without gradient."""
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = create_optimizer(net, spec)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return before, dict(net.named_parameters())


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_decay_on_matrices_leaves_vectors_alone(kind):
    before, after = step(network(), TrainSpec(optimizer=kind, lr=0.1, weight_decay=0.5, weight_decay_on="matrices"))
    still = {name for name in before if torch.equal(before[name], after[name])}
    assert still == {"0.bias", "1.weight", "1.bias", "2.weight"}


def test_decay_on_all_reaches_norms_too():
    before, after = step(network(), TrainSpec(lr=0.1, weight_decay=0.5))
    torch.testing.assert_close(after["1.weight"].detach(), before["1.weight"] * (1 - 0.1 * 0.5))


@pytest.mark.parametrize("amsgrad", [True, False])
def test_adam_follows_its_formula(amsgrad):
    parameter = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    holder = nn.ParameterList([parameter])
    optimizer = create_optimizer(
        holder, TrainSpec(optimizer="adam", lr=0.01, beta2=0.9, weight_decay=0.0, amsgrad=amsgrad)
    )
    x, m, v, largest = 1.0, 0.0, 0.0, 0.0
    for count, gradient in enumerate([3.0, -0.5, 0.25, 0.1], start=1):
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        m, v = 0.9 * m + 0.1 * gradient, 0.9 * v + 0.1 * gradient**2
        largest = max(largest, v)
        second = (largest if amsgrad else v) / (1 - 0.9**count)
        x -= 0.01 * m / (1 - 0.9**count) / (np.sqrt(second) + 1e-8)
        assert float(parameter.detach()) == pytest.approx(x, rel=1e-12)


def test_frozen_parameters_are_not_handed_to_the_optimiser():
    net = network()
    net[0].requires_grad_(False)
    held = create_optimizer(net, TrainSpec(weight_decay_on="matrices")).param_groups
    assert [len(group["params"]) for group in held] == [3]


@pytest.mark.parametrize(("kind", "key"), [("sgd", "momentum"), ("adamw", "betas")])
def test_rate_and_momentum_reach_every_group(kind, key):
    optimizer = create_optimizer(network(), TrainSpec(optimizer=kind, weight_decay_on="matrices"))
    set_rate(optimizer, 0.25, 0.875)
    for group in optimizer.param_groups:
        assert group["lr"] == 0.25 and np.atleast_1d(group[key])[0] == 0.875
