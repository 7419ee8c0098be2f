"""From an IntegerGraph to the bytes of a `.tflite` file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.export.tflite.conv import lower_conv
from edgeasc.export.tflite.flatbuffer import MIN_RUNTIME
from edgeasc.export.tflite.islands import lower_resnorm, lower_silu
from edgeasc.export.tflite.operators import (
    ACTIVATIONS,
    NHWC_AXIS,
    NO_ACTIVATION,
    VALID,
    Emitter,
    minimum_runtime,
    nhwc_shape,
)
from edgeasc.export.tflite.sequence import lower_leaky_relu, lower_pad, lower_prelu, lower_regroup, lower_slice
from edgeasc.export.tflite.transformer import lower_attention, lower_channel_norm, lower_gelu, lower_zero_pad
from edgeasc.graph.model import (
    Add,
    Attention,
    AvgPool,
    ChannelNorm,
    Conv,
    Gelu,
    IntegerGraph,
    LeakyRelu,
    Logistic,
    MaxPool,
    Mean,
    Mul,
    Node,
    Pad,
    Pool,
    PRelu,
    Regroup,
    ResNorm,
    Rsqrt,
    Silu,
    Slice,
    Sub,
    ZeroPad,
)
from edgeasc.graph.shapes import check_window


def tflite_bytes(graph: IntegerGraph) -> bytes:
    """The `.tflite` file of `graph`: NHWC, batch 1, int8 in and out, layer names as tensor names, metadata embedded.

    Raises:
        BadInput: a node that TensorFlow Lite cannot express with the graph's integers; the node is named.
    """
    emitter = Emitter(graph)
    source = graph[graph.input]
    emitter.index[graph.input] = emitter.quantised(graph.input, nhwc_shape(source.shape), source)
    for node in graph.nodes:
        check_window(node, "tflite")
        lower = _LOWERINGS.get(type(node))
        if lower is None:
            raise BadInput("tflite", f"{node.name}: operator {node.op!r} has no TensorFlow Lite form")
        lower(node, emitter)
    model = emitter.model
    model.inputs, model.outputs = [emitter.source(graph.input)], [emitter.source(graph.output)]
    model.description = "edgeasc"
    model.metadata[MIN_RUNTIME] = minimum_runtime(model.operators).encode().ljust(16, b"\0")
    for key, value in graph.metadata.items():
        model.metadata[key] = value.encode()
    return model.to_bytes()


def _lower_add(node: Add, emitter: Emitter) -> None:
    inputs = _addends(node, emitter)
    emitter.add(inputs, emitter.output(node.output, node.name), ACTIVATIONS[node.activation])


def _lower_sub(node: Sub, emitter: Emitter) -> None:
    inputs = _addends(node, emitter)
    emitter.sub(inputs, emitter.output(node.output, node.name))


def _addends(node: Node, emitter: Emitter) -> list[int]:
    largest = max(float(emitter.graph[name].scale) for name in node.inputs)
    if not 2 * largest < 2**20 * float(emitter.graph[node.output].scale):  # the kernels abort the process
        raise BadInput("tflite", f"{node.name}: the output scale is less than 2^-19 of an input scale")
    return [emitter.source(name) for name in node.inputs]


def _lower_mul(node: Mul, emitter: Emitter) -> None:
    inputs = [emitter.source(name) for name in node.inputs]
    emitter.mul(inputs, emitter.output(node.output, node.name))


def _lower_mean(node: Mean, emitter: Emitter) -> None:
    axes = tuple(sorted(NHWC_AXIS[axis] for axis in node.axes))
    if not node.keep and axes != (1, 2):
        raise BadInput("tflite", f"{node.name}: a mean that drops axes must leave the channels only")
    index = emitter.source(node.inputs[0])
    emitter.mean(index, axes, node.keep, emitter.output(node.output, node.name))


def _lower_pool(node: Pool, emitter: Emitter) -> None:
    source, output = emitter.graph[node.inputs[0]], emitter.graph[node.output]
    if source.scale != output.scale or source.zero_point != output.zero_point:
        raise BadInput("tflite", f"{node.name}: pooling cannot change the scale")
    index = emitter.source(node.inputs[0])
    emitter.operator(
        "MAX_POOL_2D" if isinstance(node, MaxPool) else "AVERAGE_POOL_2D",
        2,
        [index],
        emitter.output(node.output, node.name),
        "Pool2DOptions",
        Padding=VALID,
        StrideH=node.stride[0],
        StrideW=node.stride[1],
        FilterHeight=node.kernel[0],
        FilterWidth=node.kernel[1],
        FusedActivationFunction=ACTIVATIONS[node.activation] if isinstance(node, AvgPool) else NO_ACTIVATION,
    )


def _lower_logistic(node: Logistic, emitter: Emitter) -> None:
    output = emitter.graph[node.output]
    if output.scale != np.float32(1 / 256) or output.zero_point != -128:
        raise BadInput("tflite", f"{node.name}: the output of LOGISTIC must have scale 1/256 and zero point -128")
    index = emitter.source(node.inputs[0])
    emitter.unary("LOGISTIC", index, emitter.output(node.output, node.name))


def _lower_rsqrt(node: Rsqrt, emitter: Emitter) -> None:
    if emitter.graph[node.inputs[0]].zero_point != -128:  # the kernels refuse negative values when they meet one
        raise BadInput("tflite", f"{node.name}: the input of RSQRT must have zero point -128")
    index = emitter.source(node.inputs[0])
    emitter.unary("RSQRT", index, emitter.output(node.output, node.name))


_LOWERINGS: dict[type[Node], Callable[[Any, Emitter], None]] = {
    Add: _lower_add,
    Attention: lower_attention,
    AvgPool: _lower_pool,
    ChannelNorm: lower_channel_norm,
    Conv: lower_conv,
    Gelu: lower_gelu,
    LeakyRelu: lower_leaky_relu,
    Logistic: _lower_logistic,
    MaxPool: _lower_pool,
    Mean: _lower_mean,
    Mul: _lower_mul,
    Pad: lower_pad,
    PRelu: lower_prelu,
    Regroup: lower_regroup,
    ResNorm: lower_resnorm,
    Rsqrt: _lower_rsqrt,
    Silu: lower_silu,
    Slice: lower_slice,
    Sub: _lower_sub,
    ZeroPad: lower_zero_pad,
}
