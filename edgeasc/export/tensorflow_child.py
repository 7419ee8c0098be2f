"""Child process: `python -m edgeasc.export.tensorflow_child graph.onnx metadata.json model.tflite`.

Builds the graph in TensorFlow, NHWC, with fake quantisation at the graph's scales, and converts it. Written apart from
our own writer, with other operators where TensorFlow has them, so that an error in one shows against the other.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.model import (
    KEEPING_GRID,
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
    PRelu,
    QTensor,
    Regroup,
    ResNorm,
    Rsqrt,
    Silu,
    Slice,
    Sub,
    ZeroPad,
)
from edgeasc.graph.onnx_read import read_onnx

NHWC_AXIS = {"C": 3, "F": 1, "T": 2}


def fake_quantised(x: Any, tensor: QTensor) -> Any:
    """`x` on the grid of `tensor`; the converter reads scale and zero point off the range."""
    scale = float(tensor.scale)
    low, high = (-128 - tensor.zero_point) * scale, (127 - tensor.zero_point) * scale
    return tf.quantization.fake_quant_with_min_max_args(x, min=low, max=high, num_bits=8)


def real_values(tensor: QTensor) -> Any:
    """A constant in floats, NHWC."""
    assert tensor.data is not None
    values = (tensor.data.astype(np.float64) - tensor.zero_point) * float(tensor.scale)
    return tf.constant(values.transpose(0, 2, 3, 1) if values.ndim == 4 else values, dtype=tf.float32)


def build(graph: IntegerGraph) -> Callable[[Any], Any]:
    """The graph as a function of one float NHWC input."""

    def compute(x: Any) -> Any:
        reals = {t.name: real_values(t) for t in graph.tensors.values() if t.data is not None}
        reals[graph.input] = fake_quantised(x, graph[graph.input])
        for node in graph.nodes:
            result = _operator(node, [reals[name] for name in node.inputs], graph)
            # These hand their input's scale on; a range of their own would make the converter requantise.
            on_grid = isinstance(node, KEEPING_GRID)
            reals[node.output] = result if on_grid else fake_quantised(result, graph[node.output])
        return tf.identity(reals[graph.output], name=graph.output)

    return compute


def _operator(node: Node, inputs: list[Any], graph: IntegerGraph) -> Any:
    match node:
        case Conv():
            return _conv(node, inputs[0], graph)
        case Add():
            total = inputs[0] + inputs[1]
            return tf.nn.relu(total) if node.activation == "relu" else total
        case Sub():
            return inputs[0] - inputs[1]
        case Mul():
            return inputs[0] * inputs[1]
        case Mean():
            return tf.reduce_mean(inputs[0], axis=sorted(NHWC_AXIS[axis] for axis in node.axes), keepdims=node.keep)
        case MaxPool():
            return tf.nn.max_pool2d(inputs[0], node.kernel, node.stride, "VALID")
        case AvgPool():
            means = tf.nn.avg_pool2d(inputs[0], node.kernel, node.stride, "VALID")
            return tf.nn.relu(means) if node.activation == "relu" else means
        case Pad():
            return tf.pad(inputs[0], [[0, 0], [0, 0], [node.before, node.after], [0, 0]], "REFLECT")
        case Slice():
            places = slice(node.start, node.stop)
            return inputs[0][..., places] if node.axis == "C" else inputs[0][:, :, places]
        case Regroup():
            _, channels, frequencies, frames = graph[node.output].shape
            planar = tf.transpose(inputs[0], [0, 3, 1, 2])
            return tf.transpose(tf.reshape(planar, [1, channels, frequencies, frames]), [0, 2, 3, 1])
        case LeakyRelu():
            return tf.nn.leaky_relu(inputs[0], node.slope)
        case PRelu():
            slope = _constant(node.slope.reshape(1, 1, -1) * np.float64(node.slope_scale))
            return tf.nn.relu(inputs[0]) + -slope * tf.nn.relu(-inputs[0])  # in this spelling the converter knows PRELU
        case Logistic():
            return tf.sigmoid(inputs[0])
        case Rsqrt():
            return tf.math.rsqrt(inputs[0])
        case Silu():
            # Not with tf.sigmoid: the converter knows its range by heart and would compute the island in int8.
            return inputs[0] / (1.0 + tf.exp(-inputs[0]))
        case ResNorm():
            return _resnorm(node, inputs[0])
        case Gelu():
            return tf.nn.gelu(inputs[0], approximate=False)
        case ChannelNorm():
            return _channel_norm(node, inputs[0])
        case Attention():
            return _attention(node, inputs)
        case ZeroPad():
            return tf.pad(inputs[0], [[0, 0], [0, 0], node.padding, [0, 0]])
    raise BadInput("tensorflow", f"{node.name}: operator {node.op!r} has no TensorFlow form")


def _resnorm(node: ResNorm, x: Any) -> Any:
    mean = tf.reduce_mean(x, axis=[2, 3], keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, mean), axis=[2, 3], keepdims=True)
    return node.lam * x + (x - mean) * tf.math.rsqrt(variance + node.eps)


def _channel_norm(node: ChannelNorm, x: Any) -> Any:
    mean, variance = tf.nn.moments(x, axes=[3], keepdims=True)
    normal = (x - mean) * tf.math.rsqrt(variance + node.eps)
    return normal * _constant(node.gain.astype(np.float64)) + _constant(node.offset.astype(np.float64))


def _attention(node: Attention, inputs: list[Any]) -> Any:
    """Scores `[1, heads, T, T]` by Einstein's sum, which the converter spells in its own way."""
    _, _, tokens, channels = inputs[0].shape
    width = channels // node.heads
    q, k, v = (tf.reshape(x, (1, tokens, node.heads, width)) for x in inputs)
    scores = tf.einsum("bthc,bshc->bhts", q, k) / width**0.5
    mixed = tf.einsum("bhts,bshc->bthc", tf.nn.softmax(scores, axis=3), v)
    return tf.reshape(mixed, (1, 1, tokens, channels))


