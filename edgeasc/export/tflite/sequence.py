"""Operators of networks on sequences in TensorFlow Lite: mirrored padding, slices, axes shared out anew, slopes."""

from __future__ import annotations

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.export.tflite.operators import Emitter, nhwc_shape
from edgeasc.graph.model import LeakyRelu, Moved, Pad, PRelu, Regroup, Slice

REFLECT = 0


def _begin(node: Moved, emitter: Emitter) -> int:
    source, output = emitter.graph[node.inputs[0]], emitter.graph[node.output]
    if source.scale != output.scale or source.zero_point != output.zero_point:
        raise BadInput("tflite", f"{node.name}: {node.op} cannot change the scale")
    return emitter.source(node.inputs[0])


def lower_pad(node: Pad, emitter: Emitter) -> None:
    """MIRROR_PAD along time."""
    index = _begin(node, emitter)
    amounts = np.array([[0, 0], [0, 0], [node.before, node.after], [0, 0]], np.int32)
    where = emitter.constant(f"{node.name}/amounts", amounts)
    result = emitter.output(node.output, node.name)
    emitter.operator("MIRROR_PAD", 2, [index, where], result, "MirrorPadOptions", Mode=REFLECT)


def lower_slice(node: Slice, emitter: Emitter) -> None:
    """SLICE of channels or of time."""
    index = _begin(node, emitter)
    start = [0, 0, 0, 0]
    start[3 if node.axis == "C" else 2] = node.start
    begin = emitter.constant(f"{node.name}/begin", np.array(start, np.int32))
    shape = nhwc_shape(emitter.graph[node.output].shape)
    extent = emitter.constant(f"{node.name}/size", np.array(shape, np.int32))
    emitter.operator("SLICE", 2, [index, begin, extent], emitter.output(node.output, node.name), "SliceOptions")


def lower_regroup(node: Regroup, emitter: Emitter) -> None:
    """TRANSPOSE to channels before frequencies, RESHAPE, and back; one TRANSPOSE where one side has but one of them."""
    index = _begin(node, emitter)
    source, output = emitter.graph[node.inputs[0]], emitter.graph[node.output]
    _, channels, frequencies, frames = source.shape
    if {channels, frequencies} & {1} and {node.channels, output.shape[2]} & {1}:
        keep = channels == node.channels
        if keep:
            shape = emitter.constant(f"{node.name}/shape", np.array(nhwc_shape(output.shape), np.int32))
            result = emitter.output(node.output, node.name)
            emitter.operator("RESHAPE", 1, [index, shape], result, "ReshapeOptions")
            return
        _transpose(node, emitter, index, (0, 3, 2, 1), emitter.output(node.output, node.name), "turn")
        return
    turned = emitter.quantised(f"{node.name}/turned", (1, frames, channels, frequencies), source)
    _transpose(node, emitter, index, (0, 2, 3, 1), turned, "turn")
    sides = np.array([1, frames, *output.shape[1:3]], np.int32)
    shared = emitter.quantised(f"{node.name}/shared", tuple(int(side) for side in sides), source)
    emitter.operator("RESHAPE", 1, [turned, emitter.constant(f"{node.name}/shape", sides)], shared, "ReshapeOptions")
    _transpose(node, emitter, shared, (0, 3, 1, 2), emitter.output(node.output, node.name), "back")


def _transpose(node: Regroup, emitter: Emitter, index: int, axes: tuple[int, ...], result: int, part: str) -> None:
    order = emitter.constant(f"{node.name}/{part}", np.array(axes, np.int32))
    emitter.operator("TRANSPOSE", 2, [index, order], result, "TransposeOptions")


def lower_leaky_relu(node: LeakyRelu, emitter: Emitter) -> None:
    """LEAKY_RELU."""
    index = emitter.source(node.inputs[0])
    slope = float(np.float32(node.slope))
    result = emitter.output(node.output, node.name)
    emitter.operator("LEAKY_RELU", 1, [index], result, "LeakyReluOptions", Alpha=slope)


def lower_prelu(node: PRelu, emitter: Emitter) -> None:
    """PRELU with int8 slopes [1, 1, C]."""
    index = emitter.source(node.inputs[0])
    slope = emitter.constant(f"{node.name}/slope", node.slope.reshape(1, 1, -1), np.asarray(node.slope_scale))
    emitter.operator("PRELU", 1, [index, slope], emitter.output(node.output, node.name))
