"""From the integer graph to kernel calls: every operator that C has, with its constants.

The numbers come from the same parameter functions as the numpy reference, so that the two cannot disagree about them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.export.c import fixed_point, sequence_calls
from edgeasc.export.c.choice import DEFAULT, Optimise, Pixels, choose, choose_window, smallest_together
from edgeasc.export.c.extent import Strided, shape3
from edgeasc.export.c.fixed_point import Weighting
from edgeasc.export.c.program import Array, CType, Port, Program, Step, Storage
from edgeasc.export.c.requant import pack_requant
from edgeasc.export.c.sparse import Stored
from edgeasc.graph.count import macs
from edgeasc.graph.kernels import conv, elementwise, rectify, reduce, resnorm, unary
from edgeasc.graph.kernels.arrays import INT8_MIN, INT32_MAX
from edgeasc.graph.kernels.pool import pool_low
from edgeasc.graph.model import (
    Add,
    AvgPool,
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
from edgeasc.graph.shapes import check_window

MOST_ACCUMULATED = 2**30
INT16_MAX = 2**15 - 1
MOST_TAPS = 32  # of a depth-wise kernel, as in depthwise.c


def lower(graph: IntegerGraph, optimise: Optimise = DEFAULT) -> Program:
    """The program that computes `graph`; `optimise` decides how weights are stored.

    Raises:
        BadInput: an operator that C has no kernel for, by name, or numbers that its integers cannot hold.
    """
    for node in graph.nodes:
        check_window(node, "C export")
    together = _smallest_together(graph) if optimise == "size" else {}
    steps = tuple(
        replace(lower_layer(node, graph, layer_name(index, node), together.get(index, optimise)), layer=index)
        for index, node in enumerate(graph.nodes)
    )
    used = {name for node in graph.nodes for name in node.inputs}
    fixed = [t for t in graph.tensors.values() if t.data is not None and t.name in used]
    sizes = {graph.input: graph[graph.input].size} | {node.output: graph[node.output].size for node in graph.nodes}
    return Program(
        form=graph.form,
        input=_port(graph[graph.input]),
        output=_port(graph[graph.output]),
        steps=steps,
        sizes=sizes,
        constants=tuple(_array(constant_name(t.name), "int8_t", t.data, "constant") for t in fixed),
        metadata=dict(graph.metadata),
    )


def _smallest_together(graph: IntegerGraph) -> dict[int, Storage]:
    """The storages of point-wise layers by their place in the graph, the code of the kernels counted."""
    places = {index: node for index, node in enumerate(graph.nodes) if isinstance(node, Conv) and is_pointwise(node)}
    names = smallest_together([node.weight[:, :, 0, 0] for node in places.values()])
    return dict(zip(places, names, strict=True))


def is_pointwise(node: Conv) -> bool:
    """Whether the kernels for point-wise layers compute it."""
    plain = node.stride == (1, 1) and not any(node.padding)
    return node.weight.shape[2:] == (1, 1) and plain and node.groups == 1 and not node.depthwise


def lower_layer(node: Node, graph: IntegerGraph, name: str, how: Optimise | Storage) -> Step:
    """`lower_node`, with the storage of its weights, or with what decides about it."""
    return _conv(node, graph, name, how) if isinstance(node, Conv) else lower_node(node, graph, name)


@singledispatch
def lower_node(node: Node, graph: IntegerGraph, name: str) -> Step:
    """The step of one node; `name` is unique and an identifier in C.

    Raises:
        BadInput: C has no kernel for it.
    """
    raise BadInput("C export", f"no C kernel for operator {node.op!r} of {node.name}; export it to TFLite instead")


def constant_name(tensor: str) -> str:
    """The C name of a constant tensor, its own: what is no letter or digit becomes its code, as in `_2e_`."""
    return "k_" + re.sub(r"[^0-9A-Za-z]", lambda found: f"_{ord(found[0]):x}_", tensor)


def layer_name(index: int, node: Node) -> str:
    """The layer's name in C."""
    return f"s{index}_{re.sub(r'[^0-9A-Za-z]', '_', node.name)}"


def _port(tensor: QTensor) -> Port:
    return Port(tensor.name, tensor.shape, float(tensor.scale), tensor.zero_point)


