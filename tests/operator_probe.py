"""One-operator .tflite files for every operator and element type, and what the installed TFLM says of each.

TFLM may die on a file, so every trial runs in a forked child; what it prints goes to a pipe.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from edgeasc.export.tflite import flatbuffer
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor

NUMBERS = {"float16": 1, "uint8": 3, "int64": 4, "bool": 6, "int16": 7}  # TensorType, beyond those that we write
SCALE = {"int8": 1 / 256, "uint8": 1 / 256, "int16": 1 / 32768}

Build = Callable[[str], "Trial"]


class Trial:
    """A model of one operator with one data input [1, 4, 4, 4] of `dtype`."""

    shape: tuple[int, ...] = (1, 4, 4, 4)

    def __init__(self, dtype: str, shape: tuple[int, ...] | None = None) -> None:
        self.dtype, self.model = dtype, Model()
        self.source = self.activation("in", shape or self.shape)
        self.model.inputs = [self.source]

    def activation(self, name: str, shape: tuple[int, ...], dtype: str | None = None, scale: float = 0.0) -> int:
        kind = dtype or self.dtype
        quantised = np.float32(scale or SCALE[kind]) if kind in SCALE else None
        zero = -128 if kind == "int8" else 0
        return self.model.add_tensor(Tensor(name, shape, np.dtype(kind), quantised, zero))

    def weights(self, shape: tuple[int, ...], dtype: str, axis: int = 0) -> int:
        scale = np.full(shape[axis], 0.01, np.float32) if dtype in ("int8", "uint8") else None
        data = np.ones(shape, np.dtype(dtype))
        return self.model.add_tensor(Tensor("w", shape, np.dtype(dtype), scale, 0, axis, data))

    def numbers(self, *values: Any, dtype: str = "int32", shape: tuple[int, ...] | None = None) -> int:
        data = np.array(values, np.dtype(dtype)).reshape(shape if shape is not None else (len(values),))
        name = f"n{len(self.model.tensors)}"
        return self.model.add_tensor(Tensor(name, data.shape, data.dtype, data=data))

    def bias(self, channels: int) -> int:
        wide = {"float32": "float32", "int16": "int64"}.get(self.dtype, "int32")
        scale = None if wide == "float32" else np.full(channels, 1e-4, np.float32)
        data = np.zeros(channels, np.dtype(wide))
        return self.model.add_tensor(Tensor("b", (channels,), np.dtype(wide), scale, 0, 0, data))

    def end(
        self, op: str, inputs: tuple[int, ...], outputs: tuple[int, ...], table: str | None = None, **options: Any
    ) -> Trial:
        self.model.operators.append(Operator(op, 1, inputs, outputs, table, options))
        self.model.outputs = list(outputs)
        return self

    def payload(self) -> bytes:
        kept = dict(flatbuffer.TYPES)
        flatbuffer.TYPES.update({np.dtype(name): number for name, number in NUMBERS.items()})
        try:
            return self.model.to_bytes()
        finally:
            flatbuffer.TYPES.clear()
            flatbuffer.TYPES.update(kept)


def unary(op: str, table: str | None = None, **options: Any) -> Build:
    def build(dtype: str) -> Trial:
        trial = Trial(dtype)
        return trial.end(op, (trial.source,), (trial.activation("out", trial.shape),), table, **options)

    return build


# Fixed outputs: TFLM refuses any other scale and zero point of these, by operator and element type
FIXED = {("TANH", "int8"): (1 / 128, 0), ("LOG_SOFTMAX", "int8"): (16 / 256, 127)}


def fixed_output(op: str) -> Build:
    def build(dtype: str) -> Trial:
        trial = Trial(dtype)
        table, options = ("SoftmaxOptions", {"Beta": 1.0}) if op == "SOFTMAX" else (None, {})
        out = trial.activation("out", trial.shape)
        if (op, dtype) in FIXED:
            scale, zero = FIXED[op, dtype]
            trial.model.tensors[out] = Tensor("out", trial.shape, np.dtype(dtype), np.float32(scale), zero)
        return trial.end(op, (trial.source,), (out,), table, **options)

    return build


def binary(op: str, table: str | None = None) -> Build:
    def build(dtype: str) -> Trial:
        trial = Trial(dtype)
        other = trial.activation("in2", trial.shape)
        trial.model.inputs.append(other)
        return trial.end(op, (trial.source, other), (trial.activation("out", trial.shape),), table)

    return build


def convolution(op: str, weight_dtype: str | None = None) -> Build:
    def build(dtype: str) -> Trial:
        trial = Trial(dtype)
        kind = weight_dtype or ("int8" if dtype == "int16" else dtype)
        depthwise, table = op == "DEPTHWISE_CONV_2D", "Conv2DOptions"
        options = {"StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1, "Padding": 1}
        if depthwise:
            table, options = "DepthwiseConv2DOptions", options | {"DepthMultiplier": 1}
        w = trial.weights((1, 1, 1, 4) if depthwise else (4, 1, 1, 4), kind, 3 if depthwise else 0)
        out = trial.activation("out", trial.shape, scale=0.02 if dtype in SCALE else 0.0)
        return trial.end(op, (trial.source, w, trial.bias(4)), (out,), table, **options)

    return build


def dense(weight_dtype: str | None = None) -> Build:
    def build(dtype: str) -> Trial:
        trial = Trial(dtype, (1, 4))
        kind = weight_dtype or ("int8" if dtype == "int16" else dtype)
        w = trial.model.add_tensor(
            Tensor(
                "w", (4, 4), np.dtype(kind), np.float32(0.01) if kind in SCALE else None, 0, 0, np.ones((4, 4), kind)
            )
        )
        out = trial.activation("out", (1, 4), scale=0.02 if dtype in SCALE else 0.0)
        return trial.end("FULLY_CONNECTED", (trial.source, w, trial.bias(4)), (out,), "FullyConnectedOptions")

    return build


def transposed_convolution(dtype: str) -> Trial:
    trial = Trial(dtype)
    w = trial.weights((4, 1, 1, 4), "int8" if dtype == "int16" else dtype)
    out = trial.activation("out", trial.shape, scale=0.02 if dtype in SCALE else 0.0)
    inputs = (trial.numbers(1, 4, 4, 4), w, trial.source, trial.bias(4))
    return trial.end("TRANSPOSE_CONV", inputs, (out,), "TransposeConvOptions", StrideW=1, StrideH=1, Padding=1)


def pool(op: str) -> Build:
    def build(dtype: str) -> Trial:
        trial = Trial(dtype)
        out = trial.activation("out", (1, 2, 2, 4))
        options = {"StrideW": 2, "StrideH": 2, "FilterWidth": 2, "FilterHeight": 2, "Padding": 1}
        return trial.end(op, (trial.source,), (out,), "Pool2DOptions", **options)

    return build


def reduce(op: str) -> Build:
    def build(dtype: str) -> Trial:
        trial = Trial(dtype)
        out = trial.activation("out", (1, 4))
        return trial.end(op, (trial.source, trial.numbers(1, 2)), (out,), "ReducerOptions", KeepDims=False)

    return build


def moved(op: str) -> Build:
    """Operators that move data: output shape and constant inputs by operator."""

    def build(dtype: str) -> Trial:
        trial = Trial(dtype)
        n = trial.numbers
        pads = (0, 0, 1, 1, 1, 1, 0, 0)
        shape: tuple[int, ...] = trial.shape
        inputs: tuple[int, ...] = (trial.source,)
        table: str | None = None
        options: dict[str, Any] = {}
        match op:
            case "PAD":
                inputs, shape = (trial.source, n(*pads, shape=(4, 2))), (1, 6, 6, 4)
            case "PADV2":
                fill = trial.model.add_tensor(
                    Tensor(
                        "fill", (1,), np.dtype(dtype), np.float32(SCALE.get(dtype, 1)) if dtype in SCALE else None,
                        -128 if dtype == "int8" else 0, 0, np.zeros(1, np.dtype(dtype)),
                    )
                )  # fmt: skip
                inputs, shape = (trial.source, n(*pads, shape=(4, 2)), fill), (1, 6, 6, 4)
            case "MIRROR_PAD":
                inputs, shape = (trial.source, n(*pads, shape=(4, 2))), (1, 6, 6, 4)
                table, options = "MirrorPadOptions", {"Mode": 0}
            case "SLICE":
                inputs, shape = (trial.source, n(0, 1, 0, 0), n(1, 2, 4, 4)), (1, 2, 4, 4)
            case "STRIDED_SLICE":
                inputs, shape = (trial.source, n(0, 1, 0, 0), n(1, 3, 4, 4), n(1, 1, 1, 1)), (1, 2, 4, 4)
                table = "StridedSliceOptions"
            case "TRANSPOSE":
                inputs = (trial.source, n(0, 2, 1, 3))
            case "RESHAPE":
                inputs, shape = (trial.source, n(1, 64)), (1, 64)
            case "EXPAND_DIMS":
                inputs, shape = (trial.source, n(0, shape=())), (1, 1, 4, 4, 4)
            case "SQUEEZE":
                shape = (4, 4, 4)
            case "GATHER":
                inputs, shape = (trial.source, n(1, 0)), (1, 2, 4, 4)
                table, options = "GatherOptions", {"Axis": 1}
            case "CONCATENATION":
                inputs, shape = (trial.source, trial.source), (1, 4, 4, 8)
                table, options = "ConcatenationOptions", {"Axis": 3}
            case "PACK":
                inputs, shape = (trial.source, trial.source), (1, 4, 4, 4, 2)
                table, options = "PackOptions", {"Axis": 4, "ValuesCount": 2}
            case "RESIZE_BILINEAR" | "RESIZE_NEAREST_NEIGHBOR":
                inputs, shape = (trial.source, n(8, 8)), (1, 8, 8, 4)
        return trial.end(op, inputs, (trial.activation("out", shape),), table, **options)

    return build


def split(dtype: str) -> Trial:
    trial = Trial(dtype)
    outputs = (trial.activation("a", (1, 4, 4, 2)), trial.activation("b", (1, 4, 4, 2)))
    return trial.end("SPLIT", (trial.numbers(3, shape=()), trial.source), outputs, "SplitOptions", NumSplits=2)


def quantise(dtype: str) -> Trial:
    trial = Trial(dtype)
    return trial.end("QUANTIZE", (trial.source,), (trial.activation("out", trial.shape, "int8", 0.02),))


def dequantise(dtype: str) -> Trial:
    trial = Trial(dtype)
    return trial.end("DEQUANTIZE", (trial.source,), (trial.activation("out", trial.shape, "float32"),))


def cast(dtype: str) -> Trial:
    trial = Trial(dtype)
    return trial.end("CAST", (trial.source,), (trial.activation("out", trial.shape, "float32"),))


UNARY = [
    "ABS",
    "CEIL",
    "COS",
    "ELU",
    "EXP",
    "FLOOR",
    "HARD_SWISH",
    "L2_NORMALIZATION",
    "LOG",
    "NEG",
    "RELU",
    "RELU6",
    "ROUND",
    "RSQRT",
    "SIN",
    "SQRT",
    "SQUARE",
    "ZEROS_LIKE",
]
BINARY = [
    "ADD",
    "SUB",
    "MUL",
    "DIV",
    "MAXIMUM",
    "MINIMUM",
    "SQUARED_DIFFERENCE",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "EQUAL",
    "NOT_EQUAL",
    "GREATER",
    "LESS",
]
_TABLES = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
MOVED = [
    "PAD",
    "PADV2",
    "MIRROR_PAD",
    "SLICE",
    "STRIDED_SLICE",
    "TRANSPOSE",
    "RESHAPE",
    "EXPAND_DIMS",
    "SQUEEZE",
    "GATHER",
    "CONCATENATION",
    "PACK",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
]
COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "LESS")


def comparison(op: str) -> Build:
    def build(dtype: str) -> Trial:
        trial = Trial(dtype)
        other = trial.activation("in2", trial.shape)
        trial.model.inputs.append(other)
        return trial.end(op, (trial.source, other), (trial.activation("out", trial.shape, "bool"),))

    return build


BUILDERS: dict[str, Build] = {
    **{op: unary(op) for op in UNARY},
    **{op: fixed_output(op) for op in ("LOGISTIC", "TANH", "SOFTMAX", "LOG_SOFTMAX")},
    **{op: comparison(op) if op in COMPARISONS else binary(op, _TABLES.get(op)) for op in BINARY},
    **{op: convolution(op) for op in ("CONV_2D", "DEPTHWISE_CONV_2D")},
    "FULLY_CONNECTED": dense(),
    "TRANSPOSE_CONV": transposed_convolution,
    **{op: pool(op) for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")},
    **{op: reduce(op) for op in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")},
    **{op: moved(op) for op in MOVED},
    "LEAKY_RELU": unary("LEAKY_RELU", "LeakyReluOptions", Alpha=0.5),
    "SPLIT": split,
    "QUANTIZE": quantise,
    "DEQUANTIZE": dequantise,
    "CAST": cast,
}
DTYPES = ("float32", "float16", "int8", "int16", "uint8", "int32")


def bare(op: str, version: int = 1) -> bytes:
    """A file of the operator alone, without constants or options: enough to ask whether it is registered."""
    model = Model()
    model.inputs = [model.add_tensor(Tensor("a", (1, 4), np.dtype(np.int8), np.float32(1)))]
    model.outputs = [model.add_tensor(Tensor("b", (1, 4), np.dtype(np.int8), np.float32(1)))]
    model.operators.append(Operator(op, version, tuple(model.inputs), tuple(model.outputs)))
    return model.to_bytes()


def ask_tflm(payload: bytes, invoke: bool) -> tuple[int, str]:
    """Exit status and all output of TFLM loading (and running) `payload` in a forked child."""
    from tflite_micro.python.tflite_micro import runtime

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        faulthandler.disable()  # a child that dies of a signal is an answer, not news
        status = 0
        try:
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            interpreter = runtime.Interpreter.from_bytes(payload, arena_size=200_000)
            if invoke:
                for place in range(2):
                    try:
                        details = interpreter.get_input_details(place)
                    except (ValueError, RuntimeError, IndexError):
                        break
                    interpreter.set_input(np.ones(details["shape"], details["dtype"]), place)
                interpreter.invoke()
        except BaseException as error:
            os.write(2, str(error).encode())
            status = 1
        os._exit(status)
    os.close(writer)
    text = b""
    while chunk := os.read(reader, 65_536):
        text += chunk
    os.close(reader)
    return os.waitpid(child, 0)[1], text.decode(errors="replace")
