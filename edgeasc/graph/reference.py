"""The numpy integer reference: the graph computed as the target computes it, integer by integer.

Form `int8` equals TensorFlow Lite's reference kernels and TensorFlow Lite Micro; form `island` is the twin of the C
export.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.kernels import conv, elementwise, moves, pool, rectify, reduce, resnorm, transformer, unary
from edgeasc.graph.kernels.arrays import lookup
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

CACHED_VALUES = 2**17  # int64 values of one tensor: a megabyte

Int8 = NDArray[np.int8]
Kernel = Callable[..., Int8]


class Reference:
    """A graph with the parameters of all its nodes computed once, callable on many inputs."""

    def __init__(self, graph: IntegerGraph) -> None:
        self.graph = graph
        self.kernels = [(node, prepare(node, graph)) for node in graph.nodes]

    def run(self, values: Int8) -> dict[str, Int8]:
        """Every tensor of the graph for int8 inputs `[B, C, F, T]`, constants included.

        Raises:
            BadInput: the input has another type or shape.
        """
        shape = self.graph[self.graph.input].shape
        if values.dtype != np.int8 or values.shape[1:] != shape[1:]:
            raise BadInput(
                "input", f"int8 [B, {', '.join(map(str, shape[1:]))}] expected, {values.dtype} {values.shape} given"
            )
        tensors: dict[str, Int8] = {t.name: t.data for t in self.graph.tensors.values() if t.data is not None}
        tensors[self.graph.input] = values
        for node, kernel in self.kernels:
            tensors[node.output] = kernel(*(tensors[name] for name in node.inputs))
        return tensors

    def logits(self, values: Int8) -> NDArray[np.float32]:
        """Dequantised output `[B, n]`, computed in batches whose tensors fit the cache."""
        output = self.graph[self.graph.output]
        largest = max(tensor.size for tensor in self.graph.tensors.values())
        step = max(1, CACHED_VALUES // largest)
        integers = np.empty((len(values), output.size), dtype=np.float32)
        for at in range(0, len(values), step):
            part = self.run(values[at : at + step])[output.name]
            integers[at : at + step] = part.reshape(len(part), -1)
        return (integers - np.float32(output.zero_point)) * output.scale


def run(graph: IntegerGraph, values: Int8) -> dict[str, Int8]:
    """Every tensor of `graph` for int8 inputs `[B, C, F, T]`; see `Reference.run`."""
    return Reference(graph).run(values)


def logits(graph: IntegerGraph, values: Int8) -> NDArray[np.float32]:
    """Logits `[B, n]` for int8 inputs `[B, C, F, T]`."""
    return Reference(graph).logits(values)


@singledispatch
def prepare(node: Node, graph: IntegerGraph) -> Kernel:
    """The kernel of one node, its parameters bound: int8 arrays in, int8 array out.

    Raises:
        BadInput: no kernel computes this operator.
    """
    raise BadInput("graph", f"{node.name}: no integer kernel for operator {node.op!r}")


def _wide(arithmetic: Callable[..., Any], *parameters: Any) -> Kernel:
    """`arithmetic` on int64 copies of its inputs, with the result narrowed."""

    def kernel(*inputs: Int8) -> Int8:
        result = arithmetic(*(values.astype(np.int64) for values in inputs), *parameters)
        return np.asarray(result, dtype=np.int8)

    return kernel


def _table(table: Int8) -> Kernel:
    return lambda values: lookup(table, values.astype(np.int64)).astype(np.int8)


def _unary(node: Node, graph: IntegerGraph) -> tuple[QTensor, QTensor]:
    (source,) = node.inputs
    return graph[source], graph[node.output]


def _binary(node: Node, graph: IntegerGraph) -> tuple[QTensor, QTensor, QTensor]:
    first, second = node.inputs
    return graph[first], graph[second], graph[node.output]


@prepare.register
def _conv(node: Conv, graph: IntegerGraph) -> Kernel:
    source, output = _unary(node, graph)
    parameters = conv.conv_parameters(node, source, output, graph.form)

    def kernel(values: Int8) -> Int8:
        accumulator = conv.accumulate(values, node, source.zero_point)
        return np.asarray(conv.requantize_conv(accumulator, parameters), dtype=np.int8)

    return kernel


@prepare.register
def _add(node: Add, graph: IntegerGraph) -> Kernel:
    return _wide(elementwise.add, elementwise.sum_parameters(*_binary(node, graph), graph.form, node.activation))


@prepare.register
def _sub(node: Sub, graph: IntegerGraph) -> Kernel:
    return _wide(elementwise.add, elementwise.sum_parameters(*_binary(node, graph), graph.form, subtract=True))


@prepare.register
def _mul(node: Mul, graph: IntegerGraph) -> Kernel:
    return _wide(elementwise.multiply, elementwise.product_parameters(*_binary(node, graph), graph.form))


@prepare.register
def _mean(node: Mean, graph: IntegerGraph) -> Kernel:
    return _wide(reduce.mean, reduce.mean_parameters(*_unary(node, graph), node.axes, node.keep, graph.form))


@prepare.register
def _max_pool(node: MaxPool, graph: IntegerGraph) -> Kernel:
    return lambda values: pool.max_pool(values, node.kernel, node.stride)


@prepare.register
def _avg_pool(node: AvgPool, graph: IntegerGraph) -> Kernel:
    low = pool.pool_low(node, graph[node.output].zero_point)
    return lambda values: pool.avg_pool(values.astype(np.int64), node.kernel, node.stride, low).astype(np.int8)


@prepare.register
def _moved(node: Moved, graph: IntegerGraph) -> Kernel:
    return lambda values: np.ascontiguousarray(moves.move(values, node))


@prepare.register
def _leaky_relu(node: LeakyRelu, graph: IntegerGraph) -> Kernel:
    return _table(rectify.leaky_relu_table(node, *_unary(node, graph), graph.form))


@prepare.register
def _prelu(node: PRelu, graph: IntegerGraph) -> Kernel:
    return _wide(rectify.prelu, rectify.prelu_parameters(node, *_unary(node, graph), graph.form))


@prepare.register
def _logistic(node: Logistic, graph: IntegerGraph) -> Kernel:
    return _table(unary.logistic_table(_unary(node, graph)[0], graph.form))


@prepare.register
def _rsqrt(node: Rsqrt, graph: IntegerGraph) -> Kernel:
    return _table(unary.rsqrt_table(*_unary(node, graph), graph.form))


@prepare.register
def _silu(node: Silu, graph: IntegerGraph) -> Kernel:
    return _table(unary.silu_table(*_unary(node, graph)))


@prepare.register
def _resnorm(node: ResNorm, graph: IntegerGraph) -> Kernel:
    return _wide(resnorm.resnorm, resnorm.resnorm_parameters(node, *_unary(node, graph)))


@prepare.register
def _gelu(node: Gelu, graph: IntegerGraph) -> Kernel:
    return _table(unary.gelu_table(*_unary(node, graph)))


@prepare.register
def _channel_norm(node: ChannelNorm, graph: IntegerGraph) -> Kernel:
    parameters = transformer.channel_norm_parameters(node, *_unary(node, graph))
    return lambda values: transformer.channel_norm(values, parameters)


@prepare.register
def _attention(node: Attention, graph: IntegerGraph) -> Kernel:
    queries, keys, values = (graph[name] for name in node.inputs)
    parameters = transformer.attention_parameters(node, (queries, keys, values), graph[node.output])
    return lambda q, k, v: transformer.attention(q, k, v, parameters)


@prepare.register
def _zero_pad(node: ZeroPad, graph: IntegerGraph) -> Kernel:
    zero_point, around = graph[node.output].zero_point, ((0, 0), (0, 0), (0, 0), node.padding)
    return lambda values: np.pad(values, around, constant_values=zero_point)