def _array(name: str, ctype: CType, values: Any, role: Any) -> Array:
    return Array(name, ctype, np.ascontiguousarray(values).ravel(), role)


def _shape(tensor: QTensor) -> str:
    c, f, t = shape3(tensor)
    return f"(ea_shape){{{c}, {f}, {t}}}"


def _scale(multiplier: int, shift: int, zero_point: int, low: int = INT8_MIN) -> str:
    return f"(ea_scale){{{multiplier}, {shift}, {zero_point}, {low}}}"


def _one(node: Node, graph: IntegerGraph) -> tuple[QTensor, QTensor]:
    (source,) = node.inputs
    return graph[source], graph[node.output]


@lower_node.register
def _conv(node: Conv, graph: IntegerGraph, name: str, how: Optimise | Storage = DEFAULT) -> Step:
    source, output = _one(node, graph)
    parameters = conv.conv_parameters(node, source, output, graph.form)
    _check_rounding(node, source, parameters)
    _check_sides(node, source)
    kernel = node.weight.shape[2:]
    if node.depthwise:
        if kernel[0] * kernel[1] > MOST_TAPS:
            raise BadInput("C export", f"{node.name}: a depth-wise kernel of {kernel}, at most {MOST_TAPS} taps")
        return _windowed(node, graph, name, parameters, "depthwise", "ea_depthwise")
    if node.groups != 1:
        raise BadInput("C export", f"{node.name}: {node.groups} groups; C has dense and depth-wise convolutions")
    if is_pointwise(node):
        return _pointwise(node, graph, name, parameters, how)
    stored = choose_window(node.weight.reshape(len(node.weight), -1), how)
    if stored.storage == "delta8":
        return _pruned_window(node, graph, name, parameters, stored)
    return _windowed(node, graph, name, parameters, "conv", "ea_conv")


def _check_sides(node: Conv, source: QTensor) -> None:
    """Rows and columns are counted in int, padding and the next step of a window included."""
    sides = (source.shape[2 + i] + node.padding[i] + node.padding[2 + i] + node.stride[i] for i in range(2))
    if max(sides) >= MOST_ACCUMULATED:
        raise BadInput("C export", f"{node.name}: a stride or padding of 2^30 or more")


def _check_rounding(node: Conv, source: QTensor, parameters: conv.ConvParameters) -> None:
    """The kernels hold accumulators, shifted to the left or not, below 2^30: the fast ones double them."""
    bound = conv.accumulator_bound(node, source.zero_point)
    if bool(np.any(bound << np.maximum(parameters.shift, 0) >= MOST_ACCUMULATED)):
        raise BadInput("C export", f"{node.name}: accumulators of 2^30 or more; its weights or biases are too large")
    if bool(np.any(parameters.shift > 30)):  # whose weights and bias are 0
        raise BadInput("C export", f"{node.name}: an effective scale of 2^30 or more")


def _requant(
    node: Conv, source: QTensor, name: str, parameters: conv.ConvParameters, bias: NDArray[np.int64]
) -> tuple[list[Array], str]:
    """The arrays of a requantisation and the declaration of its record, called `r_<name>`."""
    packed = pack_requant(node, source.zero_point, parameters, bias)
    short = np.abs(packed.bias).max(initial=0) <= INT16_MAX
    arrays = [
        _array(f"b_{name}", "int16_t" if short else "int32_t", packed.bias, "bias"),
        _array(f"m_{name}", "uint32_t", packed.words, "scales"),
    ]
    numbers = (
        arrays[0].name, arrays[1].name, 2 if short else 4, packed.code_bits, packed.signed, packed.first_shift,
        parameters.multiplier.shape[0], parameters.output_zero_point, parameters.low,
    )  # fmt: skip
    return arrays, f"static const ea_requant r_{name} = {{{', '.join(map(str, numbers))}}};"


