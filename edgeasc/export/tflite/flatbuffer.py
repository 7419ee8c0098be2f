"""A TensorFlow Lite model as records, and their bytes. Knows the file format, nothing of edgeasc's graphs.

Built with the generated builder functions of the `tflite` package; the same records always give the same bytes.
Equal constants and equal quantisation vectors are stored once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
BUFFER_ALIGNMENT = 16  # what the schema demands (force_align)
MIN_RUNTIME = "min_runtime_version"

TYPES = {np.dtype(np.int8): 9, np.dtype(np.int32): 2, np.dtype(np.float32): 0}


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file; `scale` has one value, or one per slice of `axis`; all zero points are equal."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: NDArray[np.float32] | None = None
    zero_point: int = 0
    axis: int = 0
    data: NDArray[Any] | None = None


@dataclass(frozen=True)
class Operator:
    """One operator; `options` are the fields of its options table `<options_table>`, as the schema spells them."""

    code: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_table: str | None = None
    options: dict[str, int | bool | float] = field(default_factory=dict)


@dataclass
class Model:
    """Tensors and operators in order of use, filled by the lowering."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    metadata: dict[str, bytes] = field(default_factory=dict)
    description: str = ""

    def add_tensor(self, tensor: Tensor) -> int:
        """Append `tensor`; its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def to_bytes(self) -> bytes:
        """The file."""
        return _Writer().write(self)


class _Writer:
    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1 << 16)
        self.vectors: dict[tuple[str, bytes], int] = {}
        self.buffers: list[bytes] = [b""]  # buffer 0 is empty by convention
        self.buffer_index: dict[bytes, int] = {b"": 0}

    def write(self, model: Model) -> bytes:
        builder = self.builder
        codes = list(dict.fromkeys((operator.code, operator.version) for operator in model.operators))
        tensors = [self._tensor(tensor) for tensor in model.tensors]
        operators = [self._operator(operator, codes) for operator in model.operators]
        metadata = [self._metadata(name, payload) for name, payload in model.metadata.items()]
        subgraph = self._subgraph(tensors, operators, model)
        fields = {
            "OperatorCodes": self._tables([self._code(*code) for code in codes]),
            "Subgraphs": self._tables([subgraph]),
            "Description": builder.CreateString(model.description),
            "Buffers": self._tables([self._buffer(payload) for payload in self.buffers]),
            "Metadata": self._tables(metadata),
        }
        builder.Finish(self._table("Model", {"Version": SCHEMA_VERSION, **fields}), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _table(self, name: str, fields: dict[str, Any]) -> int:
        getattr(tflite, f"{name}Start")(self.builder)
        for key, value in fields.items():
            getattr(tflite, f"{name}Add{key}")(self.builder, value)
        return int(getattr(tflite, f"{name}End")(self.builder))

    def _tables(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def _vector(self, values: NDArray[Any]) -> int:
        """Offset of a vector of numbers; an equal one is reused, which the format allows."""
        key = (values.dtype.str, values.tobytes())
        if key not in self.vectors:
            self.vectors[key] = int(self.builder.CreateNumpyVector(values))
        return self.vectors[key]

    def _tensor(self, tensor: Tensor) -> int:
        fields = {
            "Shape": self._vector(np.array(tensor.shape, dtype=np.int32)),
            "Type": TYPES[tensor.dtype],
            "Buffer": self._buffer_of(tensor),
            "Name": self.builder.CreateString(tensor.name),
        }
        if tensor.scale is not None:
            scale = np.atleast_1d(tensor.scale).astype(np.float32)
            zero_points = np.full(scale.shape, tensor.zero_point, dtype=np.int64)
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                {
                    "Scale": self._vector(scale),
                    "ZeroPoint": self._vector(zero_points),
                    "QuantizedDimension": tensor.axis,
                },
            )
        return self._table("Tensor", fields)

    def _buffer_of(self, tensor: Tensor) -> int:
        payload = b"" if tensor.data is None else np.ascontiguousarray(tensor.data).tobytes()
        return self._buffer_number(payload)

    def _buffer_number(self, payload: bytes) -> int:
        if payload not in self.buffer_index:
            self.buffer_index[payload] = len(self.buffers)
            self.buffers.append(payload)
        return self.buffer_index[payload]

    def _buffer(self, payload: bytes) -> int:
        builder, data = self.builder, 0
        if payload:
            builder.StartVector(1, len(payload), BUFFER_ALIGNMENT)
            start = builder.Head() - len(payload)
            builder.head = start
            builder.Bytes[start : start + len(payload)] = payload
            data = int(builder.EndVector())
        return self._table("Buffer", {"Data": data} if payload else {})

    def _operator(self, operator: Operator, codes: list[tuple[str, int]]) -> int:
        fields = {
            "OpcodeIndex": codes.index((operator.code, operator.version)),
            "Inputs": self._vector(np.array(operator.inputs, dtype=np.int32)),
            "Outputs": self._vector(np.array(operator.outputs, dtype=np.int32)),
        }
        if operator.options_table is not None:
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, operator.options_table)
            fields["BuiltinOptions"] = self._table(operator.options_table, operator.options)
        return self._table("Operator", fields)

    def _code(self, code: str, version: int) -> int:
        number = getattr(tflite.BuiltinOperator, code)
        # Old readers look at the deprecated byte only; 127 there says "look at the new field".
        return self._table(
            "OperatorCode", {"DeprecatedBuiltinCode": min(number, 127), "BuiltinCode": number, "Version": version}
        )

    def _metadata(self, name: str, payload: bytes) -> int:
        text = self.builder.CreateString(name)
        return self._table("Metadata", {"Name": text, "Buffer": self._buffer_number(payload)})

    def _subgraph(self, tensors: list[int], operators: list[int], model: Model) -> int:
        fields = {
            "Tensors": self._tables(tensors),
            "Inputs": self._vector(np.array(model.inputs, dtype=np.int32)),
            "Outputs": self._vector(np.array(model.outputs, dtype=np.int32)),
            "Operators": self._tables(operators),
            "Name": self.builder.CreateString("main"),
        }
        return self._table("SubGraph", fields)
