"""A .tflite file as it is stored: tensors, operators and metadata, from whoever wrote it.

Nothing is executed and nothing beyond the file's own bytes is trusted (`graph.flatbuffer`); TensorFlow is not needed.
Slots and enumerations follow TensorFlow Lite's schema, version 3.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.files import sha256
from edgeasc.graph.flatbuffer import Damaged, FlatTable
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor, count_elements
from edgeasc.graph.tflite_names import BUILTIN_OPERATORS
from edgeasc.graph.topology import in_order

IDENTIFIER = b"TFL3"
MAX_ITEMS = 100_000  # tensors or operators; an audio network has hundreds
MAX_ELEMENTS = 2**28  # of one tensor; an audio network has far less, a hostile file may claim anything
MAX_SHARING = 64  # bytes of all constants per byte of the file; shared buffers make it larger than 1
SPARE_BYTES = 2**28  # of all constants, unpacked, beyond four times a file: one to which its sharing is not enough

# Bytes into which a byte of these types is unpacked; the others are read where they lie
UNPACKED = {"int2": 4, "int4": 2, "uint4": 2, "bfloat16": 2}
# Options by slot and type
_OPTIONS = {
    "BATCH_MATMUL": {"adj_x": (0, "B"), "adj_y": (1, "B")},
    "WHILE": {"cond": (0, "i"), "body": (1, "i")},
    "IF": {"then": (0, "i"), "else": (1, "i")},
    "CALL_ONCE": {"init": (0, "i")},
    "STABLEHLO_COMPOSITE": {"body": (1, "i")},
}
# TensorType in the schema's order: name and bits of one element (0: not a number of a network)
TYPES = (
    ("float32", 32),
    ("float16", 16),
    ("int32", 32),
    ("uint8", 8),
    ("int64", 64),
    ("string", 0),
    ("bool", 8),
    ("int16", 16),
    ("complex64", 64),
    ("int8", 8),
    ("float64", 64),
    ("complex128", 128),
    ("uint64", 64),
    ("resource", 0),
    ("variant", 0),
    ("uint32", 32),
    ("uint16", 16),
    ("int4", 4),
    ("bfloat16", 16),
    ("int2", 2),
    ("uint4", 4),
    ("float8_e4m3fn", 8),
    ("float8_e5m2", 8),
)


def read_tflite(payload: bytes) -> StoredModel:
    """The first sub-graph of a .tflite file, with its constants; the bodies of loops and branches below it.

    Raises:
        BadInput: not a TFLite file, or one whose offsets, indices or sizes do not fit together.
    """
    try:
        return _read(FlatTable.root(payload, IDENTIFIER))
    except BadInput as error:
        raise BadInput("TFLite", error.why) from None
    except (Damaged, IndexError, OverflowError) as error:
        raise BadInput("TFLite", f"damaged file: {error}") from None


def read_metadata(payload: bytes) -> dict[str, str]:
    """The metadata of a .tflite file that is text, by name.

    Raises:
        BadInput: not a TFLite file, or a damaged one.
    """
    try:
        return _metadata(FlatTable.root(payload, IDENTIFIER))
    except Damaged as error:
        raise BadInput("TFLite", f"damaged file: {error}") from None


def _read(model: FlatTable) -> StoredModel:
    tables, codes = model.tables(2), model.tables(1)
    if not tables:
        raise Damaged("no sub-graph")
    stored = [(table.tables(0), table.tables(3)) for table in tables[:MAX_ITEMS]]
    tensors, operators = (sum(len(part[place]) for part in stored) for place in (0, 1))
    sizes = {"sub-graphs": len(tables), "tensors": tensors, "operators": operators, "operator codes": len(codes)}
    for what, size in sizes.items():
        if size > MAX_ITEMS:
            raise Damaged(f"{size} {what}")
    buffers, names = _Buffers(model.tables(4), len(model.payload)), [_operator_name(code) for code in codes]
    main, *others = (_subgraph(table, *parts, names, buffers) for table, parts in zip(tables, stored, strict=True))
    return replace(main, metadata=_metadata(model), subgraphs=tuple(others))


def _subgraph(
    table: FlatTable, stored: list[FlatTable], operators: list[FlatTable], names: list[str], buffers: _Buffers
) -> StoredModel:
    tensors = tuple(_tensor(item, buffers) for item in stored)
    model = StoredModel(
        format="tflite",
        tensors=tensors,
        operators=tuple(_operator(item, names, tensors) for item in operators),
        inputs=_indices(table.vector(1, "i4"), len(tensors)),
        outputs=_indices(table.vector(2, "i4"), len(tensors)),
        metadata={},
    )
    return in_order(model)


def _metadata(model: FlatTable) -> dict[str, str]:
    buffers, result = _Buffers(model.tables(4), len(model.payload)), {}
    for entry in model.tables(6):
        content, _ = buffers.content(entry.scalar(1, "I", 0))
        try:
            result[entry.text(0)] = content.tobytes().decode()
        except UnicodeDecodeError:  # somebody's binary metadata
            continue
    return result


def _tensor(table: FlatTable, buffers: _Buffers) -> StoredTensor:
    name, kind = table.text(3), table.scalar(1, "b", 0)
    if not 0 <= kind < len(TYPES):
        raise Damaged(f"tensor {name!r} of unknown type {kind}")
    dtype, bits = TYPES[kind]
    shape = tuple(int(side) for side in table.vector(0, "i4"))
    elements = count_elements(shape)
    if elements > MAX_ELEMENTS or min(shape, default=0) < -1:
        raise Damaged(f"tensor {name!r} of shape {shape}")
    number, variable = table.scalar(2, "I", 0), bool(table.scalar(5, "B", 0))
    content, digest = buffers.content(number)
    sparse = table.table(6) is not None
    stored = len(content) * 8 // max(bits, 1) if sparse else elements  # a sparse tensor stores some of its values
    buffers.spend(len(content) * UNPACKED.get(dtype, 0))
    data = _values(content, dtype, min(stored, elements), name) if len(content) and not variable else None
    storage = f"buffer {number}" if data is not None else ""
    quantization = table.table(4)
    if quantization is None:
        return StoredTensor(name, shape, dtype, bits, data, digest, storage=storage, variable=variable, sparse=sparse)
    buffers.spend(8 * len(quantization.vector(3, "i8")) + 4 * len(quantization.vector(2, "f4")))
    zero_points, axis = quantization.vector(3, "i8").astype(np.int64), quantization.scalar(6, "i", 0)
    if len(zero_points) > 1 and not (0 <= axis < len(shape) and len(zero_points) == abs(shape[axis])):
        raise Damaged(f"tensor {name!r} of shape {shape} with {len(zero_points)} zero points along axis {axis}")
    scales = quantization.vector(2, "f4").astype(np.float32)
    return StoredTensor(
        name, shape, dtype, bits, data, digest, len(scales), zero_points, axis, storage, variable, sparse, scales
    )


class _Buffers:
    """The file's buffers by index, each looked at once; the sum of all uses is bounded."""

    def __init__(self, tables: list[FlatTable], file_bytes: int) -> None:
        self._tables = tables
        self._seen: dict[int, tuple[NDArray[np.uint8], str]] = {}
        self._left = min(MAX_SHARING * file_bytes, 4 * file_bytes + SPARE_BYTES)

    def content(self, index: int) -> tuple[NDArray[np.uint8], str]:
        """Bytes of a buffer, and their SHA-256; buffer 0 means 'no constant'."""
        if index >= len(self._tables):
            raise Damaged(f"buffer {index} of {len(self._tables)}")
        if index not in self._seen:
            content = _content(self._tables[index]) if index else np.empty(0, np.uint8)
            self._seen[index] = content, sha256(content.tobytes()) if len(content) else ""
        self.spend(len(self._seen[index][0]))
        return self._seen[index]

    def spend(self, size: int) -> None:
        """Note that `size` more bytes are read out of the file.

        Raises:
            Damaged: the file makes more of its bytes than any network would.
        """
        self._left -= size
        if self._left < 0:
            raise Damaged(f"its constants add up to more than {MAX_SHARING} times its size, or to hundreds of MB")


