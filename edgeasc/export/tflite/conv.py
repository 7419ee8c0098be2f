"""Convolutions in TensorFlow Lite: padding made explicit where SAME differs, sub-bands as sliced convolutions.

A banded layer is PAD -> SLICE per band -> convolution (VALID) per band -> CONCATENATION. The bands share their integers
(times the sign of the gain) and differ in scale and bias, so that every output is rounded once, at one output scale.
A norm over the mels has a band for every row of its one channel: there the rows become channels, and back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.export.tflite.operators import ACTIVATIONS, NO_ACTIVATION, SAME, VALID, Emitter
from edgeasc.graph.model import Conv, QTensor

MAX_EFFECTIVE_SCALE = 256
MOST_PARTS = 10  # that TensorFlow Lite Micro concatenates


@dataclass(frozen=True)
class _Window:
    """How outputs see inputs along one axis."""

    size: int  # input
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        return (self.kernel - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        return (self.size + self.before + self.after - self.reach) // self.stride + 1

    @property
    def used_after(self) -> int:
        """Padding at the end that some output sees (never negative; unseen input needs no padding)."""
        return max(0, (self.outputs - 1) * self.stride + self.reach - self.size - self.before)

    @property
    def is_valid(self) -> bool:
        return self.before == 0 and self.used_after == 0

    @property
    def is_same(self) -> bool:
        """Whether SAME of TensorFlow Lite, which puts the odd one at the end, pads alike."""
        if self.outputs != -(-self.size // self.stride):
            return False
        total = max(0, (self.outputs - 1) * self.stride + self.reach - self.size)
        return self.before == total // 2


def _windows(node: Conv, source: QTensor) -> tuple[_Window, _Window]:
    f, t = (
        _Window(
            size=source.shape[2 + axis],
            kernel=node.weight.shape[2 + axis],
            stride=node.stride[axis],
            dilation=node.dilation[axis],
            before=node.padding[axis],
            after=node.padding[2 + axis],
        )
        for axis in range(2)
    )
    return f, t


def lower_conv(node: Conv, emitter: Emitter) -> None:
    """Write a dense or depth-wise convolution.

    Raises:
        BadInput: a grouped convolution that is neither.
    """
    if node.groups != 1 and not node.depthwise:
        raise BadInput(
            "tflite", f"{node.name}: a convolution with {node.groups} groups is neither dense nor depth-wise"
        )
    source, output = emitter.graph[node.inputs[0]], emitter.graph[node.output]
    windows = _windows(node, source)
    index = emitter.source(node.inputs[0])
    if _bands_differ(node) and node.bands > MOST_PARTS:
        _lower_rows(node, emitter, index)
        return
    if _bands_differ(node):
        _lower_bands(node, emitter, index, windows)
        return
    padding = VALID
    if not all(window.is_valid for window in windows):
        if all(window.is_same for window in windows):
            padding = SAME
        else:
            index = _pad(node, emitter, index, source, windows)
    result = emitter.output(node.output, node.name)
    _convolve(node, emitter, node.name, 0, index, result, padding, (source, output))


def _bands_differ(node: Conv) -> bool:
    return any(bool(np.any(part != part[0])) for part in (node.scale, node.sign, node.bias))


def _pad(node: Conv, emitter: Emitter, index: int, source: QTensor, windows: tuple[_Window, _Window]) -> int:
    f, t = windows
    amounts = np.array([[0, 0], [f.before, f.used_after], [t.before, t.used_after], [0, 0]], dtype=np.int32)
    shape = tuple(size + int(sum(amount)) for size, amount in zip(emitter.shape(index), amounts, strict=True))
    where = emitter.constant(f"{node.name}/pad/amounts", amounts)
    return emitter.operator(
        "PAD", 2, [index, where], emitter.quantised(f"{node.name}/pad", shape, source), "PadOptions"
    )


def _lower_bands(node: Conv, emitter: Emitter, index: int, windows: tuple[_Window, _Window]) -> None:
    source, output = emitter.graph[node.inputs[0]], emitter.graph[node.output]
    if not all(window.is_valid for window in windows):
        index = _pad(node, emitter, index, source, windows)
    f = windows[0]
    per_band = f.outputs // node.bands
    rows = (per_band - 1) * f.stride + f.reach
    _, _, frames, channels = emitter.shape(index)
    _, out_channels, _, out_frames = output.shape
    extent = emitter.constant(f"{node.name}/slice/size", np.array([1, rows, frames, channels], dtype=np.int32))
    parts = []
    for band in range(node.bands):
        name = f"{node.name}/b{band}"
        begin = emitter.constant(f"{name}/slice/begin", np.array([0, band * per_band * f.stride, 0, 0], dtype=np.int32))
        cut = emitter.quantised(f"{name}/slice", (1, rows, frames, channels), source)
        emitter.operator("SLICE", 2, [index, begin, extent], cut, "SliceOptions")
        part = emitter.quantised(name, (1, per_band, out_frames, out_channels), output)
        parts.append(_convolve(node, emitter, name, band, cut, part, VALID, (source, output)))
    result = emitter.output(node.output, node.name)
    emitter.operator(
        "CONCATENATION", 2, parts, result, "ConcatenationOptions", Axis=1, FusedActivationFunction=NO_ACTIVATION
    )


def _lower_rows(node: Conv, emitter: Emitter, index: int) -> None:
    """One tap on one channel with a band for every row: a depth-wise convolution whose channels are the rows."""
    source, output = emitter.graph[node.inputs[0]], emitter.graph[node.output]
    _, channels, rows, frames = output.shape
    plain = node.weight.size == 1 and node.stride == (1, 1) and not any(node.padding)
    if not plain or channels != 1 or node.bands != rows:
        raise BadInput("tflite", f"{node.name}: {node.bands} bands; at most {MOST_PARTS}, or one tap on every row")
    turn = emitter.constant(f"{node.name}/turn", np.array([0, 3, 2, 1], np.int32))
    turned = emitter.quantised(f"{node.name}/turned", (1, 1, frames, rows), source)
    emitter.operator("TRANSPOSE", 2, [index, turn], turned, "TransposeOptions")
    name, scale = f"{node.name}/rows", np.concatenate([_scale(node, band, source, output) for band in range(rows)])
    weight = (node.weight.item() * node.sign[:, 0]).astype(np.int8).reshape(1, 1, 1, rows)
    weight_index = emitter.constant(f"{name}/weight", weight, scale, axis=3)
    bias_scale = (source.scale * scale).astype(np.float32)
    bias_index = emitter.constant(f"{name}/bias", node.bias[:, 0].astype(np.int32), bias_scale)
    result = emitter.quantised(name, (1, 1, frames, rows), output)
    emitter.operator(
        "DEPTHWISE_CONV_2D", 3, [turned, weight_index, bias_index], result, "DepthwiseConv2DOptions",
        DepthMultiplier=1, Padding=VALID, StrideH=1, StrideW=1, DilationHFactor=1, DilationWFactor=1,
        FusedActivationFunction=ACTIVATIONS[node.activation],
    )  # fmt: skip
    emitter.operator("TRANSPOSE", 2, [result, turn], emitter.output(node.output, node.name), "TransposeOptions")


def _convolve(
    node: Conv,
    emitter: Emitter,
    name: str,
    band: int,
    index: int,
    result: int,
    padding: int,
    ends: tuple[QTensor, QTensor],
) -> int:
    """One convolution operator with the constants of `band`."""
    source, output = ends
    scale = _scale(node, band, source, output)
    sign = node.sign[band].astype(np.int8)[:, None, None, None]
    weight = node.weight * sign  # [C_out, C_in / groups, k_f, k_t]
    axes, axis = ((1, 2, 3, 0), 3) if node.depthwise else ((0, 2, 3, 1), 0)
    weight_index = emitter.constant(f"{name}/weight", np.ascontiguousarray(weight.transpose(axes)), scale, axis=axis)
    bias_scale = (source.scale * scale).astype(np.float32)
    bias_index = emitter.constant(f"{name}/bias", node.bias[band].astype(np.int32), bias_scale)
    options = {
        "Padding": padding,
        "StrideH": node.stride[0],
        "StrideW": node.stride[1],
        "DilationHFactor": node.dilation[0],
        "DilationWFactor": node.dilation[1],
        "FusedActivationFunction": ACTIVATIONS[node.activation],
    }
    inputs = [index, weight_index, bias_index]
    if node.depthwise:
        return emitter.operator(
            "DEPTHWISE_CONV_2D", 3, inputs, result, "DepthwiseConv2DOptions", DepthMultiplier=1, **options
        )
    return emitter.operator("CONV_2D", 3, inputs, result, "Conv2DOptions", **options)


def _scale(node: Conv, band: int, source: QTensor, output: QTensor) -> NDArray[np.float32]:
    """Weight scales of a band, the graph's own; positive and within what every runtime requantises."""
    scale = node.scale[band].astype(np.float32)
    effective = source.scale.astype(np.float64) * scale / output.scale
    # XNNPACK fails to build its runtime, and may crash, from 256 on; below 2^-31 the reference kernels flush to zero.
    if not np.all((effective < MAX_EFFECTIVE_SCALE) & (scale > 0)):
        worst = float(effective[np.argmax(np.abs(effective))])
        raise BadInput(
            "tflite",
            f"{node.name}: input scale * weight scale / output scale is {worst:.3g} in a channel; "
            f"it must be positive and below {MAX_EFFECTIVE_SCALE}",
        )
    return scale
