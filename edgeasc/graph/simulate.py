"""The graph in floats with quantised tensors between operators: what ONNX Runtime makes of the QDQ file.

Every operator dequantises its inputs, computes in float64, and quantises its output once, half to even, in float32 as
QuantizeLinear does. Average pooling alone averages integers, as our ONNX file does: on one grid a quarter of the means
of four are exact halves, which the last bit of a float would decide. The judge of runtimes that round once (ONNX
Runtime, LiteRT with XNNPACK), never of integers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.kernels.conv import accumulate
from edgeasc.graph.kernels.moves import move
from edgeasc.graph.kernels.pool import avg_pool, max_pool, pool_low
from edgeasc.graph.kernels.reduce import AXES
from edgeasc.graph.kernels.transformer import query_rows
from edgeasc.graph.kernels.unary import gelu
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
    Moved,
    Mul,
    Node,
    PRelu,
    QTensor,
    ResNorm,
    Rsqrt,
    Silu,
    Sub,
    ZeroPad,
)

Int8 = NDArray[np.int8]
Real = NDArray[np.float64]


def dequantise(values: Int8, tensor: QTensor) -> Real:
    """`(integer - zero point) * scale`."""
    return (values.astype(np.float64) - tensor.zero_point) * float(tensor.scale)


def quantise(values: Real, tensor: QTensor) -> Int8:
    """Integers of `values`, half to even, clipped to int8."""
    with np.errstate(over="ignore"):
        steps = np.rint(values.astype(np.float32) / tensor.scale) + tensor.zero_point
    return steps.clip(-128, 127).astype(np.int8)


def run(graph: IntegerGraph, values: Int8) -> dict[str, Int8]:
    """Every tensor of `graph` for int8 inputs `[B, C, F, T]`, constants included."""
    tensors: dict[str, Int8] = {t.name: t.data for t in graph.tensors.values() if t.data is not None}
    tensors[graph.input] = values
    for node in graph.nodes:
        inputs = [tensors[name] for name in node.inputs]
        tensors[node.output] = quantise(real_output(node, inputs, graph.tensors), graph[node.output])
    return tensors


def logits(graph: IntegerGraph, values: Int8) -> NDArray[np.float32]:
    """Logits `[B, n]` for int8 inputs `[B, C, F, T]`."""
    output = graph[graph.output]
    return dequantise(run(graph, values)[output.name], output).astype(np.float32).reshape(len(values), -1)


def real_output(node: Node, inputs: list[Int8], tensors: dict[str, QTensor]) -> Real:
    """The output of one node before quantisation, from the integers of its inputs.

    Raises:
        BadInput: no simulation knows this operator.
    """
    if isinstance(node, Conv):
        return _conv(node, inputs[0], tensors[node.inputs[0]], tensors.get(node.output))
    if isinstance(node, AvgPool):
        return _avg_pool(node, inputs[0], tensors[node.inputs[0]])
    reals = [dequantise(values, tensors[name]) for values, name in zip(inputs, node.inputs, strict=True)]
    return _simulate(node, *reals)


def _conv(node: Conv, values: Int8, source: QTensor, output: QTensor | None) -> Real:
    """Sums of integers, times their grid; where the output's grid is known, in its steps and in float32.

    So multiply ONNX Runtime and LiteRT, and what they round near a tie has to be rounded alike.
    """
    sums = accumulate(values, node, source.zero_point)
    batch, channels, frequencies, frames = sums.shape
    cut = sums.reshape(batch, channels, node.bands, frequencies // node.bands, frames)

    def per_band(part: NDArray[Any]) -> NDArray[np.float64]:
        return part.T.astype(np.float64).reshape(1, channels, node.bands, 1, 1)

    whole = cut * per_band(node.sign) + per_band(node.bias)
    if output is None:
        real = whole * float(source.scale) * per_band(node.scale)
    else:
        factor = per_band((source.scale * node.scale / output.scale).astype(np.float32)).astype(np.float32)
        real = np.rint(whole.astype(np.float32) * factor).astype(np.float64) * float(output.scale)
    real = real.reshape(sums.shape)
    return np.maximum(real, 0.0) if node.activation == "relu" else real


def _avg_pool(node: AvgPool, values: Int8, source: QTensor) -> Real:
    low = pool_low(node, source.zero_point)
    pooled: Int8 = avg_pool(values.astype(np.int64), node.kernel, node.stride, low).astype(np.int8)
    return dequantise(pooled, source)


@singledispatch
def _simulate(node: Node, *inputs: Real) -> Real:
    raise BadInput("graph", f"{node.name}: no simulation of operator {node.op!r}")


def _register(kind: type[Node], compute: Callable[..., Any]) -> None:
    _simulate.register(kind, compute)


def _add(node: Add, first: Real, second: Real) -> Real:
    return _activated(node, first + second)


def _activated(node: Add, value: Real) -> Real:
    return np.maximum(value, 0.0) if node.activation == "relu" else value


def _mean(node: Mean, x: Real) -> Real:
    return np.asarray(x.mean(axis=tuple(AXES[axis] for axis in node.axes), keepdims=node.keep))


def _rsqrt(node: Rsqrt, x: Real) -> Real:
    with np.errstate(divide="ignore"):
        return 1.0 / np.sqrt(np.maximum(x, 0.0))


def _prelu(node: PRelu, x: Real) -> Real:
    slope = node.slope.astype(np.float64).reshape(1, -1, 1, 1) * float(node.slope_scale)
    return np.where(x < 0, x * slope, x)


def _resnorm(node: ResNorm, x: Real) -> Real:
    centred = x - x.mean(axis=(1, 3), keepdims=True)
    variance = (centred * centred).mean(axis=(1, 3), keepdims=True)
    return node.lam * x + centred / np.sqrt(variance + node.eps)


def _channel_norm(node: ChannelNorm, x: Real) -> Real:
    centred = x - x.mean(axis=1, keepdims=True)
    normal = centred / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + node.eps)
    return normal * node.gain.reshape(1, -1, 1, 1) + node.offset.reshape(1, -1, 1, 1)


def _attention(node: Attention, queries: Real, keys: Real, values: Real) -> Real:
    batch, channels, _, tokens = queries.shape
    q, k, v = (x.reshape(batch, node.heads, -1, x.shape[3]) for x in (queries, keys, values))
    mixed = np.empty(q.shape)
    for rows in query_rows((batch, node.heads, tokens)):
        scores = np.einsum("bhct,bhcs->bhts", q[..., rows], k) / np.sqrt(channels // node.heads)
        powers = np.exp(scores - scores.max(axis=3, keepdims=True))
        shares = powers / powers.sum(axis=3, keepdims=True)
        mixed[..., rows] = np.einsum("bhts,bhcs->bhct", shares, v)
    return mixed.reshape(batch, channels, 1, tokens)


def _sigmoid(x: Real) -> Real:
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-x))


_register(Add, _add)
_register(Sub, lambda node, first, second: first - second)
_register(Mul, lambda node, first, second: first * second)
_register(Mean, _mean)
_register(MaxPool, lambda node, x: max_pool(x, node.kernel, node.stride))
_register(Moved, lambda node, x: move(x, node))
_register(LeakyRelu, lambda node, x: np.where(x < 0, x * float(np.float32(node.slope)), x))
_register(PRelu, _prelu)
_register(Logistic, lambda node, x: _sigmoid(x))
_register(Rsqrt, _rsqrt)
_register(Silu, lambda node, x: x * _sigmoid(x))
_register(ResNorm, _resnorm)
_register(Gelu, lambda node, x: gelu(x))
_register(ChannelNorm, _channel_norm)
_register(Attention, _attention)
_register(ZeroPad, lambda node, x: np.pad(x, ((0, 0), (0, 0), (0, 0), node.padding)))