def _pointwise(
    node: Conv, graph: IntegerGraph, name: str, parameters: conv.ConvParameters, how: Optimise | Storage
) -> Step:
    source, output = _one(node, graph)
    weights = node.weight[:, :, 0, 0]
    bias = _whole_bias(node, source, parameters)
    requant, record = _requant(node, source, name, parameters, bias)
    _, f, t = shape3(output)
    stored = choose(weights, Pixels(f * t, parameters.multiplier.shape[0]), how)
    arrays = []
    if stored.index is not None:
        arrays.append(_array(f"i_{name}", "uint8_t", stored.index, "weights" if stored.values is None else "indices"))
    if stored.values is not None:
        arrays.append(_array(f"w_{name}", "int8_t", stored.values, "weights"))
    kernel = "pointwise" if stored.storage == "dense" else f"pointwise_{stored.storage}"
    c_in = [str(weights.shape[1])] if stored.storage in ("dense", "bitmap") else []
    call = ", ".join(["@0", *c_in, *(array.name for array in arrays), f"&r_{name}", "@out", _shape(output)])
    step = _conv_step(node, graph, kernel, f"ea_{kernel}", call, [*arrays, *requant], record, stored.storage)
    return replace(step, index_bytes=stored.index_bytes)


def _whole_bias(node: Conv, source: QTensor, parameters: conv.ConvParameters) -> NDArray[np.int64]:
    """The bias with the input's zero point in it, for kernels that sum over inputs as they are."""
    sums = node.weight.astype(np.int64).sum(axis=(1, 2, 3))
    bias: NDArray[np.int64] = parameters.bias - source.zero_point * parameters.sign * sums
    if np.abs(bias).max(initial=0) > INT32_MAX:
        raise BadInput("C export", f"{node.name}: a bias with the input's zero point in it leaves int32")
    return bias


def _pruned_window(node: Conv, graph: IntegerGraph, name: str, parameters: conv.ConvParameters, stored: Stored) -> Step:
    source, output = _one(node, graph)
    requant, record = _requant(node, source, name, parameters, _whole_bias(node, source, parameters))
    index = _array(f"i_{name}", "uint8_t", stored.index, "weights")
    numbers = f"{_shape(source)}, {source.zero_point}, {index.name}, {_window(node)}"
    call = f"@0, {numbers}, &r_{name}, @out, {_shape(output)}"
    step = _conv_step(node, graph, "conv_delta8", "ea_conv_delta8", call, [index, *requant], record, "delta8")
    return replace(step, index_bytes=stored.index_bytes)


def _window(node: Conv) -> str:
    sizes = (*node.weight.shape[2:], *node.stride, *node.dilation, *node.padding[:2])
    return f"(ea_window){{{', '.join(map(str, sizes))}}}"


def _windowed(
    node: Conv, graph: IntegerGraph, name: str, parameters: conv.ConvParameters, kernel: str, function: str
) -> Step:
    source, output = _one(node, graph)
    requant, record = _requant(node, source, name, parameters, parameters.bias)
    weights = _array(f"w_{name}", "int8_t", node.weight, "weights")
    call = f"@0, {_shape(source)}, {source.zero_point}, w_{name}, {_window(node)}, &r_{name}, @out, {_shape(output)}"
    return _conv_step(node, graph, kernel, function, call, [weights, *requant], record, "dense")


def _conv_step(
    node: Conv,
    graph: IntegerGraph,
    kernel: str,
    function: str,
    call: str,
    arrays: list[Array],
    record: str,
    storage: Storage,
) -> Step:
    return Step(
        node.name, node.op, kernel, function, node.inputs, node.output, call,
        before=(record,), arrays=tuple(arrays), storage=storage, macs=macs(node, graph),
    )  # fmt: skip


def _strides(tensor: QTensor, output: QTensor) -> str:
    """Element strides of `tensor` along the output's axes, 0 where it is broadcast."""
    c, f, t = shape3(tensor)
    steps = (tensor.plane if isinstance(tensor, Strided) else f * t, t, 1)
    broadcast = [0 if side == 1 else step for side, step in zip((c, f, t), steps, strict=True)]
    for side, whole in zip((c, f, t), shape3(output), strict=True):
        if side not in (1, whole):
            raise BadInput("C export", f"tensor {tensor.name} does not broadcast to {output.name}")
    return f"(ea_strides){{{', '.join(map(str, broadcast))}}}"


def _in_place(node: Node, graph: IntegerGraph) -> tuple[int, ...]:
    """Inputs as large as the output: every value is read just before its place is written."""
    return tuple(i for i, name in enumerate(node.inputs) if shape3(graph[name]) == shape3(graph[node.output]))


