"""Which input of an operator is what: weights and biases, batch norm, scales, or nothing that is learnt.

Numbers are positions of inputs, from the operator definitions of ONNX, of ONNX Runtime's `com.microsoft` domain and of
the TensorFlow Lite kernels.
"""

from __future__ import annotations

WEIGHT, BIAS, NORM, STATISTICS = "weight", "bias", "norm", "statistics"
SCALES, ZERO_POINTS, TABLES, STATES = "scales", "zero points", "shapes, indices and tables", "initial states"
RUNNING = "running statistics"
PARAMETERS = (WEIGHT, BIAS, NORM)


def _at(**places: tuple[int, ...]) -> dict[int, str]:
    names = {"w": WEIGHT, "b": BIAS, "n": NORM, "r": RUNNING, "s": SCALES, "z": ZERO_POINTS, "t": TABLES, "i": STATES}
    return {place: names[key] for key, found in places.items() for place in found}


_CONV = _at(w=(1,), b=(2,))
_MATRIX = _at(w=(0, 1))
_RECURRENT = _at(w=(1, 2), b=(3,), t=(4,), i=(5, 6))
_LSTM = _at(w=(*range(1, 12), 16), b=(*range(12, 16), 17), n=(20, 21, 22, 23))
_TWO_LSTMS = _at(w=(*range(1, 12), 16, *range(18, 29), 33, *range(40, 48)), b=(*range(12, 16), 17, *range(29, 33), 34))

PLACES: dict[str, dict[int, str]] = {
    # TensorFlow Lite
    "CONV_2D": _CONV,
    "CONV_3D": _CONV,
    "DEPTHWISE_CONV_2D": _CONV,
    "FULLY_CONNECTED": _CONV,
    "TRANSPOSE_CONV": _at(t=(0,), w=(1,), b=(3,)),
    "CONV_3D_TRANSPOSE": _at(t=(0,), w=(1,), b=(3,)),
    "BATCH_MATMUL": _MATRIX,
    "PRELU": _at(w=(1,)),
    "SVDF": _at(w=(1, 2), b=(3,)),
    "RNN": _at(w=(1, 2), b=(3,)),
    "UNIDIRECTIONAL_SEQUENCE_RNN": _at(w=(1, 2), b=(3,)),
    "BIDIRECTIONAL_SEQUENCE_RNN": _at(w=(1, 2, 5, 6, 10, 11), b=(3, 7)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _LSTM,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _TWO_LSTMS,
    "EMBEDDING_LOOKUP": _at(t=(0,), w=(1,)),
    # ONNX
    "Conv": _CONV,
    "ConvTranspose": _CONV,
    "DeformConv": _at(w=(1,), b=(3,)),
    "FusedConv": _CONV,
    "NhwcFusedConv": _CONV,
    "ConvInteger": _at(w=(1,), z=(2, 3)),
    "Gemm": _at(w=(0, 1), b=(2,)),
    "FusedGemm": _at(w=(0, 1), b=(2,)),
    "MatMul": _MATRIX,
    "FusedMatMul": _MATRIX,
    "TransposeMatMul": _MATRIX,
    "Einsum": _at(w=tuple(range(8))),
    "MatMulInteger": _at(w=(0, 1), z=(2, 3)),
    "MatMulIntegerToFloat": _at(w=(0, 1), s=(2, 3), z=(4, 5), b=(6,)),
    "DynamicQuantizeMatMul": _at(w=(1,), s=(2,), z=(3,), b=(4,)),
    "GRU": _RECURRENT,
    "LSTM": _RECURRENT | _at(w=(7,)),  # TensorFlow Lite's own LSTM: see `places_of`
    "DynamicQuantizeLSTM": _RECURRENT | _at(w=(7,), s=(8, 10), z=(9, 11)),
    "BatchNormalization": _at(n=(1, 2), r=(3, 4)),
    "InstanceNormalization": _at(n=(1, 2)),
    "LayerNormalization": _at(n=(1, 2)),
    "SimplifiedLayerNormalization": _at(n=(1,)),
    "RMSNormalization": _at(n=(1,)),
    "GroupNormalization": _at(n=(1, 2)),
    "SkipLayerNormalization": _at(n=(2, 3), b=(4,)),
    "PRelu": _at(w=(1,)),
    "BiasGelu": _at(b=(1,)),
    "QuantizeLinear": _at(s=(1,), z=(2,)),
    "DequantizeLinear": _at(s=(1,), z=(2,)),
    "QLinearConv": _at(s=(1, 4, 6), z=(2, 5, 7), w=(3,), b=(8,)),
    "QLinearMatMul": _at(w=(0, 3), s=(1, 4, 6), z=(2, 5, 7)),
    "QGemm": _at(w=(0, 3), s=(1, 4, 7), z=(2, 5, 8), b=(6,)),
    "QLinearAdd": _at(s=(1, 4, 6), z=(2, 5, 7)),
    "QLinearMul": _at(s=(1, 4, 6), z=(2, 5, 7)),
    "QLinearSigmoid": _at(s=(1, 3), z=(2, 4)),
    "QLinearLeakyRelu": _at(s=(1, 3), z=(2, 4)),
    "QLinearSoftmax": _at(s=(1, 3), z=(2, 4)),
    "QLinearAveragePool": _at(s=(1, 3), z=(2, 4)),
    "QLinearGlobalAveragePool": _at(s=(1, 3), z=(2, 4)),
    "Attention": {},  # ONNX's own has no weights; ONNX Runtime's: see `places_of`
    "QAttention": _at(w=(1,), b=(2,), s=(3, 4), t=(5,), z=(6, 7)),
    "MultiHeadAttention": _at(b=(3,)),
    "Resize": _at(t=(1, 2, 3)),
    "Upsample": _at(t=(1,)),
    "OneHot": _at(t=(1, 2)),
}
MICROSOFT = "com.microsoft"


# Operators that hand their first input on: what goes in is the parameter of whoever reads what comes out.
_PASSING = """
DequantizeLinear QuantizeLinear Transpose Reshape Identity Cast Squeeze Unsqueeze Flatten
DEQUANTIZE QUANTIZE DENSIFY TRANSPOSE RESHAPE CAST SQUEEZE EXPAND_DIMS
"""
PASSING = frozenset(_PASSING.split())


def places_of(op: str, domain: str, tflite: bool) -> dict[int, str]:
    """Roles of the inputs of operator `op`; two names mean different operators in different formats."""
    if op == "LSTM" and tflite:
        return _LSTM
    if op == "RNN" and not tflite:
        return _RECURRENT
    if op == "Attention" and domain == MICROSOFT:
        return _CONV
    return PLACES.get(op, {})
