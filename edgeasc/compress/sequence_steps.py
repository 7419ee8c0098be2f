"""Fake-quantised operators of networks on sequences: data on the move, rectifiers with a slope."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeasc.compress.steps import LogisticStep, MulStep, Step, Tensors, straight_through
from edgeasc.errors import BadInput
from edgeasc.graph import model as graph
from edgeasc.graph.kernels.moves import move
from edgeasc.graph.kernels.rectify import portable_slopes
from edgeasc.graph.model import Moved, Node
from edgeasc.nn.sequence import ChannelSlice, FirstToken, Multiply, Regroup


class MovedStep(Step):
    """Integers handed on in another shape; `make` gives the operator for an input's shape."""

    grid, rounds = "input", False

    def __init__(self, name: str, inputs: tuple[str, ...], make: Callable[[tuple[int, ...]], Moved]) -> None:
        super().__init__(name, inputs)
        self.make = make

    def forward(self, x: Tensor) -> Tensor:
        moved: Tensor = move(x, self.make(tuple(x.shape)))
        return moved

    def node(self, tensors: Tensors) -> Node:
        return self.make(tensors[self.inputs[0]].shape)


class LeakyReluStep(Step):
    """`x`, times one slope where it is negative."""

    def __init__(self, name: str, inputs: tuple[str, ...], slope: float) -> None:
        super().__init__(name, inputs)
        self.slope = float(np.float32(slope))  # as a file keeps it

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope)

    def node(self, tensors: Tensors) -> Node:
        return graph.LeakyRelu(self.name, self.inputs, self.name, slope=self.slope)


class PReluStep(Step):
    """`x`, times a trained slope of its channel, or one for all, where it is negative."""

    def __init__(self, name: str, inputs: tuple[str, ...], slope: Tensor) -> None:
        super().__init__(name, inputs)
        self.slope = nn.Parameter(slope)

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.slope)

    def fake(self, x: Tensor, tensors: Tensors) -> Tensor:
        """The layer with slopes on their int8 grid; gradients go straight through."""
        frozen = self.node(tensors)
        on_grid = torch.from_numpy(frozen.slope * frozen.slope_scale).to(self.slope)
        return F.prelu(x, straight_through(self.slope, on_grid))

    def node(self, tensors: Tensors) -> graph.PRelu:
        slope = self.slope.detach().cpu().numpy().astype(np.float32)
        largest = np.abs(slope).max()
        scale = np.float32((largest if largest > 0 else np.float32(1)) / np.float32(127))
        integers = np.clip(np.rint(slope / scale), -127, 127).astype(np.int8)
        node = graph.PRelu(self.name, self.inputs, self.name, slope=integers, slope_scale=scale)
        return portable_slopes(node, tensors[self.inputs[0]], tensors[self.name])


Inputs = tuple[str, ...]


def _pad(name: str, inputs: Inputs, module: nn.Module) -> Step:
    assert isinstance(module, nn.ReflectionPad2d)
    left, right, top, bottom = module.padding
    if top or bottom:
        raise BadInput(
            "compress", f"layer {name!r}: reflection along frequency has no quantised form; along time it has"
        )
    return MovedStep(name, inputs, lambda shape: graph.Pad(name, inputs, name, before=left, after=right))


def _slice(name: str, inputs: Inputs, module: nn.Module) -> Step:
    assert isinstance(module, ChannelSlice)
    start, stop = module.start, module.stop
    return MovedStep(name, inputs, lambda shape: graph.Slice(name, inputs, name, axis="C", start=start, stop=stop))


def _first(name: str, inputs: Inputs, module: nn.Module) -> Step:
    return MovedStep(name, inputs, lambda shape: graph.Slice(name, inputs, name, axis="T", start=0, stop=1))


def _regroup(name: str, inputs: Inputs, module: nn.Module) -> Step:
    assert isinstance(module, Regroup)
    channels = module.channels

    def make(shape: tuple[int, ...]) -> Moved:
        return graph.Regroup(name, inputs, name, channels=channels or shape[1] * shape[2])

    return MovedStep(name, inputs, make)


def _leaky(name: str, inputs: Inputs, module: nn.Module) -> Step:
    assert isinstance(module, nn.LeakyReLU)
    if module.negative_slope < 0:
        raise BadInput("compress", f"layer {name!r}: a negative slope of {module.negative_slope} has no quantised form")
    return LeakyReluStep(name, inputs, module.negative_slope)


def _prelu(name: str, inputs: Inputs, module: nn.Module) -> Step:
    assert isinstance(module, nn.PReLU)
    return PReluStep(name, inputs, module.weight.detach().clone())


SEQUENCE_STEPS: dict[type[nn.Module], Callable[[str, Inputs, nn.Module], Step]] = {
    nn.ReflectionPad2d: _pad,
    nn.LeakyReLU: _leaky,
    nn.PReLU: _prelu,
    nn.Sigmoid: lambda name, inputs, module: LogisticStep(name, inputs),
    Multiply: lambda name, inputs, module: MulStep(name, inputs),
    ChannelSlice: _slice,
    FirstToken: _first,
    Regroup: _regroup,
}