def _addend(tensor: QTensor, twice_larger: float) -> str:
    from edgeasc.graph.rounding import quantize_multiplier

    multiplier, shift = quantize_multiplier(float(tensor.scale) / twice_larger)
    return f"(ea_addend){{{tensor.zero_point}, {int(multiplier)}, {int(shift)}}}"


def _sum(node: Add | Sub, graph: IntegerGraph, subtract: bool, activation: Any) -> Step:
    first, second, output = (graph[tensor] for tensor in (*node.inputs, node.output))
    p = elementwise.sum_parameters(first, second, output, graph.form, activation, subtract)
    weights = [float(tensor.scale) / float(output.scale) for tensor in (first, second)]
    line = fixed_point.weighting(p, weights[0], -weights[1] if subtract else weights[1])
    if line is not None:
        return _blend(node, graph, line)
    twice_larger = 2.0 * max(float(first.scale), float(second.scale))
    call = ", ".join(
        (
            "@0", _strides(first, output), _addend(first, twice_larger),
            "@1", _strides(second, output), _addend(second, twice_larger), "-1" if subtract else "1",
            _scale(p.multiplier, p.shift, p.output_zero_point, p.low), "@out", _shape(output),
        )
    )  # fmt: skip
    inside = _in_place(node, graph)
    return Step(node.name, node.op, "sum", "ea_sum", node.inputs, node.output, call, in_place=inside)


def _blend(node: Add | Sub, graph: IntegerGraph, line: Weighting) -> Step:
    first, second, output = (graph[tensor] for tensor in (*node.inputs, node.output))
    numbers = (line.a, line.b)
    places = [f"@0, {_strides(first, output)}", f"@1, {_strides(second, output)}"]
    if first.size < second.size:  # the kernel looks for repetition in the second
        numbers, places = numbers[::-1], places[::-1]
    record = f"(ea_weighting){{{numbers[0]}, {numbers[1]}, {line.offset}, {line.low}}}"
    call = f"{', '.join(places)}, {record}, @out, {_shape(output)}"
    inside = _in_place(node, graph)
    return Step(node.name, node.op, "blend", "ea_blend", node.inputs, node.output, call, in_place=inside)


@lower_node.register
def _add(node: Add, graph: IntegerGraph, name: str) -> Step:
    return _sum(node, graph, False, node.activation)


@lower_node.register
def _sub(node: Sub, graph: IntegerGraph, name: str) -> Step:
    return _sum(node, graph, True, "none")


@lower_node.register
def _mul(node: Mul, graph: IntegerGraph, name: str) -> Step:
    first, second, output = (graph[tensor] for tensor in (*node.inputs, node.output))
    p = elementwise.product_parameters(first, second, output, graph.form)
    whole = not isinstance(first, Strided)
    if whole and node.inputs[0] == node.inputs[1]:
        scale = _scale(p.multiplier, p.shift, p.output_zero_point, p.low)
        call = f"@0, {p.zero_points[0]}, {scale}, @out, {output.size}"
        return Step(node.name, node.op, "square", "ea_square", node.inputs, node.output, call, in_place=(0,))
    if whole and shape3(first) == shape3(output) and shape3(second)[2] == 1:
        line = fixed_point.gain(p, float(first.scale) * float(second.scale) / float(output.scale))
        if line is not None:
            record = f"(ea_gaining){{{', '.join(map(str, (*line.zero_points, line.weight, line.offset)))}}}"
            call = f"@0, @1, {_strides(second, output)}, {record}, @out, {_shape(output)}"
            inside = _in_place(node, graph)
            return Step(node.name, node.op, "gain", "ea_gain", node.inputs, node.output, call, in_place=inside)
    call = ", ".join(
        (
            "@0", _strides(first, output), str(p.zero_points[0]),
            "@1", _strides(second, output), str(p.zero_points[1]),
            _scale(p.multiplier, p.shift, p.output_zero_point, p.low), "@out", _shape(output),
        )
    )  # fmt: skip
    inside = _in_place(node, graph)
    return Step(node.name, node.op, "product", "ea_product", node.inputs, node.output, call, in_place=inside)


