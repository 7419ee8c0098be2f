"""One fake-quantised operator each: float forward for training, and the frozen integer node it stands for.

A step computes on real values; `edgeasc.compress.quantnet` puts the int8 grid behind every step. `grid` says where the
output's grid comes from: `own` (observed), `input` (that of the first input) or `fixed` (given by the operator).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeasc.compress.exact import convolve_once
from edgeasc.compress.ranges import LINEAR, OCTAVES, Error, absolute, best_range, of_mean, relative
from edgeasc.graph import model as graph
from edgeasc.graph.bands import band_scales, snap_bias
from edgeasc.graph.model import Axis, Node, QTensor
from edgeasc.graph.shapes import AXES

Tensors = Mapping[str, QTensor]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, smooth: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(smooth: Tensor, value: Tensor) -> Tensor:
    """Exactly `value`, with the gradient of `smooth`."""
    return _StraightThrough.apply(smooth, value.detach())


class Surrogate:
    """The float function that a chain of steps computes: the gradient takes this way, from `source` to the chain's end.

    Chains with a small quantised number below a root or a quotient have gradients that no training survives.
    """

    def __init__(self, source: str, function: Callable[[Tensor], Tensor]) -> None:
        self.source, self.function = source, function

    def attach(self, value: Tensor, source: Tensor) -> Tensor:
        """`value`, with the gradient of the function at `source`."""
        return straight_through(self.function(source), value)


class Step(nn.Module):
    """An operator with a name, the names of its inputs, and a frozen form."""

    grid = "own"
    error: Error = staticmethod(absolute)
    parts = LINEAR
    rounds = True  # its values have to be put on the output's grid
    inside = False  # a link of a chain whose gradient goes through the chain's `surrogate` instead
    surrogate: Surrogate | None = None

    def __init__(self, name: str, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.name, self.inputs = name, inputs

    def range_of(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest and largest value that the grid must hold."""
        return best_range(value, self.error, self.parts)

    def node(self, tensors: Tensors) -> Node:
        """The frozen operator on the given grids."""
        raise NotImplementedError


class Constant(Step):
    """A positive scalar that the graph keeps as an int8 constant: the integer 127 on the grid value / 127."""

    grid, rounds = "fixed", False
    shape: tuple[int, ...] = (1, 1, 1, 1)

    def __init__(self, name: str, value: float) -> None:
        super().__init__(name, ())
        self.value = value

    def forward(self, like: Tensor) -> Tensor:
        return torch.full((1, 1, 1, 1), float(self.scale * 127), dtype=like.dtype, device=like.device)

    @property
    def scale(self) -> np.float32:
        return np.float32(self.value / 127)

    def tensor(self, grid: QTensor) -> QTensor:
        """The constant with its integers, on the grid that the network keeps for it."""
        return QTensor(self.name, self.shape, self.scale, 0, np.full(self.shape, 127, np.int8))