def _content(buffer: FlatTable) -> NDArray[np.uint8]:
    """A buffer's bytes, stored in the flatbuffer or behind it (offset and size fields, large models)."""
    offset, size = buffer.scalar(1, "Q", 0), buffer.scalar(2, "Q", 0)
    if offset > 1:
        if offset + size > len(buffer.payload):
            raise Damaged(f"a buffer of {size} bytes at byte {offset} ends behind the file")
        return np.frombuffer(buffer.payload, np.uint8, size, offset)
    return buffer.vector(0, "u1").view(np.uint8)


def _values(content: NDArray[np.uint8], dtype: str, elements: int, name: str) -> NDArray[np.generic] | None:
    """The buffer as numbers [elements]; None for types without numbers."""
    if dtype in ("int4", "uint4", "int2"):
        values: NDArray[np.generic] = _unpacked(content, 2 if dtype == "int2" else 4, dtype != "uint4")
        if len(content) != -(-elements * (2 if dtype == "int2" else 4) // 8):
            values = values[:0]
        values = values[:elements]
    elif dtype == "bfloat16":
        halves = content[: len(content) // 2 * 2].view("<u2")
        values = (halves.astype(np.uint32) << 16).view(np.float32)
    elif dtype.startswith("float8"):
        values = np.where(content == 0x80, 0, content)  # minus zero is zero
    elif dtype in ("string", "resource", "variant"):
        return None
    else:
        kind = np.dtype(dtype).newbyteorder("<")
        values = content.view(kind) if len(content) % kind.itemsize == 0 else content[:0]
    if len(values) != elements:
        raise Damaged(f"tensor {name!r} has {len(content)} bytes for {elements} elements of {dtype}")
    return values


def _unpacked(content: NDArray[np.uint8], bits: int, signed: bool) -> NDArray[np.int8]:
    """Numbers of 2 or 4 bits, the lowest bits of a byte first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    values = ((content[:, None] >> shifts) & (2**bits - 1)).ravel().astype(np.int8)
    return np.where(values >= 2 ** (bits - 1), values - 2**bits, values).astype(np.int8) if signed else values


def _operator(table: FlatTable, codes: list[str], tensors: tuple[StoredTensor, ...]) -> StoredOperator:
    code = table.scalar(0, "I", 0)
    if code >= len(codes):
        raise Damaged(f"operator code {code} of {len(codes)}")
    outputs = _indices(table.vector(2, "i4"), len(tensors))
    return StoredOperator(
        name=tensors[outputs[0]].name if outputs else codes[code],
        op=codes[code],
        inputs=_indices(table.vector(1, "i4"), len(tensors), optional=True),
        outputs=outputs,
        attributes=_attributes(codes[code], table.table(4)),
    )


def _attributes(op: str, options: FlatTable | None) -> dict[str, int]:
    """The options that decide how much an operator computes; sub-graphs by their number."""
    forms = _OPTIONS.get(op, {}) if options is not None else {}
    return {name: options.scalar(slot, form, 0) for name, (slot, form) in forms.items() if options is not None}


def _indices(values: NDArray[np.generic], count: int, optional: bool = False) -> tuple[int, ...]:
    """Tensor indices, checked; -1 stands for an input that is left out."""
    lowest = -1 if optional else 0
    result = tuple(int(value) for value in values)
    if any(not lowest <= index < count for index in result):
        raise Damaged(f"tensor index out of 0..{count - 1}")
    return result


def _operator_name(code: FlatTable) -> str:
    number = max(code.scalar(0, "b", 0), code.scalar(3, "i", 0))
    custom = code.text(1)
    if custom:
        return f"CUSTOM:{custom}"
    return BUILTIN_OPERATORS[number] if 0 <= number < len(BUILTIN_OPERATORS) else f"BUILTIN_{number}"
