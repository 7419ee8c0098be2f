"""Equal channels: the same function, one loudness, and a network whose channels drifted as good as one that did not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seeded import SHAPE, features, lively_network
from torch import Tensor, nn

from edgeasc.compress.equalise import LEAST, MOST, equalise, octaves
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.steps import ConvStep
from edgeasc.graph.model import Form
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.nn.layers import Add

CALIBRATION = [features(16, 100), features(16, 101)]
LOUD = 2.0**8


def quantised(network: nn.Module, form: Form = "int8") -> QuantNet:
    return QuantNet(network, form, SHAPE).eval()


def drifted(stage: int = 1, channel: int = 0) -> nn.Module:
    """The lively network with one channel 256 times louder, which the sub-spectral norm behind it takes back."""
    network = lively_network()
    block = network.get_submodule(f"stage{stage}.0")
    norm, depthwise = block.transition.bn, block.freq_dw  # type: ignore[union-attr]
    with torch.no_grad():
        norm.weight[channel] *= LOUD
        norm.bias[channel] *= LOUD
        depthwise.weight[channel] /= LOUD
    return network


def loudness(net: QuantNet, name: str) -> Tensor:
    """The largest magnitude of every channel of one tensor, in the mean over the calibration batches."""
    found: list[Tensor] = []
    step = next(step for step in net.ordered() if step.name == name)
    hook = step.register_forward_hook(lambda _, __, y: found.append(y.abs().amax((0, 2, 3))))
    with torch.no_grad(), running(net, "float"):
        for batch in CALIBRATION:
            net(batch)
    hook.remove()
    return torch.stack(found).mean(0)


@pytest.mark.parametrize("form", ["int8", "island"])
def test_the_network_computes_what_it_did_to_the_bit(form: Form) -> None:
    net, before = quantised(drifted(), form), quantised(drifted(), form)
    equalise(net, CALIBRATION)
    with torch.no_grad():
        assert torch.equal(net(features(8, 1)), before(features(8, 1)))


def test_channels_in_front_of_a_depthwise_filter_are_near_the_middle_one() -> None:
    net = quantised(drifted())
    equalise(net, CALIBRATION)
    for stage in range(1, 5):
        found = loudness(net, f"stage{stage}.0.transition.conv")
        heard = found[found > 0]
        assert ((heard / heard.median()).log2().abs() <= LEAST - 0.5 + 1e-4).all()


def test_a_drifted_channel_costs_the_integers_nothing() -> None:
    """It was next to the middle one and above, so that it comes back to where it was: the very same file."""
    plain = quantised(lively_network())
    heard = loudness(plain, "stage4.0.transition.conv")
    above = torch.where(heard > heard.median(), heard, torch.inf)
    assert above.min() < 2**0.5 * heard.median()
    other = quantised(drifted(4, int(above.argmin())))
    for net in (plain, other):
        equalise(net, CALIBRATION)
        net.observe(CALIBRATION)
    assert onnx_bytes(other.freeze()) == onnx_bytes(plain.freeze())


def test_without_it_the_drifted_channel_drowns_the_others() -> None:
    """What the test above would not see if the grid could hold both."""
    net = quantised(drifted())
    net.observe(CALIBRATION)
    at = net.index["stage1.0.transition.conv"]
    others = loudness(net, "stage1.0.transition.conv")[1:]
    assert others.max() < 4 * net.scales[at]


def test_pruned_weights_stay_zero() -> None:
    network = drifted()
    with torch.no_grad():
        network.get_submodule("stage1.0.freq_dw").weight[1, 0, 0, 0] = 0  # type: ignore[index, operator]
    net = quantised(network)
    equalise(net, CALIBRATION)
    step = next(step for step in net.ordered() if isinstance(step, ConvStep) and step.name == "stage1.0.freq_dw")
    assert step.weight[1, 0, 0, 0] == 0 and step.mask[1, 0, 0, 0] == 0


class Forked(nn.Module):
    """A convolution that a depth-wise one and a sum read: its loudness is not free."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 1)
        self.second = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        both: Tensor = self.add(y, self.second(y))
        return both


class Dense(nn.Module):
    """A dense convolution behind another: one step of its weights serves all of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x))
        return y


@pytest.mark.parametrize("toy", [Forked, Dense])
def test_channels_whose_loudness_is_not_free_are_left(toy: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = toy()
    with torch.no_grad():
        network.get_parameter("first.weight")[0] *= LOUD
    net = quantised(network)
    before = {name: value.clone() for name, value in net.named_parameters()}
    equalise(net, CALIBRATION)
    assert all(torch.equal(value, before[name]) for name, value in net.named_parameters())


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-4, 1e4)), min_size=1, max_size=12))
def test_what_stands_out_comes_within_half_an_octave_of_the_middle_one_and_the_rest_stays(maxima: list[float]) -> None:
    found = torch.tensor(maxima)
    moved = octaves(found)
    assert torch.equal(moved, moved.round())
    assert bool((moved[found == 0] == 0).all())
    heard = found > 0
    if heard.any():
        before = found[heard].log2() - found[heard].median().log2()
        after, steps = before + moved[heard], moved[heard].abs()
        stays = (steps == 0) & (before.abs() <= LEAST - 0.5 + 1e-4)
        moves = (steps >= LEAST) & ((after.abs() <= 0.5 + 1e-4) | (steps == MOST))
        assert bool((stays | moves).all())


def test_a_silent_tensor_is_left() -> None:
    assert np.array_equal(octaves(torch.zeros(3)).numpy(), np.zeros(3))
