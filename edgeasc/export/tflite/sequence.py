"""Operators of networks on sequences in TensorFlow Lite: mirrored padding, slices, axes shared out anew, slopes."""

from __future__ import annotations

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.export.tflite.islands import enter, leave
from edgeasc.export.tflite.operators import FLOAT, Emitter, nhwc_shape
from edgeasc.graph.model import LeakyRelu, Moved, Pad, PRelu, Regroup, Slice

Way = tuple[str, tuple[int, ...]]  # operator, and its order of axes or its shape
REFLECT = 0
VERSION = {"TRANSPOSE": 2, "RESHAPE": 1}


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
    """TRANSPOSE to channels before frequencies, RESHAPE, and back; without those that move nothing.

    NHWC is (1, F, T, C). With one channel that is planar already, with one frequency channels come last anyhow.
    """
    index = _begin(node, emitter)
    source, output = emitter.graph[node.inputs[0]], emitter.graph[node.output]
    _, channels, frequencies, frames = source.shape
    fresh, rows = node.channels, output.shape[2]
    last = nhwc_shape(output.shape)
    if fresh == channels:
        ways: list[Way] = [("RESHAPE", last)]
    elif {channels, frequencies} & {1} and {fresh, rows} & {1}:
        ways = [("TRANSPOSE", (0, 3, 2, 1))]
    elif fresh == 1:
        ways = [("TRANSPOSE", (0, 3, 1, 2)), ("RESHAPE", last)]
    elif channels == 1:
        ways = [("RESHAPE", (1, fresh, rows, frames)), ("TRANSPOSE", (0, 2, 3, 1))]
    elif rows == 1:
        ways = [("TRANSPOSE", (0, 2, 3, 1)), ("RESHAPE", last)]
    elif frequencies == 1:
        ways = [("RESHAPE", (1, frames, fresh, rows)), ("TRANSPOSE", (0, 3, 1, 2))]
    else:
        ways = [("TRANSPOSE", (0, 2, 3, 1)), ("RESHAPE", (1, frames, fresh, rows)), ("TRANSPOSE", (0, 3, 1, 2))]
    for number, (code, numbers) in enumerate(ways, 1):
        shape = numbers if code == "RESHAPE" else tuple(emitter.shape(index)[axis] for axis in numbers)
        part = f"{node.name}/{number}"
        end = emitter.output(node.output, node.name) if number == len(ways) else emitter.quantised(part, shape, source)
        how = emitter.constant(f"{part}/{'shape' if code == 'RESHAPE' else 'order'}", np.array(numbers, np.int32))
        index = emitter.operator(code, VERSION[code], [index, how], end, f"{code.capitalize()}Options")


def lower_leaky_relu(node: LeakyRelu, emitter: Emitter) -> None:
    """LEAKY_RELU."""
    index = emitter.source(node.inputs[0])
    slope = float(np.float32(node.slope))
    result = emitter.output(node.output, node.name)
    emitter.operator("LEAKY_RELU", 1, [index], result, "LeakyReluOptions", Alpha=slope)


def lower_prelu(node: PRelu, emitter: Emitter) -> None:
    """PRELU with int8 slopes [1, 1, C]; in float where the form is `island`.

    The integer kernel is slow everywhere and rounds twice: in some layers a value in 200 is a step off.
    """
    if emitter.graph.form == "island":
        x = enter(node, emitter)
        real = (node.slope.astype(np.float64) * float(node.slope_scale)).astype(FLOAT).reshape(1, 1, -1)
        result = emitter.real(f"{node.name}/result", emitter.shape(x))
        leave(node, emitter, emitter.operator("PRELU", 1, [x, emitter.constant(f"{node.name}/slope", real)], result))
        return
    index = emitter.source(node.inputs[0])
    slope = emitter.constant(f"{node.name}/slope", node.slope.reshape(1, 1, -1), np.asarray(node.slope_scale))
    emitter.operator("PRELU", 1, [index, slope], emitter.output(node.output, node.name))
