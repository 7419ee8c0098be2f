"""Any .tflite file from a few records, built with the generated functions of the `tflite` package.

Unlike the package's own writer, which writes only what edgeasc needs, every type, buffer and operator is possible here,
wrong ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {
    "float32": 0,
    "float16": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "bool": 6,
    "int16": 7,
    "int8": 9,
    "int4": 17,
    "int2": 19,
    "uint4": 20,
}


@dataclass
class T:
    """A tensor; `data` is an array, or raw bytes for packed types. `share` names a tensor whose buffer it uses."""

    name: str
    shape: Sequence[int]
    dtype: str = "int8"
    data: Any = None
    scale: float | Sequence[float] | None = None
    zero: int | Sequence[int] = 0
    axis: int = 0
    share: str = ""
    variable: bool = False


@dataclass
class Op:
    """An operator between tensors by name; None is an input that is left out."""

    code: str
    inputs: Sequence[str | None]
    outputs: Sequence[str]
    table: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    custom: str = ""


def tflite_file(tensors: Sequence[T], operators: Sequence[Op], inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The file; every constant has a buffer of its own unless it shares one."""
    return _File(tensors, operators, inputs, outputs).write()


class _File:
    def __init__(
        self, tensors: Sequence[T], operators: Sequence[Op], inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        self.builder = flatbuffers.Builder(1 << 12)
        self.tensors, self.operators, self.inputs, self.outputs = tensors, operators, inputs, outputs
        self.place = {tensor.name: number for number, tensor in enumerate(tensors)}
        self.buffers = [b""]
        self.buffer_of: dict[str, int] = {}

    def write(self) -> bytes:
        codes = list(dict.fromkeys((op.code, op.custom) for op in self.operators))
        tensors = self.tables([self.tensor(tensor) for tensor in self.tensors])
        operators = self.tables([self.operator(op, codes) for op in self.operators])
        fields = {"Tensors": tensors, "Inputs": self.indices(self.inputs), "Outputs": self.indices(self.outputs)}
        subgraph = self.table("SubGraph", {**fields, "Operators": operators})
        model = {
            "Version": 3,
            "OperatorCodes": self.tables([self.code(*code) for code in codes]),
            "Subgraphs": self.tables([subgraph]),
            "Buffers": self.tables([self.buffer(payload) for payload in self.buffers]),
        }
        self.builder.Finish(self.table("Model", model), b"TFL3")
        return bytes(self.builder.Output())

    def table(self, name: str, fields: dict[str, Any]) -> int:
        getattr(tflite, f"{name}Start")(self.builder)
        for key, value in fields.items():
            getattr(tflite, f"{name}Add{key}")(self.builder, value)
        return int(getattr(tflite, f"{name}End")(self.builder))

    def tables(self, offsets: list[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def vector(self, values: Any, dtype: Any) -> int:
        return int(self.builder.CreateNumpyVector(np.asarray(values, dtype)))

    def indices(self, names: Sequence[str | None]) -> int:
        return self.vector([-1 if name is None else self.place[name] for name in names], np.int32)

    def tensor(self, tensor: T) -> int:
        fields = {
            "Shape": self.vector(tensor.shape, np.int32),
            "Type": TYPES[tensor.dtype],
            "Buffer": self.buffer_number(tensor),
            "Name": self.builder.CreateString(tensor.name),
        }
        if tensor.variable:
            fields["IsVariable"] = True
        if tensor.scale is not None:
            scale = np.atleast_1d(np.asarray(tensor.scale, np.float32))
            zero = np.broadcast_to(np.asarray(tensor.zero, np.int64), scale.shape)
            quantised = {"Scale": self.vector(scale, np.float32), "ZeroPoint": self.vector(zero, np.int64)}
            fields["Quantization"] = self.table(
                "QuantizationParameters", {**quantised, "QuantizedDimension": tensor.axis}
            )
        return self.table("Tensor", fields)

    def buffer_number(self, tensor: T) -> int:
        if tensor.share:
            return self.buffer_of[tensor.share]
        if tensor.data is None:
            return 0
        data = tensor.data
        payload = data if isinstance(data, bytes) else np.ascontiguousarray(data, dtype=tensor.dtype).tobytes()
        self.buffers.append(payload)
        self.buffer_of[tensor.name] = len(self.buffers) - 1
        return len(self.buffers) - 1

    def buffer(self, payload: bytes) -> int:
        data = {"Data": self.builder.CreateByteVector(payload)} if payload else {}
        return self.table("Buffer", data)

    def operator(self, op: Op, codes: list[tuple[str, str]]) -> int:
        fields: dict[str, Any] = {
            "OpcodeIndex": codes.index((op.code, op.custom)),
            "Inputs": self.indices(op.inputs),
            "Outputs": self.indices(op.outputs),
        }
        if op.table:
            fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, op.table)
            fields["BuiltinOptions"] = self.table(op.table, op.options)
        return self.table("Operator", fields)

    def code(self, name: str, custom: str) -> int:
        number = getattr(tflite.BuiltinOperator, name)
        fields = {"DeprecatedBuiltinCode": min(number, 127), "BuiltinCode": number, "Version": 1}
        if custom:
            fields["CustomCode"] = self.builder.CreateString(custom)
        return self.table("OperatorCode", fields)
