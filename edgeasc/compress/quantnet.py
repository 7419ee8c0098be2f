"""The network that trains on the integer grid: steps in order, one int8 grid behind each, three ways to run it.

* `float`: no grid; what the folded network computes. Used to observe ranges.
* `fake`: every tensor rounded to its grid, weights and biases to theirs (straight-through gradients).
* `exact`: as `fake`, with each value replaced by the one that the integer kernels give; the gradient is that of `fake`.

`freeze` turns it into the IntegerGraph whose reference equals the `exact` forward, integer for integer.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from edgeasc.compress.exact import ExactKernels
from edgeasc.compress.fold import INPUT, fold_network
from edgeasc.compress.sequence_steps import LeakyReluStep, PReluStep
from edgeasc.compress.steps import (
    AddStep,
    AvgPoolStep,
    Constant,
    ConvStep,
    LogisticStep,
    RsqrtStep,
    Step,
    straight_through,
)
from edgeasc.graph.kernels.conv import conv_parameters
from edgeasc.graph.kernels.elementwise import portable_sum_scale
from edgeasc.graph.kernels.rectify import portable_output_scale, portable_slope_scale
from edgeasc.graph.kernels.unary import portable_rsqrt_scale
from edgeasc.graph.model import Form, IntegerGraph, Node, QTensor
from edgeasc.graph.shapes import output_shape

Mode = Literal["float", "fake", "exact"]
LOGISTIC_GRID = (1.0 / 256.0, -128)
SMALLEST_SCALE = 1e-7


class QuantNet(nn.Module):
    """The folded, fake-quantised form of a network: `[B, 1, F, T] -> logits [B, n]`.

    Args:
        network: a trained network of `edgeasc.nn`, on the CPU.
        form: `int8`, or `island`, which keeps what has no int8 form as float regions.
        input_shape: `(1, 1, n_mels, n_frames)`, the shape that `freeze` fixes.
    """

    scales: Tensor
    zero_points: Tensor
    lows: Tensor
    highs: Tensor

    def __init__(self, network: nn.Module, form: Form, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.form, self.input_shape = form, input_shape
        self.mode: Mode = "float"
        self.observing = False
        self.steps = nn.ModuleList(fold_network(network, form))
        names = [INPUT, *(step.name for step in self.ordered())]
        self.index = {name: position for position, name in enumerate(names)}
        self.register_buffer("scales", torch.ones(len(names)))
        self.register_buffer("zero_points", torch.zeros(len(names), dtype=torch.int32))
        self.register_buffer("lows", torch.zeros(len(names)))
        self.register_buffer("highs", torch.zeros(len(names)))
        self.kernels = ExactKernels(form)
        self.shapes = self._infer_shapes()
        self.done_after = self._last_readers()

    def ordered(self) -> Iterator[Step]:
        """The steps, in execution order."""
        for step in self.steps:
            assert isinstance(step, Step)
            yield step

    @property
    def output(self) -> str:
        """Name of the logits."""
        return list(self.index)[-1]

    def forward(self, x: Tensor) -> Tensor:
        tensors = None if self.mode == "float" else self.tensors()
        values = {INPUT: self.place(INPUT, x)}
        for step in self.ordered():
            inputs = [values[name] for name in step.inputs]
            if isinstance(step, Constant):
                values[step.name] = self.place(step.name, step(x)) if step.rounds and tensors else step(x)
            elif tensors is None:
                values[step.name] = step(*inputs)
                self._observe(step.name, values[step.name], step)
            else:
                with torch.set_grad_enabled(torch.is_grad_enabled() and not step.inside):
                    values[step.name] = self._on_grid(step, inputs, tensors)
                if step.surrogate is not None:
                    values[step.name] = step.surrogate.attach(values[step.name], values[step.surrogate.source])
            for name in self.done_after[step.name]:
                del values[name]  # without gradients their memory is free
        return values[self.output]

    def _last_readers(self) -> dict[str, list[str]]:
        """Which tensors nobody reads after each step, by its name."""
        last = {}
        for step in self.ordered():
            sources = [step.surrogate.source] if step.surrogate is not None else []
            last.update(dict.fromkeys([*step.inputs, *sources], step.name))
        done: dict[str, list[str]] = {step.name: [] for step in self.ordered()}
        for name, reader in last.items():
            done[reader].append(name)
        return done

    def _on_grid(self, step: Step, inputs: list[Tensor], tensors: dict[str, QTensor]) -> Tensor:
        y = step.fake(inputs[0], tensors) if isinstance(step, ConvStep | AvgPoolStep | PReluStep) else step(*inputs)
        y = self.place(step.name, y) if step.rounds else y
        if self.mode == "exact" and step.rounds:
            with torch.no_grad():
                integers = [self.integers(name, value) for name, value in zip(step.inputs, inputs, strict=True)]
                exact = self.kernels.apply(step.node(tensors), tensors, integers)
            y = straight_through(y, self.reals(step.name, exact))
        return y

    def place(self, name: str, x: Tensor) -> Tensor:
        """`x` rounded to the grid of tensor `name` (half to even), values outside clipped and without gradient."""
        if self.mode == "float":
            if name == INPUT:
                self._observe(name, x, None)
            return x
        at = self.index[name]
        return torch.fake_quantize_per_tensor_affine(x, self.scales[at], self.zero_points[at], -128, 127)

    def integers(self, name: str, value: Tensor) -> Tensor:
        """int64 integers of a value that lies on the grid of `name`."""
        at = self.index[name]
        return torch.round(value / self.scales[at]).long() + self.zero_points[at]

    def reals(self, name: str, integers: Tensor) -> Tensor:
        """float32 values of integers on the grid of `name`."""
        at = self.index[name]
        return (integers - self.zero_points[at]).float() * self.scales[at]

    # Ranges and grids

    def _observe(self, name: str, value: Tensor, step: Step | None) -> None:
        if not self.observing:
            return
        with torch.no_grad():
            at = self.index[name]
            low, high = value.aminmax() if step is None else step.range_of(value)
            self.lows[at] += low.clamp_max(0)
            self.highs[at] += high.clamp_min(0)

    @torch.no_grad()
    def observe(self, batches: Iterable[Tensor]) -> None:
        """Set every grid from the mean over batches of the smallest and largest value (zero always inside)."""
        mode, training = self.mode, self.training
        self.mode, self.observing = "float", True
        self.eval()
        self.lows.zero_()
        self.highs.zero_()
        count = 0
        for batch in batches:
            self(batch)
            count += 1
        self.mode, self.observing = mode, False
        self.train(training)
        self.set_grids(self.lows / count, self.highs / count)

    def set_grids(self, lows: Tensor, highs: Tensor) -> None:
        """Scale and zero point of every tensor from its range; fixed and shared grids follow their operators."""
        scales = ((highs.double() - lows.double()) / 255).clamp_min(SMALLEST_SCALE).float()
        zero_points = torch.round(-128 - lows / scales).clamp(-128, 127).int()
        for step in self.ordered():
            at = self.index[step.name]
            if isinstance(step, Constant):
                scales[at], zero_points[at] = float(step.scale), 0
            elif isinstance(step, LogisticStep):
                scales[at], zero_points[at] = LOGISTIC_GRID
            elif isinstance(step, LeakyReluStep):
                before = self.index[step.inputs[0]]
                source = QTensor(step.inputs[0], (1,), np.float32(scales[before]), int(zero_points[before]))
                scales[at] = float(portable_slope_scale(source, float(scales[at]), step.slope))
                zero_points[at] = torch.round(-128 - lows[at] / scales[at]).clamp(-128, 127).int()
            elif isinstance(step, PReluStep) and self.form == "int8":
                before = self.index[step.inputs[0]]
                source, output = (
                    QTensor(name, (1,), np.float32(scales[place]), int(zero_points[place]))
                    for name, place in ((step.inputs[0], before), (step.name, at))
                )
                scales[at] = float(portable_output_scale(source, output))
            elif type(step) is AddStep:  # those inside a normalisation in int8 keep what their tables are made for
                first, second = (np.float32(scales[self.index[name]]) for name in step.inputs)
                scales[at] = float(portable_sum_scale(first, second, np.float32(scales[at])))
                zero_points[at] = torch.round(-128 - lows[at] / scales[at]).clamp(-128, 127).int()
            elif step.grid == "input":
                before = self.index[step.inputs[0]]
                scales[at], zero_points[at] = scales[before], zero_points[before]
        self.scales.copy_(scales)
        self.zero_points.copy_(zero_points)
        self._agree_on_rsqrt()

    def _agree_on_rsqrt(self) -> None:
        """Move the output scale of every RSQRT by a few units in the last place, to where all runtimes agree."""
        tensors = self.tensors()
        for step in self.ordered():
            if isinstance(step, RsqrtStep):
                source, output = tensors[step.inputs[0]], tensors[step.name]
                self.scales[self.index[step.name]] = float(portable_rsqrt_scale(source, output, self.form))

    def tensors(self) -> dict[str, QTensor]:
        """The grids as tensors of the integer graph."""
        scales = self.scales.detach().cpu().numpy().astype(np.float32)
        zero_points = self.zero_points.detach().cpu().numpy()
        tensors = {
            name: QTensor(name, self.shapes[name], scales[at], int(zero_points[at])) for name, at in self.index.items()
        }
        constants = [step for step in self.ordered() if isinstance(step, Constant)]
        tensors.update({step.name: step.tensor(tensors[step.name]) for step in constants})
        return tensors

    def _infer_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {INPUT: self.input_shape}
        tensors = {name: QTensor(name, (1,), np.float32(1), 0) for name in self.index}
        for step in self.ordered():
            if isinstance(step, Constant):
                shapes[step.name] = step.shape
            else:
                for name in step.inputs:
                    tensors[name] = replace(tensors[name], shape=shapes[name])
                shapes[step.name] = output_shape(step.node(tensors), [shapes[name] for name in step.inputs])
        return shapes

    def resized(self, n_frames: int) -> QuantNet:
        """A copy for inputs of another length; weights and grids are the same."""
        net = copy.deepcopy(self)
        net.input_shape = (*self.input_shape[:3], n_frames)
        net.shapes = net._infer_shapes()
        net.kernels = ExactKernels(self.form)  # means divide by the length
        return net

    def freeze(self, metadata: dict[str, str] | None = None) -> IntegerGraph:
        """The integer graph that the `exact` forward computes.

        Raises:
            BadInput: an accumulator that could leave int32, by layer.
        """
        tensors = self.tensors()
        nodes: list[Node] = [step.node(tensors) for step in self.ordered() if not isinstance(step, Constant)]
        graph = IntegerGraph(self.form, INPUT, self.output, tensors, tuple(nodes), dict(metadata or {}))
        for node in graph.convs():
            conv_parameters(node, graph[node.inputs[0]], graph[node.output], self.form)  # checks its accumulators
        return graph


@contextmanager
def running(net: QuantNet, mode: Mode) -> Iterator[QuantNet]:
    """`net` in `mode`, put back afterwards."""
    before, net.mode = net.mode, mode
    try:
        yield net
    finally:
        net.mode = before
