"""Damaged model files, the same for the same number: bytes spoilt blindly, and fields spoilt with knowledge.

Used by `fuzz_audit.py`, and by the tests with fewer files; `fuzz_seeds.py` has the files that are spoilt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

WORDS = (0, 1, 2, 4, 127, 255, 2**15, 2**16, 2**24, 2**30, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1)
SIDES = (0, -1, -2, 1, 7, 2**16, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
OPERATORS = (
    "Conv", "ConvTranspose", "Gemm", "MatMul", "Reshape", "Loop", "If", "Scan", "Einsum", "LSTM", "GRU", "Cast", "Tile",
    "QLinearConv", "QuantizeLinear", "DequantizeLinear", "Constant", "ConstantOfShape", "Expand", "Pad", "Range",
    "Resize", "NoSuchOperator", "BatchNormalization", "AveragePool", "Concat", "Slice",
)  # fmt: skip
Random = np.random.Generator


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


def _new_attribute(graph: onnx.GraphProto, random: Random) -> None:
    """An attribute that a reader may believe: where it cuts, how often it repeats, how many groups there are."""
    attribute = _pick(random, graph.node).attribute.add()
    attribute.name = _pick(
        random, ("axis", "group", "block_size", "hidden_size", "num_heads", "transB", "kernel_shape")
    )
    attribute.type, attribute.i = onnx.AttributeProto.INT, _pick(random, SIDES)
    if attribute.name == "kernel_shape":
        attribute.type = onnx.AttributeProto.INTS
        attribute.ints.extend([_pick(random, SIDES), 3])


def _sparse(graph: onnx.GraphProto, random: Random) -> None:
    """A constant becomes sparse: a few values in a shape that may be enormous."""
    tensor = _pick(random, graph.initializer)
    sparse = graph.sparse_initializer.add()
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(3, np.float32), tensor.name))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([0, 1, _pick(random, SIDES)], np.int64)))
    sparse.dims.extend([4, _pick(random, SIDES)])
    graph.initializer.remove(tensor)


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
    _same_output, _operator, _operator, _attribute, _attribute, _new_attribute, _sparse, _lose, _twice, _arity, _nested,
)  # fmt: skip