def _conv(node: Conv, x: Any, graph: IntegerGraph) -> Any:
    if node.groups != 1 and not node.depthwise:
        raise BadInput("tensorflow", f"{node.name}: a convolution with {node.groups} groups has no TensorFlow form")
    source, output = graph[node.inputs[0]], graph[node.output]
    before_f, before_t, after_f, after_t = node.padding
    if any(node.padding):
        x = tf.pad(x, [[0, 0], [before_f, after_f], [before_t, after_t], [0, 0]])
    per_band = output.shape[2] // node.bands
    reach = (node.weight.shape[2] - 1) * node.dilation[0] + 1
    parts = []
    for band in range(node.bands):
        start = band * per_band * node.stride[0]
        rows = x[:, start : start + (per_band - 1) * node.stride[0] + reach] if node.bands > 1 else x
        parts.append(_convolve(node, rows, band, source))
    return tf.concat(parts, axis=1) if len(parts) > 1 else parts[0]


def _convolve(node: Conv, x: Any, band: int, source: QTensor) -> Any:
    scale = node.scale[band].astype(np.float64)
    weight = node.weight * (scale * node.sign[band])[:, None, None, None]  # [C_out, C_in, k_f, k_t]
    bias = node.bias[band] * scale * float(source.scale)
    if node.depthwise:
        kernel, strides = _constant(weight.transpose(2, 3, 0, 1)), (1, *node.stride, 1)
        result = tf.nn.depthwise_conv2d(x, kernel, strides, "VALID", dilations=node.dilation)
    else:
        kernel = _constant(weight.transpose(2, 3, 1, 0))
        result = tf.nn.conv2d(x, kernel, node.stride, "VALID", dilations=node.dilation)
    result = tf.nn.bias_add(result, _constant(bias))
    return tf.nn.relu(result) if node.activation == "relu" else result


def _constant(values: NDArray[np.float64]) -> Any:
    return tf.constant(values.astype(np.float32))


def convert(graph: IntegerGraph) -> bytes:
    """TensorFlow's `.tflite` of `graph`, int8 in and out."""
    shape = graph[graph.input].shape
    signature = [tf.TensorSpec((1, shape[2], shape[3], shape[1]), tf.float32, name=graph.input)]
    function = tf.function(build(graph), input_signature=signature).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def with_metadata(payload: bytes, metadata: dict[str, str]) -> bytes:
    """A `.tflite` file with entries of metadata appended."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(payload, 0))
    model.metadata = list(model.metadata or [])
    for key, value in metadata.items():
        entry, buffer = schema.MetadataT(), schema.BufferT()
        buffer.data = np.frombuffer(value.encode(), dtype=np.uint8)
        entry.name, entry.buffer = key, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)
    builder = flatbuffers.Builder(len(payload))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def main() -> None:
    """Convert the ONNX file of the first argument, with the metadata of the second, into the third."""
    source, metadata, result = (Path(argument) for argument in sys.argv[1:4])
    entries = json.loads(metadata.read_text(encoding="utf-8"))
    result.write_bytes(with_metadata(convert(read_onnx(source)), entries))


if __name__ == "__main__":
    main()
