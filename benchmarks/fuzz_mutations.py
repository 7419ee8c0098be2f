"""Damaged model files, the same for the same number: bytes spoilt blindly, and fields spoilt with knowledge.

Seeds are networks built in code: our int8 and island forms, a float network and one with operators that run integers.
Used by `fuzz_audit.py`, and by the tests with fewer files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor
from edgeasc.graph.onnx_write import onnx_bytes

WORDS = (0, 1, 2, 4, 127, 255, 2**15, 2**16, 2**24, 2**30, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)
SIDES = (0, -1, -2, 1, 7, 2**16, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
OPERATORS = (
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Reshape", "Loop", "If", "Scan", "Einsum", "LSTM", "GRU", "Cast", "Tile",
    "QLinearConv", "QuantizeLinear", "DequantizeLinear", "Constant", "ConstantOfShape", "Expand", "Pad", "Range",
    "Resize", "NoSuchOperator", "BatchNormalization", "AveragePool", "Concat", "Slice",
)  # fmt: skip
Random = np.random.Generator


def seeds(suffix: str) -> list[bytes]:
    """The undamaged files of a format, `onnx` or `tflite`."""
    write = onnx_bytes if suffix == "onnx" else tflite_bytes
    ours = [write(dummy_graph(form)) for form in ("int8", "island")]  # type: ignore[arg-type]
    return [*ours, float_onnx(), operator_onnx()] if suffix == "onnx" else [*ours, float_tflite()]


def damaged(suffix: str, number: int, originals: list[bytes]) -> bytes:
    """File `number`: one of `originals`, spoilt in one to eight places."""
    random = np.random.default_rng([number, len(suffix)])
    payload = originals[number % len(originals)]
    if suffix == "onnx" and random.random() < 0.6:
        payload = _spoil_fields(payload, random)
        if random.random() < 0.8:
            return payload
    data = bytearray(payload)
    for _ in range(min(int(random.geometric(0.5)), 8)):
        if len(data) > 16:
            _pick(random, BLIND)(data, random)
    return bytes(data)


def _pick(random: Random, choices: Any) -> Any:
    return choices[int(random.integers(len(choices)))]


def _place(data: bytearray, random: Random, room: int = 4) -> int:
    return int(random.integers(0, len(data) - room))


def _flip(data: bytearray, random: Random) -> None:
    data[_place(data, random)] ^= 1 << int(random.integers(8))


def _byte(data: bytearray, random: Random) -> None:
    data[_place(data, random)] = int(random.integers(256))


def _word(data: bytearray, random: Random) -> None:
    """An aligned word becomes an extreme number: offsets, lengths, sides and types all lie on such words."""
    at = _place(data, random) // 4 * 4
    data[at : at + 4] = int(_pick(random, WORDS)).to_bytes(4, "little")


def _nudge(data: bytearray, random: Random) -> None:
    """An aligned word becomes a little larger or smaller: an offset that leads next to what was meant."""
    at = _place(data, random) // 4 * 4
    value = int.from_bytes(data[at : at + 4], "little") + int(_pick(random, (-8, -4, -1, 1, 4, 8)))
    data[at : at + 4] = (value % 2**32).to_bytes(4, "little")


def _copy(data: bytearray, random: Random) -> None:
    """Some bytes appear elsewhere as well: two tables or fields become one, loops arise."""
    size = int(random.integers(4, 64))
    source, target = _place(data, random), _place(data, random)
    piece = data[source : source + size]
    data[target : target + len(piece)] = piece


def _cut(data: bytearray, random: Random) -> None:
    del data[_place(data, random) :]


def _drop(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + int(random.integers(1, 32))]


BLIND: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip,
    _byte,
    _word,
    _word,
    _nudge,
    _nudge,
    _copy,
    _drop,
    _cut,
)


def _spoil_fields(payload: bytes, random: Random) -> bytes:
    """A valid protocol buffer that says something impossible."""
    model = onnx.ModelProto()
    model.ParseFromString(payload)
    for _ in range(int(random.integers(1, 5))):
        if model.graph.node and model.graph.initializer:
            _pick(random, FIELDS)(model.graph, random)
    return bytes(model.SerializeToString())


def _tensor_side(graph: onnx.GraphProto, random: Random) -> None:
    tensor = _pick(random, graph.initializer)
    if tensor.dims and random.random() < 0.8:
        tensor.dims[int(random.integers(len(tensor.dims)))] = _pick(random, SIDES)
    else:
        tensor.dims.extend([_pick(random, SIDES)] * int(random.integers(1, 70)))


def _tensor_type(graph: onnx.GraphProto, random: Random) -> None:
    _pick(random, graph.initializer).data_type = int(random.integers(-1, 40))


def _tensor_bytes(graph: onnx.GraphProto, random: Random) -> None:
    tensor = _pick(random, graph.initializer)
    tensor.raw_data = tensor.raw_data[: int(random.integers(0, len(tensor.raw_data) + 1))]


def _outside(graph: onnx.GraphProto, random: Random) -> None:
    tensor = _pick(random, graph.initializer)
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", _pick(random, ("../../etc/passwd", "/dev/zero", "weights.bin", ""))


def _input_side(graph: onnx.GraphProto, random: Random) -> None:
    value = _pick(random, [*graph.input, *graph.output] or [onnx.ValueInfoProto()])
    dims = value.type.tensor_type.shape.dim
    if dims:
        _pick(random, dims).dim_value = _pick(random, SIDES)


def _rewire(graph: onnx.GraphProto, random: Random) -> None:
    """An operator reads what another writes, perhaps itself: cycles, and tensors from the future."""
    node, other = _pick(random, graph.node), _pick(random, graph.node)
    if node.input and other.output:
        node.input[int(random.integers(len(node.input)))] = other.output[0]


def _same_output(graph: onnx.GraphProto, random: Random) -> None:
    node, other = _pick(random, graph.node), _pick(random, graph.node)
    if node.output and other.output:
        node.output[0] = other.output[0]


def _operator(graph: onnx.GraphProto, random: Random) -> None:
    _pick(random, graph.node).op_type = _pick(random, OPERATORS)


def _attribute(graph: onnx.GraphProto, random: Random) -> None:
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    if attributes:
        chosen = _pick(random, attributes)
        chosen.i = _pick(random, SIDES)
        if chosen.ints:
            chosen.ints[int(random.integers(len(chosen.ints)))] = _pick(random, SIDES)
        if random.random() < 0.2:
            chosen.type = int(random.integers(0, 15))


def _lose(graph: onnx.GraphProto, random: Random) -> None:
    rows = _pick(random, (graph.initializer, graph.node, graph.input, graph.output))
    if rows:
        del rows[int(random.integers(len(rows)))]


def _twice(graph: onnx.GraphProto, random: Random) -> None:
    rows = _pick(random, (graph.initializer, graph.node, graph.input, graph.output))
    for _ in range(int(random.integers(1, 40))):
        if rows:
            rows.add().CopyFrom(_pick(random, rows))


def _arity(graph: onnx.GraphProto, random: Random) -> None:
    node = _pick(random, graph.node)
    names = _pick(random, (node.input, node.output))
    if random.random() < 0.5 and names:
        del names[int(random.integers(len(names))) :]
    else:
        names.extend([""] * int(random.integers(1, 4)))


def _nested(graph: onnx.GraphProto, random: Random) -> None:
    """A sub-graph, from which every name of the graph around it can be seen, below an operator that has none."""
    whole = graph.SerializeToString()  # copying a message into itself would not end
    attribute = _pick(random, graph.node).attribute.add()
    attribute.name, attribute.type = "body", onnx.AttributeProto.GRAPH
    attribute.g.ParseFromString(whole)


FIELDS: tuple[Callable[[onnx.GraphProto, Random], None], ...] = (
    _tensor_side, _tensor_side, _tensor_type, _tensor_bytes, _outside, _input_side, _input_side, _rewire, _rewire,
    _same_output, _operator, _operator, _attribute, _attribute, _lose, _twice, _arity, _nested,
)  # fmt: skip


def float_onnx() -> bytes:
    """Convolution, batch norm, depthwise convolution, pooling and a dense layer in float, with open batch."""
    random = np.random.default_rng(1)

    def tensor(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(0, 1, shape).astype(np.float32), name)

    constants = [tensor("w1", 8, 1, 3, 3), tensor("b1", 8), tensor("w2", 8, 1, 3, 1), tensor("w3", 8, 10)]
    constants += [tensor(f"n{index}", 8) for index in range(4)] + [tensor("b3", 10)]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1], strides=[2, 1]),
        helper.make_node("BatchNormalization", ["c1", "n0", "n1", "n2", "n3"], ["m1"], name="norm1"),
        helper.make_node("Relu", ["m1"], ["r1"], name="relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="conv2", pads=[1, 0, 1, 0], group=8),
        helper.make_node("Add", ["c2", "r1"], ["a2"], name="add2"),
        helper.make_node("GlobalAveragePool", ["a2"], ["p2"], name="pool2"),
        helper.make_node("Flatten", ["p2"], ["f2"], name="flatten2"),
        helper.make_node("Gemm", ["f2", "w3", "b3"], ["y"], name="dense3"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 16, 12])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])
    graph = helper.make_graph(nodes, "float", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def operator_onnx() -> bytes:
    """QLinearConv and QLinearMatMul with asymmetric uint8 weights."""
    random = np.random.default_rng(2)
    arrays = {
        "s": np.float32(0.1), "z": np.uint8(3), "w": random.integers(0, 255, (4, 1, 3, 3)).astype(np.uint8),
        "m": random.integers(0, 255, (48, 10)).astype(np.uint8), "shape": np.array([1, 48], np.int64),
    }  # fmt: skip
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    nodes = [
        helper.make_node("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z"], ["c"], name="conv", strides=[4, 4],
                         pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["c", "shape"], ["f"], name="reshape"),
        helper.make_node("QLinearMatMul", ["f", "s", "z", "m", "s", "z", "s", "z"], ["y"], name="dense"),
    ]  # fmt: skip
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 1, 16, 12])
    y = helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 10])
    graph = helper.make_graph(nodes, "operators", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def float_tflite() -> bytes:
    """A float convolution, a depthwise one with per-channel int8 weights, and a dense layer."""
    random, model = np.random.default_rng(3), Model()
    real, small = np.dtype(np.float32), np.dtype(np.int8)
    scales = np.full(8, 0.01, np.float32)
    x = model.add_tensor(Tensor("x", (1, 16, 12, 1), real))
    w1 = model.add_tensor(Tensor("w1", (8, 3, 3, 1), real, data=random.normal(0, 1, (8, 3, 3, 1)).astype(real)))
    c1 = model.add_tensor(Tensor("conv", (1, 16, 12, 8), real))
    weights = random.integers(-127, 128, (1, 3, 3, 8)).astype(small)
    w2 = model.add_tensor(Tensor("w2", weights.shape, small, scales, 0, 3, weights))
    c2 = model.add_tensor(Tensor("depthwise", (1, 16, 12, 8), real))
    w3 = model.add_tensor(
        Tensor("w3", (10, 1536), small, scales[:1], 0, 0, random.integers(-9, 9, (10, 1536)).astype(small))
    )
    y = model.add_tensor(Tensor("y", (1, 10), real))
    model.operators += [
        Operator("CONV_2D", 1, (x, w1, -1), (c1,), "Conv2DOptions", {}),
        Operator("DEPTHWISE_CONV_2D", 1, (c1, w2, -1), (c2,), "DepthwiseConv2DOptions", {}),
        Operator("FULLY_CONNECTED", 1, (c2, w3, -1), (y,), "FullyConnectedOptions", {}),
    ]
    model.inputs, model.outputs = [x], [y]
    return model.to_bytes()
