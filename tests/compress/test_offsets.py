"""Which sub-band biases stay: exact numbers, judged by what the network would miss."""

from __future__ import annotations

import pytest
import torch
from seeded import SHAPE, features, lively_network
from torch import Tensor, nn

from edgeasc.compress.offsets import CLIPS_AT_ONCE, MOST_CLIPS, banded, cut_offsets, fisher, judged_on, keep_worthiest
from edgeasc.compress.quantnet import QuantNet

INPUTS = judged_on([features(32, 5)])


class Offset(nn.Module):
    """Logits that are the input and one trained offset for each class."""

    def __init__(self, offset: Tensor) -> None:
        super().__init__()
        self.offset = nn.Parameter(offset)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.offset


@pytest.fixture
def net() -> QuantNet:
    return QuantNet(lively_network(), "int8", SHAPE).eval()


@pytest.mark.parametrize("size", [1, 4, 16])
def test_fisher_information_of_a_softmax_is_p_times_one_minus_p(size: int) -> None:
    """Whatever the batch's size; bounds are five standard errors of the estimate."""
    offset = torch.tensor([0.5, -0.2, 0.1, 1.0])
    batches = [torch.zeros(size, 4)] * 4000
    network = Offset(offset)
    (found,) = fisher(network, [network.offset], batches)
    p = offset.softmax(0)
    spread = (p * (1 - p) * 3).sqrt() / 4000**0.5  # the square of a mean of draws varies by at most about its own size
    assert bool(((found - p * (1 - p)).abs() < 5 * spread).all())


def test_information_leaves_no_trace_in_the_network(net: QuantNet) -> None:
    net.train()
    fisher(net, [step.offset for step in banded(net.ordered())], INPUTS)
    assert net.training and all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("keep", [0, 1, 37, 100])
def test_exactly_so_many_are_left(net: QuantNet, keep: int) -> None:
    steps = banded(net.ordered())
    cut_offsets(net, steps, keep, INPUTS)
    assert sum(int(step.offset_mask.sum()) for step in steps) == keep
    assert sum(int((step.offset != 0).sum()) for step in steps) <= keep


def test_room_for_all_changes_nothing(net: QuantNet) -> None:
    steps = banded(net.ordered())
    before = [step.offset.clone() for step in steps]
    cut_offsets(net, steps, sum(len(offset.flatten()) for offset in before), INPUTS)
    assert all(torch.equal(step.offset, offset) for step, offset in zip(steps, before, strict=True))


def test_what_was_cut_does_not_come_back(net: QuantNet) -> None:
    steps = banded(net.ordered())
    cut_offsets(net, steps, 60, INPUTS)
    first = [step.offset_mask.clone() for step in steps]
    cut_offsets(net, steps, 40, INPUTS)
    assert all(bool((step.offset_mask <= mask).all()) for step, mask in zip(steps, first, strict=True))


def test_a_large_bias_of_no_worth_goes_first(net: QuantNet) -> None:
    steps = banded(net.ordered())
    deaf = steps[-1]
    deaf.offset.data.fill_(100.0)
    information = [torch.ones_like(step.offset) for step in steps]
    information[-1].zero_()
    worth = [step.offset.square() * known for step, known in zip(steps, information, strict=True)]
    total = sum(step.offset.numel() for step in steps)
    keep_worthiest(steps, worth, total - deaf.offset.numel())
    assert not deaf.offset_mask.any() and all(bool(step.offset_mask.all()) for step in steps[:-1])


@pytest.mark.parametrize("norm", ["resnorm", "none"])
def test_while_few_go_the_network_misses_them_less_than_the_smallest(norm: str) -> None:
    """A quarter of them, on clips that did not judge them; with more the quadratic is no bound."""
    judged, sized = (QuantNet(lively_network(norm=norm), "int8", SHAPE).eval() for _ in range(2))
    x = features(64, 6)
    with torch.no_grad():
        truth = judged(x).softmax(1)
    steps, others = banded(judged.ordered()), banded(sized.ordered())
    keep = 3 * sum(step.offset.numel() for step in steps) // 4
    cut_offsets(judged, steps, keep, judged_on([features(MOST_CLIPS, 5)]))
    keep_worthiest(others, [step.offset.abs() for step in others], keep)

    def lost(network: QuantNet) -> float:
        with torch.no_grad():
            return float((truth * (truth.log() - network(x).log_softmax(1))).sum(1).mean())

    assert lost(judged) < lost(sized)


def test_they_are_judged_on_few_clips_in_small_batches() -> None:
    parts = judged_on([torch.zeros(200, 1), torch.zeros(200, 1)])
    assert sum(len(part) for part in parts) == MOST_CLIPS and max(len(part) for part in parts) == CLIPS_AT_ONCE
