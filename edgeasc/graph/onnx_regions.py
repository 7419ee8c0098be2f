"""Regions of a QDQ graph: the float operators between DequantizeLinear and one QuantizeLinear, and what they are.

A matcher looks at the chain that ends in the QuantizeLinear and answers with a node of `graph.model`, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.bands import band_scales, snap_bias
from edgeasc.graph.model import (
    KEEPING_GRID,
    Add,
    AvgPool,
    Axis,
    Conv,
    Logistic,
    MaxPool,
    Mean,
    Mul,
    Node,
    QTensor,
    ResNorm,
    Rsqrt,
    Silu,
    Sub,
)
from edgeasc.graph.onnx_region import Region, attributes, check_eps, reduced_axes, whole_numbers
from edgeasc.graph.onnx_sequence import SEQUENCE_MATCHERS, match_moved
from edgeasc.graph.onnx_transformer import TRANSFORMER_MATCHERS, match_attention

if TYPE_CHECKING:
    import onnx

NAMES: dict[int, Axis] = {1: "C", 2: "F", 3: "T"}
OPERATORS = (  # of which regions are made here
    "Add", "AveragePool", "Clip", "Conv", "Div", "Erf", "Gelu", "GlobalAveragePool", "LayerNormalization", "LeakyRelu",
    "MatMul", "MaxPool", "Mul", "PRelu", "Pad", "Reciprocal", "ReduceMean", "Relu", "Reshape", "Sigmoid", "Slice",
    "Softmax", "Sqrt", "Sub", "Transpose",
)  # fmt: skip
SAME_GRID = 1e-5  # of a bias; that of the accumulators as a writer multiplies it out, in whatever precision
MOST_NODES = 100  # of a region that is searched for a foreign one


def match_region(region: Region, tensors: dict[str, QTensor], scale: np.float32, zero_point: int) -> Node:
    """The operator that `region` computes.

    Raises:
        BadInput: none of the graph's operators, naming the node that ends the region.
    """
    plain = (_resnorm, _silu, _binary, _rsqrt, _unary, _mean, _max_pool)
    for matcher in (*plain, *SEQUENCE_MATCHERS, *TRANSFORMER_MATCHERS):
        node = matcher(region)
        if node is not None:
            return _on_one_grid(node, tensors, scale, zero_point)
    shaped = match_attention(region, tensors) or match_moved(region, tensors)
    if shaped is not None:
        return _on_one_grid(shaped, tensors, scale, zero_point)
    found = _avg_pool(region, tensors, (scale, zero_point)) or _conv(region, tensors, scale)
    if found is not None:
        return found
    why = f"before QuantizeLinear {region.output!r}, is no operator of the integer graph"
    raise BadInput("ONNX", f"{_culprit(region)}, {why}; replace it, or run the file in ONNX Runtime")


def _on_one_grid(node: Node, tensors: dict[str, QTensor], scale: np.float32, zero_point: int) -> Node:
    """`node`, which does not change the scale where it cannot."""
    source = tensors[node.inputs[0]]
    if isinstance(node, KEEPING_GRID) and (source.scale, source.zero_point) != (scale, zero_point):
        raise BadInput("ONNX", f"{node.op} {node.name!r} changes the scale, which no integer runtime does")
    if isinstance(node, Logistic) and (scale, zero_point) != (np.float32(1 / 256), -128):
        why = "not scale 1/256 and zero point -128, the one grid that integer runtimes have for it"
        raise BadInput("ONNX", f"Sigmoid {node.name!r} makes scale {scale:g}, zero point {zero_point}, {why}")
    return node


def _culprit(region: Region) -> str:
    """The node that makes `region` foreign: the first from its end that no region of ours has, or else the last."""
    waiting = [region.top]
    found: list[tuple[onnx.NodeProto, str]] = []
    while waiting and len(found) < MOST_NODES:
        value = waiting.pop(0)
        node = region.producers.get(value) if region.tensor(value) is None else None
        if node is not None:
            found.append((node, value))
            waiting += node.input
    if not found:
        return repr(region.top)
    node, value = next((pair for pair in found if pair[0].op_type not in OPERATORS), found[0])
    return f"{node.op_type} {node.name or value!r}"


def _binary(region: Region) -> Node | None:
    value, activation = region.without_relu()
    node = region.node(value, "Add", "Sub", "Mul")
    inputs = region.tensors(node) if node is not None else None
    if node is None or inputs is None:
        return None
    if node.op_type == "Add":
        return Add(region.name(node), inputs, region.output, activation=activation)
    if activation != "none":
        return None
    kind: Callable[..., Node] = Sub if node.op_type == "Sub" else Mul
    return kind(region.name(node), inputs, region.output)


def _unary(region: Region) -> Node | None:
    node = region.node(region.top, "Sigmoid")
    inputs = region.tensors(node) if node is not None else None
    return None if node is None or inputs is None else Logistic(region.name(node), inputs, region.output)


def _rsqrt(region: Region) -> Node | None:
    node = region.node(region.top, "Reciprocal")
    root = region.node(node.input[0], "Sqrt") if node is not None else None
    inputs = region.tensors(root) if root is not None else None
    return None if node is None or inputs is None else Rsqrt(region.name(node), inputs, region.output)


def _mean(region: Region) -> Node | None:
    node = region.node(region.top, "ReduceMean", "GlobalAveragePool")
    source = region.tensor(node.input[0]) if node is not None else None
    if node is None or source is None:
        return None
    axes, keep = reduced_axes(region, node)
    if not set(axes) <= set(NAMES):
        raise BadInput("ONNX", f"{node.op_type} {node.name!r} reduces the batch axis")
    return Mean(
        region.name(node), (source,), region.output, axes=tuple(NAMES[axis] for axis in sorted(axes)), keep=keep
    )


def _max_pool(region: Region) -> Node | None:
    node = region.node(region.top, "MaxPool")
    source = region.tensor(node.input[0]) if node is not None else None
    if node is None or source is None:
        return None
    kernel, stride = _windows(node)
    return MaxPool(region.name(node), (source,), region.output, kernel=kernel, stride=stride)


def _avg_pool(region: Region, tensors: dict[str, QTensor], grid: tuple[np.float32, int]) -> AvgPool | None:
    """The mean of windows, on the tensor's grid or, as our own files have it, on the integers (`onnx_write`).

    Raises:
        BadInput: the result has another grid than the input.
    """
    value, activation = region.without_relu()
    clip = region.node(value, "Clip") if activation == "none" else None
    node = region.node(clip.input[0] if clip is not None else value, "AveragePool")
    if node is None:
        return None
    source = region.integers.get(node.input[0]) if activation == "none" else None
    if source is not None:
        wanted: tuple[float, int] = (1.0, 0)
        if clip is not None:
            low = region.constants.get(clip.input[1]) if len(clip.input) == 2 else None
            if low is None or low.size != 1 or float(low.item()) != tensors[source].zero_point:
                return None
            activation = "relu"
    else:
        source = region.tensor(node.input[0]) if clip is None else None
        if source is None:
            return None
        wanted = (float(tensors[source].scale), tensors[source].zero_point)
    if (float(grid[0]), grid[1]) != wanted:
        raise BadInput("ONNX", f"AveragePool {node.name!r} changes the scale, which no integer runtime does")
    kernel, stride = _windows(node)
    return AvgPool(region.name(node), (source,), region.output, kernel=kernel, stride=stride, activation=activation)


def _windows(node: onnx.NodeProto) -> tuple[tuple[int, int], tuple[int, int]]:
    """Kernel and stride of a pooling operator.

    Raises:
        BadInput: it pads, dilates or rounds up.
    """
    options = attributes(node)
    plain = not any(options.get("pads", [0])) and not options.get("ceil_mode", 0)
    if not plain or options.get("auto_pad", b"NOTSET") != b"NOTSET" or set(options.get("dilations", [1])) != {1}:
        raise BadInput("ONNX", f"{node.op_type} {node.name!r} has padding, dilation or ceil_mode; none is supported")
    (f, t), stride = whole_numbers(node, "kernel_shape", ()), whole_numbers(node, "strides", (1, 1))
    return (f, t), (stride[0], stride[1])


def _silu(region: Region) -> Node | None:
    node = region.node(region.top, "Mul")
    if node is None:
        return None
    for value, gate in ((0, 1), (1, 0)):
        sigmoid = region.node(node.input[gate], "Sigmoid")
        source = region.tensor(node.input[value])
        if sigmoid is not None and source is not None and sigmoid.input[0] == node.input[value]:
            return Silu(region.name(node), (source,), region.output)
    return None


def _resnorm(region: Region) -> Node | None:
    """lam * x + (x - mean) * (1 / sqrt(mean((x - mean)^2) + eps)), means over channels and time."""
    add = region.node(region.top, "Add")
    shortcut = region.node(add.input[0], "Mul") if add is not None else None
    normal = region.node(add.input[1], "Mul") if add is not None else None
    if add is None or shortcut is None or normal is None:
        return None
    value, lam = shortcut.input[0], region.constants.get(shortcut.input[1])
    centred, inverse = region.node(normal.input[0], "Sub"), region.node(normal.input[1], "Reciprocal")
    root = region.node(inverse.input[0], "Sqrt") if inverse is not None else None
    floored = region.node(root.input[0], "Add") if root is not None else None
    variance = region.node(floored.input[0], "ReduceMean") if floored is not None else None
    square = region.node(variance.input[0], "Mul") if variance is not None else None
    mean = region.node(centred.input[1], "ReduceMean") if centred is not None else None
    source = region.tensor(value)
    if floored is None or variance is None or square is None or mean is None or centred is None or source is None:
        return None
    eps = region.constants.get(floored.input[1])
    wired = centred.input[0] == mean.input[0] == value and set(square.input) == {normal.input[0]}
    over_ct = all(reduced_axes(region, node) == ([1, 3], True) for node in (mean, variance))
    if lam is None or eps is None or lam.size != 1 or eps.size != 1 or not wired or not over_ct:
        return None
    check_eps(add, float(eps.item()), lam)
    return ResNorm(region.name(add), (source,), region.output, lam=float(lam.item()), eps=float(eps.item()))


def _conv(region: Region, tensors: dict[str, QTensor], scale: np.float32) -> Node | None:
    value, activation = region.without_relu()
    gain = offset = None
    add = region.node(value, "Add")
    if add is not None and add.input[1] in region.constants:
        scaled = region.node(add.input[0], "Mul")
        if scaled is None or scaled.input[1] not in region.constants:
            return None
        gain, offset, value = region.constants[scaled.input[1]], region.constants[add.input[1]], scaled.input[0]
    conv = region.node(value, "Conv")
    source = region.tensor(conv.input[0]) if conv is not None else None
    if conv is None or source is None:
        return None
    name, input_scale = region.name(conv), tensors[source].scale
    weight, weight_scale = _weight(region, conv)
    bias = _bias(region, conv, input_scale * weight_scale.astype(np.float64))
    if gain is None or offset is None:
        scales, sign = weight_scale[None], np.ones((1, len(weight_scale)), np.int8)
        integers = bias if bias.dtype == np.int32 else snap_bias(bias, input_scale, scales[0])
        bias = np.asarray(integers, np.int32)[None]
    else:
        gains, offsets = _per_band(gain, name), _per_band(offset, name)
        bands = max(len(gains), len(offsets), key=lambda n: n)
        gains, offsets = _repeat_bands(gains, bands, name), _repeat_bands(offsets, bands, name)
        if np.any(bias):
            raise BadInput("ONNX", f"Conv {name!r} has a bias before its sub-band gain; fold it into the offset")
        scales, sign = band_scales(weight, weight_scale, gains, input_scale, scale)
        bias = snap_bias(offsets, input_scale, scales)
    return Conv(
        name, (source,), region.output, weight, scales, sign, bias, **_geometry(conv, name), activation=activation
    )


def _weight(region: Region, conv: onnx.NodeProto) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    if conv.input[1] not in region.weights:
        raise BadInput("ONNX", f"Conv {conv.name!r} has weights that are not symmetric int8")
    weight, scale, axis = region.weights[conv.input[1]]
    if weight.dtype != np.int8 or weight.ndim != 4 or (scale.size != 1 and axis != 0):
        raise BadInput("ONNX", f"Conv {conv.name!r} has weights that are not 2-D, int8 and scaled per output channel")
    if weight.min(initial=0) < -127:
        raise BadInput("ONNX", f"Conv {conv.name!r} has the weight -128; TFLite needs [-127, 127]")
    return weight, np.broadcast_to(scale.reshape(-1), (weight.shape[0],)).copy()


def _bias(region: Region, conv: onnx.NodeProto, grid: NDArray[np.float64]) -> NDArray[Any]:
    """int32 integers on the grid of the accumulators, or float32 real values, one per output channel."""
    if len(conv.input) < 3 or not conv.input[2]:
        return np.zeros(grid.size, np.int32)
    stored, scale, _ = region.weights.get(conv.input[2], (region.constants.get(conv.input[2]), None, 0))
    if stored is None or (scale is not None and stored.dtype != np.int32):
        raise BadInput("ONNX", f"Conv {conv.name!r} has a bias that is neither constant reals nor constant int32")
    if stored.shape != grid.shape or (scale is not None and scale.size not in (1, grid.size)):
        raise BadInput("ONNX", f"Conv {conv.name!r} has a bias of shape {stored.shape} for {grid.size} channels")
    if scale is None:
        return np.asarray(stored, np.float32)
    if np.allclose(scale, grid, rtol=SAME_GRID, atol=0):
        return np.asarray(stored, np.int32)
    return np.asarray(stored * scale.astype(np.float64), np.float32)


def _geometry(conv: onnx.NodeProto, name: str) -> dict[str, Any]:
    options = attributes(conv)
    if options.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise BadInput("ONNX", f"Conv {name!r} uses auto_pad; explicit pads are needed")
    return {
        "stride": whole_numbers(conv, "strides", (1, 1)),
        "padding": whole_numbers(conv, "pads", (0, 0, 0, 0)),
        "dilation": whole_numbers(conv, "dilations", (1, 1)),
        "groups": int(options.get("group", 1)),
    }


def _per_band(constant: NDArray[Any], name: str) -> NDArray[np.float32]:
    """[bands, C] from a constant [1, C, F, 1] that is equal within each of the fewest equal bands."""
    if constant.ndim != 4 or constant.shape[0] != 1 or constant.shape[3] != 1:
        raise BadInput("ONNX", f"Conv {name!r} is scaled by a constant of shape {constant.shape}, not [1, C, F, 1]")
    values = np.asarray(constant[0, :, :, 0], np.float32)  # [C, F]
    bins = values.shape[1]
    changes = np.flatnonzero(np.any(values[:, 1:] != values[:, :-1], axis=0)) + 1
    height = int(np.gcd.reduce([bins, *changes]))
    return np.ascontiguousarray(values[:, ::height].T)


def _repeat_bands(values: NDArray[np.float32], bands: int, name: str) -> NDArray[np.float32]:
    if bands % len(values):
        raise BadInput("ONNX", f"Conv {name!r} has gains and offsets over bands that do not fit each other")
    return np.repeat(values, bands // len(values), axis=0)
