"""Conformance, TensorFlow Lite: every operator with a matrix product alone and every way to quantise, by formula.

Constants are ones with two zeros at their start, zeros being the zero point, so that zeros are n - 2.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from expected_counts import Expected, audited, found
from tflite_file import Op, T, tflite_file


class Case(NamedTuple):
    name: str
    tensors: Sequence[T]
    operators: Sequence[Op]
    expected: Expected


def constant(name: str, *shape: int, dtype: str = "int8", zero: int = 0, quantised: bool = True) -> T:
    """Real values of one, the first two of them zero."""
    values = np.full(shape, zero + 1)
    values.ravel()[:2] = zero
    scale = 0.1 if quantised and dtype in ("int8", "uint8", "int16", "int32", "int64") else None
    return T(name, shape, dtype, values, scale, zero)


def one(code: str, inputs: Sequence[str | None], *constants: T, table: str = "", **options: Any) -> list[Op]:
    """A single operator that writes `y`."""
    return [Op(code, inputs, ["y"], table, options)]


X8, Y8 = T("x", (1, 8, 6, 3), scale=0.1), T("y", (1, 6, 4, 4), scale=0.1)
CONV = one("CONV_2D", ["x", "w", "b"], table="Conv2DOptions")
CONV_MACS = 6 * 4 * 4 * 27


def convolution(kind: str, weight: str, bias: str, zero: int = 0) -> list[T]:
    return [
        T("x", (1, 8, 6, 3), kind, scale=0.1 if kind != "float32" else None, zero=zero),
        constant("w", 4, 3, 3, 3, dtype=weight, zero=zero if weight == "uint8" else 0),
        constant("b", 4, dtype=bias),
        T("y", (1, 6, 4, 4), kind, scale=0.1 if kind != "float32" else None, zero=zero),
    ]


def sequence_lstm() -> list[T]:
    """A Keras LSTM of 4 units on 9 frames of 5 values: four gates, two states that are kept."""
    gates = "ifco"
    inputs = [T("x", (1, 9, 5), "float32"), T("y", (1, 9, 4), "float32")]
    weights = [constant(f"w{gate}", 4, 5, dtype="float32") for gate in gates]
    recurrent = [constant(f"r{gate}", 4, 4, dtype="float32") for gate in gates]
    biases = [constant(f"b{gate}", 4, dtype="float32") for gate in gates]
    states = [T(name, (1, 4), "float32", variable=True) for name in ("h", "c")]
    return [*inputs, *weights, *recurrent, *biases, *states]


LSTM_INPUTS = [
    "x",
    *(f"w{gate}" for gate in "ifco"),
    *(f"r{gate}" for gate in "ifco"),
    *([None] * 3),
    *(f"b{gate}" for gate in "ifco"),
    *([None] * 2),
    "h",
    "c",
]

CASES = [
    Case("float32", convolution("float32", "float32", "float32"), CONV, Expected(112, 108, 432, CONV_MACS, 4 * 240)),
    Case("int8", convolution("int8", "int8", "int32"), CONV, Expected(112, 108, 106 + 8, CONV_MACS, 240)),
    Case(
        "uint8 whose zeros are stored as 7",
        convolution("uint8", "uint8", "int32", 7),
        CONV,
        Expected(112, 108, 106 + 8, CONV_MACS, 240),
    ),
    Case(
        "int8 weights between int16 activations, biases of 64 bits",
        convolution("int16", "int8", "int64"),
        CONV,
        Expected(112, 108, 106 + 16, CONV_MACS, 2 * 240),
    ),
    Case(
        "hybrid: int8 weights between float activations",
        convolution("float32", "int8", "float32"),
        CONV,
        Expected(112, 108, 106 + 8, CONV_MACS, 4 * 240),
    ),
    Case(
        "float16 weights behind DEQUANTIZE belong to the convolution and cost no activation",
        [
            T("x", (1, 8, 6, 3), "float32"),
            constant("w16", 4, 3, 3, 3, dtype="float16"),
            constant("b16", 4, dtype="float16"),
            T("w", (4, 3, 3, 3), "float32"),
            T("b", (4,), "float32"),
            T("y", (1, 6, 4, 4), "float32"),
        ],
        [Op("DEQUANTIZE", ["w16"], ["w"]), Op("DEQUANTIZE", ["b16"], ["b"]), *CONV],
        Expected(112, 108, 216, CONV_MACS, 4 * 240),
    ),
    Case(
        "grouped convolution",
        [X8, constant("w", 3, 3, 3, 1), T("y", (1, 6, 4, 3), scale=0.1)],
        one("CONV_2D", ["x", "w"], table="Conv2DOptions"),
        Expected(27, 25, 25, 6 * 4 * 3 * 9, 144 + 72),
    ),
    Case(
        "depthwise convolution with two outputs per channel",
        [X8, constant("w", 1, 3, 3, 6), constant("b", 6, dtype="int32"), T("y", (1, 6, 4, 6), scale=0.1)],
        one("DEPTHWISE_CONV_2D", ["x", "w", "b"], table="DepthwiseConv2DOptions"),
        Expected(60, 56, 52 + 16, 6 * 4 * 6 * 9, 144 + 144),
    ),
    Case(
        "transposed convolution spreads every input",
        [
            T("n", (4,), "int32", [1, 8, 10, 5]),
            constant("w", 5, 2, 2, 3),
            T("x", (1, 4, 5, 3), scale=0.1),
            constant("b", 5, dtype="int32"),
            T("y", (1, 8, 10, 5), scale=0.1),
        ],
        one("TRANSPOSE_CONV", ["n", "w", "x", "b"], table="TransposeConvOptions"),
        Expected(65, 61, 58 + 12, 60 * 20, 60 + 400),
    ),
    Case(
        "3-D convolution",
        [
            T("x", (1, 4, 5, 6, 2), "float32"),
            constant("w", 2, 2, 2, 2, 3, dtype="float32"),
            T("y", (1, 3, 4, 5, 3), "float32"),
        ],
        one("CONV_3D", ["x", "w"], table="Conv3DOptions"),
        Expected(48, 46, 184, 180 * 16, 4 * (240 + 180)),
    ),
    Case(
        "transposed 3-D convolution",
        [
            T("n", (5,), "int32", [1, 2, 4, 4, 3]),
            constant("w", 2, 2, 2, 3, 4, dtype="float32"),
            T("x", (1, 1, 2, 2, 4), "float32"),
            T("y", (1, 2, 4, 4, 3), "float32"),
        ],
        one("CONV_3D_TRANSPOSE", ["n", "w", "x"], table="Conv3DOptions"),
        Expected(96, 94, 376, 16 * 24, 4 * (16 + 96)),
    ),
    Case(
        "fully connected on every frame",
        [T("x", (1, 10, 6), scale=0.1), constant("w", 3, 6), constant("b", 3, dtype="int32"), T("y", (1, 10, 3))],
        one("FULLY_CONNECTED", ["x", "w", "b"], table="FullyConnectedOptions", KeepNumDims=True),
        Expected(21, 17, 16 + 4, 10 * 18, 60 + 30),
    ),
    Case(
        "fully connected, weights of 4 bits, an odd number of them",
        [T("x", (1, 5), scale=0.1), T("w", (3, 5), "int4", bytes([0x10, *[0x11] * 6, 0x01]), 0.1), T("y", (1, 3))],
        one("FULLY_CONNECTED", ["x", "w"], table="FullyConnectedOptions"),
        Expected(15, 14, 7, 15, 8),
    ),
    Case(
        "fully connected, weights of 2 bits",
        [T("x", (1, 4), scale=0.1), T("w", (2, 4), "int2", bytes([0b00011110, 0b01000000]), 0.1), T("y", (1, 2))],
        one("FULLY_CONNECTED", ["x", "w"], table="FullyConnectedOptions"),
        Expected(8, 4, 1, 8, 6),
    ),
    Case(
        "matrix product of two activations",
        [T("x", (2, 7, 4), "float32"), T("k", (2, 4, 5), "float32"), T("y", (2, 7, 5), "float32")],
        one("BATCH_MATMUL", ["x", "k"], table="BatchMatMulOptions"),
        Expected(0, 0, 0, 2 * 7 * 5 * 4, 4 * (56 + 40 + 70)),
    ),
    Case(
        "matrix product with the first operand transposed",
        [T("x", (2, 4, 7), "float32"), constant("k", 2, 4, 5, dtype="float32"), T("y", (2, 7, 5), "float32")],
        one("BATCH_MATMUL", ["x", "k"], table="BatchMatMulOptions", AdjX=True),
        Expected(40, 38, 152, 2 * 7 * 5 * 4, 4 * (56 + 70)),
    ),
    Case(
        "LSTM: gates at every frame, states that are always there",
        sequence_lstm(),
        one("UNIDIRECTIONAL_SEQUENCE_LSTM", LSTM_INPUTS, table="UnidirectionalSequenceLSTMOptions"),
        Expected(80 + 64 + 16, 160 - 24, 4 * 136, 9 * (80 + 64), 4 * (45 + 36 + 8)),
    ),
    Case(
        "bidirectional LSTM without biases",
        [
            T("x", (1, 9, 5), "float32"),
            *(constant(f"{way}w{gate}", 4, 5, dtype="float32") for way in "fb" for gate in range(4)),
            *(constant(f"{way}r{gate}", 4, 4, dtype="float32") for way in "fb" for gate in range(4)),
            T("y", (1, 9, 8), "float32"),
        ],
        one(
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            [
                "x",
                *(f"fw{gate}" for gate in range(4)),
                *(f"fr{gate}" for gate in range(4)),
                *([None] * 9),
                *(f"bw{gate}" for gate in range(4)),
                *(f"br{gate}" for gate in range(4)),
                *([None] * 9),
            ],
            table="BidirectionalSequenceLSTMOptions",
        ),
        Expected(288, 288 - 32, 4 * 256, 9 * 288, 4 * (45 + 72)),
    ),
    Case(
        "RNN over a sequence",
        [
            T("x", (1, 9, 5), "float32"),
            constant("w", 4, 5, dtype="float32"),
            constant("r", 4, 4, dtype="float32"),
            constant("b", 4, dtype="float32"),
            T("h", (1, 4), "float32", variable=True),
            T("y", (1, 9, 4), "float32"),
        ],
        one("UNIDIRECTIONAL_SEQUENCE_RNN", ["x", "w", "r", "b", "h"], table="SequenceRNNOptions"),
        Expected(40, 34, 136, 9 * 36, 4 * (45 + 36 + 4)),
    ),
    Case(
        "SVDF: features and time, once per frame",
        [
            T("x", (1, 10), scale=0.1),
            constant("f", 8, 10),
            constant("t", 8, 6, dtype="int16"),
            constant("b", 4, dtype="int32"),
            T("s", (1, 48), "int16", scale=0.1, variable=True),
            T("y", (1, 4), scale=0.1),
        ],
        one("SVDF", ["x", "f", "t", "b", "s"], table="SVDFOptions", Rank=2),
        Expected(132, 126, 78 + 2 * 46 + 4 * 2, 80 + 48, 10 + 4 + 96),
    ),
    Case(
        "a single slope is a parameter",
        [T("x", (1, 4, 4, 2)), T("a", (1, 1, 1), "int8", [5], 0.1), T("y", (1, 4, 4, 2))],
        one("PRELU", ["x", "a"]),
        Expected(1, 1, 1, 0, 64),
    ),
    Case(
        "an embedding",
        [T("x", (3,), "int32"), constant("t", 10, 4), T("y", (3, 4))],
        one("EMBEDDING_LOOKUP", ["x", "t"]),
        Expected(40, 38, 38, 0, 4 * 3 + 12),
    ),
    Case(
        "pooling, reshaping and softmax cost no multiply-accumulates",
        [T("x", (1, 4, 4, 2)), T("p", (1, 2, 2, 2)), T("n", (2,), "int32", [1, 8]), T("r", (1, 8)), T("y", (1, 8))],
        [
            Op("AVERAGE_POOL_2D", ["x"], ["p"], "Pool2DOptions"),
            Op("RESHAPE", ["p", "n"], ["r"]),
            Op("SOFTMAX", ["r"], ["y"], "SoftmaxOptions"),
        ],
        Expected(0, 0, 0, 0, 32 + 8),
    ),
    Case(
        "a custom operator is named, not taken for nothing",
        [T("x", (1, 8)), T("y", (1, 8))],
        [Op("CUSTOM", ["x"], ["y"], custom="TheirMagic")],
        Expected(0, 0, 0, 0, 16, ("CUSTOM:TheirMagic",)),
    ),
    Case(
        "a Fourier transform is named as well",
        [T("x", (1, 8), "float32"), T("n", (1,), "int32", [8]), T("y", (1, 5), "float32")],
        [Op("RFFT2D", ["x", "n"], ["y"])],
        Expected(0, 0, 0, 0, 4 * 13, ("RFFT2D",)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counts_are_those_worked_out_by_hand(tmp_path: Path, case: Case) -> None:
    inputs = [tensor.name for tensor in case.tensors if tensor.name in ("x", "k") and tensor.data is None]
    payload = tflite_file(case.tensors, case.operators, inputs, ["y"])
    assert found(audited(tmp_path, payload, ".tflite")) == case.expected