@lower_node.register
def _mean(node: Mean, graph: IntegerGraph, name: str) -> Step:
    source, output = _one(node, graph)
    p = reduce.mean_parameters(source, output, node.axes, node.keep, graph.form)
    whole = shape3(source)
    if p.count * 255 >= MOST_ACCUMULATED:
        raise BadInput("C export", f"{node.name}: a mean of {p.count:,} values, whose sum may reach 2^30")
    kept = [1 if axis in node.axes else side for axis, side in zip("CFT", whole, strict=True)]
    shape = f"(ea_shape){{{', '.join(map(str, kept))}}}"
    scale = _scale(p.multiplier, p.shift, p.output_zero_point)
    call = f"@0, {_shape(source)}, {p.input_zero_point}, {scale}, @out, {shape}"
    return Step(node.name, node.op, "mean", "ea_mean", node.inputs, node.output, call)


@lower_node.register
def _max_pool(node: MaxPool, graph: IntegerGraph, name: str) -> Step:
    source, output = _one(node, graph)
    window = f"(ea_window){{{', '.join(map(str, (*node.kernel, *node.stride, 1, 1, 0, 0)))}}}"
    call = f"@0, {_shape(source)}, {window}, @out, {_shape(output)}"
    # A window's result lies before every value that a later window reads.
    return Step(node.name, node.op, "max_pool", "ea_max_pool", node.inputs, node.output, call, in_place=(0,))


@lower_node.register
def _avg_pool(node: AvgPool, graph: IntegerGraph, name: str) -> Step:
    source, output = _one(node, graph)
    window = f"(ea_window){{{', '.join(map(str, (*node.kernel, *node.stride, 1, 1, 0, 0)))}}}"
    low = pool_low(node, output.zero_point)
    call = f"@0, {_shape(source)}, {window}, {low}, @out, {_shape(output)}"
    return Step(node.name, node.op, "avg_pool", "ea_avg_pool", node.inputs, node.output, call, in_place=(0,))


def _table(node: Node, graph: IntegerGraph, name: str, table: NDArray[np.int8]) -> Step:
    call = f"@0, t_{name}, @out, {graph[node.output].size}"
    arrays = (_array(f"t_{name}", "int8_t", table, "table"),)
    return Step(
        node.name, node.op, "table", "ea_table", node.inputs, node.output, call, arrays=arrays, in_place=(0,)
    )  # fmt: skip


@lower_node.register
def _logistic(node: Logistic, graph: IntegerGraph, name: str) -> Step:
    return _table(node, graph, name, unary.logistic_table(_one(node, graph)[0], graph.form))


@lower_node.register
def _leaky_relu(node: LeakyRelu, graph: IntegerGraph, name: str) -> Step:
    return _table(node, graph, name, rectify.leaky_relu_table(node, *_one(node, graph), graph.form))


lower_node.register(Pad, sequence_calls.pad)
lower_node.register(PRelu, sequence_calls.prelu)
lower_node.register(Regroup, sequence_calls.regroup)
lower_node.register(Slice, sequence_calls.cut)
lower_node.register(ZeroPad, sequence_calls.zero_pad)


@lower_node.register
def _rsqrt(node: Rsqrt, graph: IntegerGraph, name: str) -> Step:
    return _table(node, graph, name, unary.rsqrt_table(*_one(node, graph), graph.form))


@lower_node.register
def _silu(node: Silu, graph: IntegerGraph, name: str) -> Step:
    return _table(node, graph, name, unary.silu_table(*_one(node, graph)))


@lower_node.register
def _gelu(node: Gelu, graph: IntegerGraph, name: str) -> Step:
    return _table(node, graph, name, unary.gelu_table(*_one(node, graph)))


@lower_node.register
def _resnorm(node: ResNorm, graph: IntegerGraph, name: str) -> Step:
    source, output = _one(node, graph)
    p = resnorm.resnorm_parameters(node, source, output)
    numbers = (
        p.input_zero_point, p.scaling, f"INT64_C({p.epsilon})", p.multiplier, p.shift, f"INT64_C({p.residual})",
        p.output_zero_point,
    )  # fmt: skip
    record = f"static const ea_resnorm_constants r_{name} = {{{', '.join(map(str, numbers))}}};"
    call = f"@0, &r_{name}, @out, {_shape(source)}"
    return Step(
        node.name, node.op, "resnorm", "ea_resnorm", node.inputs, node.output, call, before=(record,), in_place=(0,)
    )  # fmt: skip