class ConvStep(Step):
    """Convolution with folded norm, optional sub-band gains, and ReLU.

    Args:
        weight: [C_out, C_in / groups, k_f, k_t]; exact zeros are pruned and stay zero.
        offset: [C_out], or [C_out, bands] with gains.
        gain: [C_out, bands] or None.
        without_bias: the layer has neither bias nor norm: its offset stays zero and is not trained.
        is_norm: a norm that no convolution swallowed: one tap per channel; pruning leaves it and its offsets alone.
        is_fixed: its weights are no parameters: neither trained nor pruned.
        zeros: rows and frames of zeros around the input, beyond the layer's own padding.
    """

    def __init__(
        self,
        name: str,
        inputs: tuple[str, ...],
        conv: nn.Conv2d,
        weight: Tensor,
        offset: Tensor,
        gain: Tensor | None,
        *,
        relu: bool,
        without_bias: bool,
        is_norm: bool = False,
        is_fixed: bool = False,
        zeros: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> None:
        super().__init__(name, inputs)
        self.is_norm, self.is_fixed = is_norm, is_fixed
        self.stride, self.dilation = _two(conv.stride), _two(conv.dilation)
        f, t = _two(conv.padding)
        before, after = (f + zeros[0], t + zeros[1]), (f + zeros[2], t + zeros[3])
        self.padding = (*before, *after)
        self.groups, self.relu = conv.groups, relu
        self.weight = nn.Parameter(weight, requires_grad=not is_fixed)
        self.offset = nn.Parameter(offset, requires_grad=not without_bias)
        self.gain = None if gain is None else nn.Parameter(gain)
        self.mask: Tensor
        self.register_buffer("mask", (weight != 0).to(weight.dtype))
        self.offset_mask: Tensor
        self.register_buffer("offset_mask", torch.ones_like(offset))

    @property
    def is_banded(self) -> bool:
        """Whether it has sub-band biases, of which a budget may take some."""
        return self.gain is not None and not self.is_norm

    def forward(self, x: Tensor) -> Tensor:
        return self.affine(x, self.weight * self.mask, self.offset * self.offset_mask)

    def affine(self, x: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
        """The layer with the given weights and offsets."""
        bias = offset if self.gain is None else None
        before_f, before_t, after_f, after_t = self.padding
        padding = (before_f, before_t)
        if (after_f, after_t) != padding:
            x, padding = F.pad(x, (before_t, after_t, before_f, after_f)), (0, 0)
        y = F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)
        if self.gain is not None:
            height = y.shape[2] // self.gain.shape[1]
            gain, offset = (v.repeat_interleave(height, 1)[None, :, :, None] for v in (self.gain, offset))
            y = y * gain + offset
        return F.relu(y) if self.relu else y

    def fake(self, x: Tensor, tensors: Tensors) -> Tensor:
        """The layer with weights and offsets on their integer grids; gradients go straight through.

        Without gradients its sums are those of integers, whose roundings no order of summing decides.
        """
        frozen = self.node(tensors)
        if not torch.is_grad_enabled():
            return convolve_once(frozen, tensors, x)
        scale = self.weight_scale(tensors)
        on_grid = torch.from_numpy(frozen.weight * scale[:, None, None, None]).to(self.weight)
        weight = straight_through(self.weight * self.mask, on_grid)
        grid = float(tensors[self.inputs[0]].scale) * frozen.scale.astype(np.float64)
        real = (frozen.bias * grid).astype(np.float32)  # [bands, C]
        on_grid = torch.from_numpy(np.ascontiguousarray(real[0] if self.gain is None else real.T)).to(self.offset)
        return self.affine(x, weight, straight_through(self.offset * self.offset_mask, on_grid))

    def weight_scale(self, tensors: Tensors) -> NDArray[np.float32]:
        """Per-channel weight scale max|w| / 127, not so small that the bias would leave int32.

        Nor so large that one step of weight times input is MAX_RATIO output steps or more, which runtimes refuse: the
        weights of so loud a channel are clipped, as its output would be. A channel without weights gets output scale /
        input scale, which makes its bias whole output steps.
        """
        weight = (self.weight.detach() * self.mask).cpu().numpy()
        largest = np.abs(weight).reshape(len(weight), -1).max(axis=1).astype(np.float32)
        s_in, s_out = tensors[self.inputs[0]].scale, tensors[self.name].scale
        offset = (self.offset * self.offset_mask).detach().cpu().numpy().astype(np.float64)
        gain = np.ones_like(offset) if self.gain is None else self.gain.detach().cpu().numpy().astype(np.float64)
        reach = np.abs(offset) / np.maximum(np.abs(gain), 1e-30) / float(s_in) / MAX_BIAS
        # A band whose gain is almost zero is cut by `band_scales`; it must not coarsen the others.
        reach = np.where(np.abs(gain) * largest.reshape(-1, *[1] * (gain.ndim - 1)) * 1e6 < float(s_out), 0.0, reach)
        floor = reach.reshape(len(weight), -1).max(axis=1)
        loudest = np.abs(gain).reshape(len(weight), -1).max(axis=1) if self.gain is not None else 1.0
        ceiling = MAX_RATIO * float(s_out) / float(s_in) / np.maximum(loudest, 1e-30)
        scale = np.minimum(np.maximum(largest / np.float32(127), floor.astype(np.float32)), ceiling)
        return np.where(largest > 0, scale, s_out / s_in).astype(np.float32)

    def node(self, tensors: Tensors) -> graph.Conv:
        s_in, s_out = tensors[self.inputs[0]].scale, tensors[self.name].scale
        scale = self.weight_scale(tensors)
        own = (self.weight.detach() * self.mask).cpu().numpy()
        weight = np.clip(np.rint(own / scale[:, None, None, None]), -127, 127).astype(np.int8)
        offset = (self.offset * self.offset_mask).detach().cpu().numpy()
        if self.gain is None:
            scales, sign = band_scales(weight, scale, np.ones((1, len(scale)), np.float32), s_in, s_out)
            weight = weight * sign[0][:, None, None, None]  # a channel that cannot move the output is stored as zeros
            sign, offsets = np.ones_like(sign), offset[None]
        else:
            gain = np.ascontiguousarray(self.gain.detach().cpu().numpy().T)
            scales, sign = band_scales(weight, scale, gain, s_in, s_out)
            offsets = np.ascontiguousarray(offset.T)
        return graph.Conv(
            self.name,
            self.inputs,
            self.name,
            weight,
            scales,
            sign,
            snap_bias(offsets, s_in, scales),
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            activation="relu" if self.relu else "none",
        )


MAX_RATIO = 200.0  # input scale * weight scale / output scale; LiteRT fails from 256 on
MAX_BIAS = 2.0**24  # integers; leaves the accumulator room and survives float32


class AddStep(Step):
    """Sum with broadcasting, then optionally ReLU."""

    def __init__(self, name: str, inputs: tuple[str, ...], *, relu: bool) -> None:
        super().__init__(name, inputs)
        self.relu = relu

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return F.relu(left + right) if self.relu else left + right

    def node(self, tensors: Tensors) -> Node:
        return graph.Add(self.name, self.inputs, self.name, activation="relu" if self.relu else "none")


class SubStep(Step):
    """Difference with broadcasting."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left - right

    def node(self, tensors: Tensors) -> Node:
        return graph.Sub(self.name, self.inputs, self.name)


class MulStep(Step):
    """Product with broadcasting."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left * right

    def node(self, tensors: Tensors) -> Node:
        return graph.Mul(self.name, self.inputs, self.name)


class MeanStep(Step):
    """Mean over the axes named by letters C, F, T."""

    def __init__(self, name: str, inputs: tuple[str, ...], axes: str, keep: bool) -> None:
        super().__init__(name, inputs)
        self.axes: tuple[Axis, ...] = tuple(axis for axis in ("C", "F", "T") if axis in axes)
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        return x.mean([AXES[axis] for axis in self.axes], keepdim=self.keep)

    def node(self, tensors: Tensors) -> Node:
        return graph.Mean(self.name, self.inputs, self.name, axes=self.axes, keep=self.keep)


class MaxPoolStep(Step):
    """Maximum over windows; integers pass unchanged, so the grid does too."""

    grid, rounds = "input", False

    def __init__(self, name: str, inputs: tuple[str, ...], kernel: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__(name, inputs)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel, self.stride)

    def node(self, tensors: Tensors) -> Node:
        return graph.MaxPool(self.name, self.inputs, self.name, kernel=self.kernel, stride=self.stride)


class TimeMaxStep(Step):
    """Maximum over time, one window over all frames."""

    grid, rounds = "input", False

    def forward(self, x: Tensor) -> Tensor:
        return x.amax(3, keepdim=True)

    def node(self, tensors: Tensors) -> Node:
        kernel = (1, tensors[self.inputs[0]].shape[3])
        return graph.MaxPool(self.name, self.inputs, self.name, kernel=kernel, stride=(1, 1))


class AvgPoolStep(Step):
    """Mean over windows on the input's grid, then optionally ReLU."""

    grid = "input"

    def __init__(
        self, name: str, inputs: tuple[str, ...], kernel: tuple[int, int], stride: tuple[int, int], *, relu: bool
    ) -> None:
        super().__init__(name, inputs)
        self.kernel, self.stride, self.relu = kernel, stride, relu

    def forward(self, x: Tensor) -> Tensor:
        y = F.avg_pool2d(x, self.kernel, self.stride)
        return F.relu(y) if self.relu else y

    def fake(self, x: Tensor, tensors: Tensors) -> Tensor:
        """The layer on integers, halves away from zero; on reals the last bit would decide a quarter of all means."""
        grid = tensors[self.inputs[0]]
        scale, zero_point = float(grid.scale), grid.zero_point
        with torch.no_grad():
            means = F.avg_pool2d(torch.round(x / scale) + zero_point, self.kernel, self.stride)
            whole = torch.trunc(means + torch.copysign(torch.full_like(means, 0.5), means))
            low = zero_point if self.relu else -128
            on_grid = (whole.clamp_min(low) - zero_point) * scale
        return straight_through(self.forward(x), on_grid)

    def node(self, tensors: Tensors) -> Node:
        activation: graph.Activation = "relu" if self.relu else "none"
        return graph.AvgPool(
            self.name, self.inputs, self.name, kernel=self.kernel, stride=self.stride, activation=activation
        )


class LogisticStep(Step):
    """Sigmoid on TFLite's fixed grid 1/256, zero point -128."""

    grid = "fixed"

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def node(self, tensors: Tensors) -> Node:
        return graph.Logistic(self.name, self.inputs, self.name)


class SquareStep(MulStep):
    """The squares inside a variance."""

    error = staticmethod(of_mean)
    parts = OCTAVES


class VarianceStep(MeanStep):
    """The mean of squares, positive and of any size."""

    error = staticmethod(relative)
    parts = OCTAVES


class FlooredStep(AddStep):
    """Variance plus eps, positive and of any size."""

    error = staticmethod(relative)
    parts = OCTAVES


class RsqrtStep(Step):
    """Inverse square root.

    Bins that are all but silent have gains many times larger than the others. A grid that held them would leave the
    usual gains a handful of steps; cut off, such bins are amplified less, which changes little.
    """

    error = staticmethod(relative)
    parts = OCTAVES

    def forward(self, x: Tensor) -> Tensor:
        return torch.rsqrt(x.clamp_min(1e-6))

    def node(self, tensors: Tensors) -> Node:
        return graph.Rsqrt(self.name, self.inputs, self.name)


class SiluStep(Step):
    """Float region `x * sigmoid(x)`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)

    def node(self, tensors: Tensors) -> Node:
        return graph.Silu(self.name, self.inputs, self.name)


class ResNormStep(Step):
    """Float region `lam * x + (x - mean) / sqrt(var + eps)` over channels and time."""

    def __init__(self, name: str, inputs: tuple[str, ...], lam: float, eps: float) -> None:
        super().__init__(name, inputs)
        self.lam, self.eps = lam, eps

    def forward(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, dim=(1, 3), correction=0, keepdim=True)
        return self.lam * x + (x - mean) * torch.rsqrt(var + self.eps)

    def node(self, tensors: Tensors) -> Node:
        lam, eps = float(np.float32(self.lam)), float(np.float32(self.eps))  # as a file keeps them
        return graph.ResNorm(self.name, self.inputs, self.name, lam=lam, eps=eps)


def _two(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1]))
