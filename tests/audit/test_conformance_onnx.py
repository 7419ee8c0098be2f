"""Conformance, ONNX: every operator with a matrix product alone, against numbers worked out here by formula.

Every constant is filled with ones and two zeros at its start, so that zeros are n - 2 and a wrong place shows.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from expected_counts import Expected, audited, found
from onnx_file import onnx_file


class Case(NamedTuple):
    name: str
    signature: str
    nodes: str
    constants: dict[str, Any]
    expected: Expected


def ones(*shape: int, dtype: type = np.float32) -> np.ndarray:
    """Ones, the first two of them zeros where there are more than two."""
    values = np.ones(shape, dtype)
    if values.size > 2:
        values.ravel()[:2] = 0
    return values


def scalar(value: float, dtype: type = np.float32) -> np.ndarray:
    return np.array(value, dtype)


S, Z8, Z0 = scalar(0.1), scalar(0, np.int8), scalar(0, np.uint8)
QDQ_ENDS = {"s": S, "z": Z8}
CASES = [
    Case(
        "2-D convolution, padded, strided",
        "float[1,3,8,6] x => float[1,4,4,3] y",
        "y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b)",
        {"w": ones(4, 3, 3, 3), "b": ones(4)},
        Expected(108 + 4, 106 + 2, 4 * 108, 4 * 4 * 3 * 27, 4 * (144 + 48)),
    ),
    Case(
        "1-D convolution on a waveform, dilated",
        "float[1,1,100] x => float[1,5,90] y",
        "y = Conv<dilations=[5]>(x, w)",
        {"w": ones(5, 1, 3)},
        Expected(15, 13, 52, 5 * 90 * 3, 4 * (100 + 450)),
    ),
    Case(
        "3-D convolution",
        "float[1,2,4,5,6] x => float[1,3,3,4,5] y",
        "y = Conv(x, w)",
        {"w": ones(3, 2, 2, 2, 2)},
        Expected(48, 46, 184, 3 * 3 * 4 * 5 * 16, 4 * (240 + 180)),
    ),
    Case(
        "grouped convolution sees its group only",
        "float[1,8,6,6] x => float[1,4,4,4] y",
        "y = Conv<group=2>(x, w)",
        {"w": ones(4, 4, 3, 3)},
        Expected(144, 142, 568, 4 * 16 * 36, 4 * (288 + 64)),
    ),
    Case(
        "depthwise convolution with two outputs per channel",
        "float[1,3,5,5] x => float[1,6,3,3] y",
        "y = Conv<group=3>(x, w)",
        {"w": ones(6, 1, 3, 3)},
        Expected(54, 52, 208, 6 * 9 * 9, 4 * (75 + 54)),
    ),
    Case(
        "transposed convolution spreads every input",
        "float[1,2,3,4] x => float[1,5,6,8] y",
        "y = ConvTranspose<strides=[2,2]>(x, w, b)",
        {"w": ones(2, 5, 2, 2), "b": ones(5)},
        Expected(45, 41, 164, 24 * 20, 4 * (24 + 240)),
    ),
    Case(
        "Gemm with the weights transposed",
        "float[2,6] x => float[2,4] y",
        "y = Gemm<transB=1>(x, w, b)",
        {"w": ones(4, 6), "b": ones(4)},
        Expected(28, 24, 96, 2 * 4 * 6, 4 * (12 + 8)),
    ),
    Case(
        "Gemm with the input transposed",
        "float[6,2] x => float[2,4] y",
        "y = Gemm<transA=1>(x, w)",
        {"w": ones(6, 4)},
        Expected(24, 22, 88, 2 * 4 * 6, 4 * (12 + 8)),
    ),
    Case(
        "matrix product on every frame",
        "float[1,10,6] x => float[1,10,3] y",
        "y = MatMul(x, w)",
        {"w": ones(6, 3)},
        Expected(18, 16, 64, 10 * 6 * 3, 4 * (60 + 30)),
    ),
    Case(
        "matrix product whose first operand is broadcast",
        "float[5,3,4] x => float[5,2,4] y",
        "y = MatMul(w, x)",
        {"w": ones(2, 3)},
        Expected(6, 4, 16, 5 * 2 * 3 * 4, 4 * (60 + 40)),
    ),
    Case(
        "attention by hand: both operands are activations",
        "float[1,2,7,4] q, float[1,2,4,7] k => float[1,2,7,7] y",
        "y = MatMul(q, k)",
        {},
        Expected(0, 0, 0, 2 * 7 * 7 * 4, 4 * (56 + 56 + 98)),
    ),
    Case(
        "Einsum of two operands",
        "float[2,5,3] x, float[2,4,3] k => float[2,5,4] y",
        'y = Einsum<equation="bij,bkj->bik">(x, k)',
        {},
        Expected(0, 0, 0, 2 * 5 * 4 * 3, 4 * (30 + 24 + 40)),
    ),
    Case(
        "Einsum with an ellipsis and constant weights",
        "float[2,5,3] x => float[2,5,4] y",
        'y = Einsum<equation="...i,io->...o">(x, w)',
        {"w": ones(3, 4)},
        Expected(12, 10, 40, 2 * 5 * 3 * 4, 4 * (30 + 40)),
    ),
    Case(
        "Einsum that only transposes",
        "float[5,3] x => float[3,5] y",
        'y = Einsum<equation="ij->ji">(x)',
        {},
        Expected(0, 0, 0, 0, 4 * 30),
    ),
    Case(
        "LSTM, both directions, peepholes",
        "float[9,1,5] x => float[9,2,1,4] y",
        'y = LSTM<hidden_size=4, direction="bidirectional">(x, w, r, b, , , , p)',
        {"w": ones(2, 16, 5), "r": ones(2, 16, 4), "b": ones(2, 32), "p": ones(2, 12)},
        Expected(160 + 128 + 64 + 24, 376 - 8, 4 * 368, 9 * (160 + 128), 4 * (45 + 72)),
    ),
    Case(
        "GRU with an initial state that is no parameter",
        "float[9,1,5] x => float[9,1,1,4] y",
        "y = GRU<hidden_size=4>(x, w, r, b, , h)",
        {"w": ones(1, 12, 5), "r": ones(1, 12, 4), "b": ones(1, 24), "h": ones(1, 1, 4)},
        Expected(60 + 48 + 24, 132 - 6, 4 * 126, 9 * (60 + 48), 4 * (45 + 36)),
    ),
    Case(
        "RNN",
        "float[9,1,5] x => float[9,1,1,4] y",
        "y = RNN<hidden_size=4>(x, w, r)",
        {"w": ones(1, 4, 5), "r": ones(1, 4, 4)},
        Expected(36, 32, 128, 9 * 36, 4 * (45 + 36)),
    ),
    Case(
        "attention of ONNX",
        "float[1,2,7,4] q, float[1,2,9,4] k, float[1,2,9,3] v => float[1,2,7,3] y",
        "y = Attention(q, k, v)",
        {},
        Expected(0, 0, 0, 2 * 7 * 9 * 4 + 2 * 7 * 9 * 3, 4 * (56 + 72 + 54 + 42)),
    ),
    Case(
        "attention of ONNX Runtime, with its projections",
        "float[1,7,6] x => float[1,7,6] y",
        "y = com.microsoft.Attention<num_heads=2>(x, w, b)",
        {"w": ones(6, 18), "b": ones(18)},
        Expected(126, 122, 488, 7 * 6 * 18 + 2 * 7 * 7 * 6, 4 * (42 + 42)),
    ),
    Case(
        "multi-head attention of ONNX Runtime",
        "float[1,7,6] q, float[1,9,6] k, float[1,9,6] v => float[1,7,6] y",
        "y = com.microsoft.MultiHeadAttention<num_heads=2>(q, k, v)",
        {},
        Expected(0, 0, 0, 2 * 7 * 9 * 6, 4 * (42 + 54 + 54 + 42)),
    ),
    Case(
        "quantised convolution, int8",
        "int8[1,3,8,6] x => int8[1,4,6,4] y",
        "y = QLinearConv(x, s, z, w, s, z, s, z, b)",
        {"w": ones(4, 3, 3, 3, dtype=np.int8), "b": ones(4, dtype=np.int32), **QDQ_ENDS},
        Expected(112, 108, 106 + 4 * 2, 4 * 6 * 4 * 27, 144 + 96),
    ),
    Case(
        "quantised matrix product with a zero point of 1",
        "uint8[1,5] x => uint8[1,3] y",
        "y = QLinearMatMul(x, s, z, w, s, o, s, z)",
        {"w": ones(5, 3, dtype=np.uint8), "s": S, "z": Z0, "o": scalar(1, np.uint8)},
        Expected(15, 2, 2, 15, 5 + 3),
    ),
    Case(
        "integer convolution",
        "uint8[1,2,5,5] x => int32[1,3,3,3] y",
        "y = ConvInteger(x, w, z, o)",
        {"w": ones(3, 2, 3, 3, dtype=np.uint8), "z": Z0, "o": scalar(1, np.uint8)},
        Expected(54, 2, 2, 27 * 18, 50 + 4 * 27),
    ),
    Case(
        "integer matrix product with a zero point per column",
        "uint8[2,4] x => int32[2,3] y",
        "y = MatMulInteger(x, w, z, o)",
        {"w": ones(4, 3, dtype=np.int8), "z": Z0, "o": np.array([1, 0, 0], np.int8)},
        Expected(12, 1 + 3 + 4, 8, 24, 8 + 4 * 6),  # column 0: one zero of four is no 1; column 1: the second zero
    ),
    Case(
        "quantised Gemm of ONNX Runtime",
        "int8[1,6] x => int8[1,4] y",
        "y = com.microsoft.QGemm<transB=1>(x, s, z, w, s, z, b, s, z)",
        {"w": ones(4, 6, dtype=np.int8), "b": ones(4, dtype=np.int32), **QDQ_ENDS},
        Expected(28, 24, 22 + 8, 24, 6 + 4),
    ),
    Case(
        "dynamically quantised matrix product",
        "float[1,6] x => float[1,4] y",
        "y = com.microsoft.DynamicQuantizeMatMul(x, w, s, z, b)",
        {"w": ones(6, 4, dtype=np.int8), "b": ones(4), **QDQ_ENDS},
        Expected(28, 24, 22 + 8, 24, 4 * (6 + 4)),
    ),
    Case(
        "convolution fused with its activation",
        "float[1,3,5,5] x => float[1,4,3,3] y",
        'y = com.microsoft.FusedConv<activation="Relu">(x, w, b)',
        {"w": ones(4, 3, 3, 3), "b": ones(4)},
        Expected(112, 108, 432, 36 * 27, 4 * (75 + 36)),
    ),
    Case(
        "a single slope is a parameter",
        "float[1,2,3] x => float[1,2,3] y",
        "y = PRelu(x, a)",
        {"a": np.array([0.25], np.float32)},
        Expected(1, 1, 4, 0, 4 * 12),
    ),
    Case(
        "live batch norm: gains and offsets count, statistics do not",
        "float[1,5,2,2] x => float[1,5,2,2] y",
        "y = BatchNormalization(x, g, o, m, v)",
        {name: ones(5) for name in "gomv"},
        Expected(10, 6, 24, 0, 4 * 40),
    ),
    Case(
        "layer norm",
        "float[1,7,5] x => float[1,7,5] y",
        "y = LayerNormalization(x, g, o)",
        {"g": ones(5), "o": ones(5)},
        Expected(10, 6, 24, 0, 4 * 70),
    ),
    Case(
        "an embedding",
        "int64[1,3] x => float[1,3,4] y",
        "y = Gather(t, x)",
        {"t": ones(10, 4)},
        Expected(40, 38, 152, 0, 8 * 3 + 4 * 12),
    ),
    Case(
        "QDQ convolution: weights through DequantizeLinear, floats between never exist",
        "int8[1,3,8,6] x => int8[1,4,6,4] y",
        "f = DequantizeLinear(x, s, z) wf = DequantizeLinear<axis=0>(w, sw, zw) bf = DequantizeLinear(b, sb) "
        "c = Conv(f, wf, bf) y = QuantizeLinear(c, s, z)",
        {
            "w": ones(4, 3, 3, 3, dtype=np.int8),
            "b": ones(4, dtype=np.int32),
            "sw": ones(4) + 1,
            "zw": np.zeros(4, np.int8),
            "sb": scalar(0.01),
            **QDQ_ENDS,
        },
        Expected(112, 108, 106 + 8, 96 * 27, 144 + 96),
    ),
    Case(
        "pooling and shapes cost no multiply-accumulates",
        "float[1,4,6,6] x => float[1,36] y",
        "p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) y = Reshape(p, n)",
        {"n": np.array([1, 36], np.int64)},
        Expected(0, 0, 0, 0, 4 * (144 + 36)),
    ),
    Case(
        "a Fourier transform is named, not taken for nothing",
        "float[1,16,1] x => float[1,16,2] y",
        "y = DFT(x)",
        {},
        Expected(0, 0, 0, 0, 4 * 48, ("DFT",)),
    ),
    Case(
        "an operator of a stranger's domain is named even if its name is known",
        "float[1,16] x => float[1,16] y",
        "t = their.own.Relu(x) y = Relu(t)",
        {},
        Expected(0, 0, 0, 0, 4 * 16, ("their.own.Relu",)),  # nobody knows how large t is
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counts_are_those_worked_out_by_hand(tmp_path: Path, case: Case) -> None:
    opset = 23 if case.nodes.startswith("y = Attention") else 20 if "DFT" in case.nodes else 17
    payload = onnx_file(case.signature, case.nodes, case.constants, opset)
    assert found(audited(tmp_path, payload, ".onnx")) == case.expected
