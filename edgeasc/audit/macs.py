"""Multiply-accumulates of one operator: convolutions, matrix products, recurrent layers and attention.

An operator is one of three: it has a formula here, it is known to have no matrix product (`known_free`), or nobody
counted it and it is reported as unknown. Elementwise work, pooling, activations and normalisation count nothing.
Formulas work on the shapes of the file, with the batch that it declares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from edgeasc.audit.free_operators import FREE
from edgeasc.audit.places import MICROSOFT
from edgeasc.graph.stored import UNKNOWN, StoredOperator, StoredTensor

_ABSENT = StoredTensor("", (0,), "int8", 8)


class Uncountable(ValueError):
    """Shapes or attributes that do not say how much an operator computes."""


@dataclass(frozen=True)
class Operands:
    """An operator with its tensors at hand; an input that is left out has no elements."""

    operator: StoredOperator
    tensors: Sequence[StoredTensor]

    def input(self, place: int) -> StoredTensor:
        """Input number `place`."""
        given = place < len(self.operator.inputs) and self.operator.inputs[place] >= 0
        return _known(self.tensors[self.operator.inputs[place]]) if given else _ABSENT

    @property
    def output(self) -> StoredTensor:
        """The first output."""
        return _known(self.tensors[self.operator.outputs[0]])

    def matrices(self, *places: int) -> int:
        """Elements of those inputs among `places` that are matrices."""
        return sum(tensor.elements for tensor in map(self.input, places) if len(tensor.shape) >= 2)


def _known(tensor: StoredTensor) -> StoredTensor:
    if tensor.dtype == UNKNOWN:
        raise Uncountable(f"the shape of {tensor.name!r} is not known")
    return tensor


def is_convolution(operator: StoredOperator) -> bool:
    """Whether the operator slides weights over a plane."""
    return "conv" in operator.op.lower() and operator.op in _FORMULAS


def count_macs(operator: StoredOperator, tensors: Sequence[StoredTensor], tflite: bool = True) -> int | None:
    """Multiply-accumulates of one operator; None where nobody knows them."""
    formula = _formula(operator, tflite)
    if formula is None:
        free = operator.op in FREE and operator.domain in ("", "ai.onnx", MICROSOFT) and not operator.subgraphs
        return 0 if free else None
    if not operator.outputs:
        return 0
    try:
        return formula(Operands(operator, tensors))
    except (Uncountable, IndexError):
        return None


def _formula(operator: StoredOperator, tflite: bool) -> Callable[[Operands], int] | None:
    if operator.domain == MICROSOFT and operator.op == "Attention":
        return _packed_attention
    if operator.op == "LSTM" and tflite:
        return _FORMULAS["UNIDIRECTIONAL_SEQUENCE_LSTM"]
    if operator.op == "RNN" and tflite:
        return _FORMULAS["UNIDIRECTIONAL_SEQUENCE_RNN"]
    return _FORMULAS.get(operator.op) if operator.domain in ("", "ai.onnx", MICROSOFT) else None


def _slice(tensor: StoredTensor, axis: int) -> int:
    """Elements of one slice of weights along `axis`."""
    if not tensor.shape or any(side < 0 for side in tensor.shape):
        raise Uncountable("weights of unknown shape")
    return tensor.elements // max(tensor.shape[axis], 1)


def _conv(place: int, axis: int) -> Callable[[Operands], int]:
    """Every output element sums over one slice of the weights at `place` along their output channels `axis`."""
    return lambda op: op.output.elements * _slice(op.input(place), axis)


def _transposed(source: int, place: int, axis: int) -> Callable[[Operands], int]:
    """Every input element is spread over one slice of the weights along their input channels `axis`."""
    return lambda op: op.input(source).elements * _slice(op.input(place), axis)


def _gemm(op: Operands, source: int = 0) -> int:
    """[m, k] x [k, n], the first one transposed where the attribute says so."""
    shape = op.input(source).shape
    return op.output.elements * abs(shape[0 if op.operator.attributes.get("transA") else 1])


def _matmul(op: Operands) -> int:
    """[.., m, k] x [.., k, n], leading sides broadcast."""
    first = op.input(0).shape
    flipped = op.operator.attributes.get("transA") or op.operator.attributes.get("adj_x")
    return op.output.elements * abs(first[-2 if flipped else -1])


def _fully_connected(op: Operands) -> int:
    """Weights [n_out, n_in] on every row of the input."""
    return op.output.elements * abs(op.input(1).shape[-1])


def _onnx_recurrent(op: Operands) -> int:
    """W [directions, gates * hidden, n_in] and R [directions, gates * hidden, hidden] at every step of the sequence."""
    weights, source = op.input(1), op.input(0)
    if len(weights.shape) != 3 or len(source.shape) != 3:
        raise Uncountable("weights of unknown shape")
    if source.shape[0] < 0:
        raise Uncountable("a sequence of open length")
    steps = source.elements // max(abs(source.shape[-1]), 1)  # sequence and batch, in either layout
    return steps * op.matrices(1, 2)


def _tflite_recurrent(*places: int) -> Callable[[Operands], int]:
    """The matrices at `places` at every step of the sequence; peephole vectors work element by element."""

    def formula(op: Operands) -> int:
        source = op.input(0)
        steps = source.elements // max(abs(source.shape[-1]), 1)
        return steps * op.matrices(*places)

    return formula


def _svdf(op: Operands) -> int:
    """Weights [filters, n_in] on the input and [filters, memory] on the state, once per batch."""
    return abs(op.input(0).shape[0]) * op.matrices(1, 2)


def _attention(op: Operands) -> int:
    """softmax(Q K^T) V of query, key and value with any number of heads; keys of the past are a second input."""
    query, key = op.input(0), op.input(1)
    past = op.input(6 if op.operator.domain == MICROSOFT else 4)
    if len(key.shape) not in (3, 4):
        raise Uncountable("packed keys")
    length = abs(key.shape[-2]) + (abs(past.shape[-2]) if len(past.shape) == 4 else 0)
    return (query.elements + op.output.elements) * length


def _packed_attention(op: Operands) -> int:
    """ONNX Runtime's Attention: one product gives query, key and value of every step, and these attend."""
    source, weights, output = op.input(0), op.input(1), op.output
    batch, length, width = (abs(side) for side in source.shape)
    if len(weights.shape) != 2 or len(output.shape) != 3:
        raise Uncountable("weights of unknown shape")
    value_width = abs(output.shape[-1])
    query_width = (weights.shape[1] - value_width) // 2
    return batch * length * (width * weights.shape[1] + length * (query_width + value_width))


def _einsum(op: Operands) -> int:
    """Two operands: the product of the sizes of all labels; one: no product; more: depends on the order."""
    terms = str(op.operator.attributes.get("equation", "")).replace(" ", "").split("->")[0].split(",")
    if len(terms) != len(op.operator.inputs) or len(terms) > 2:
        raise Uncountable("an equation of other operands")
    sizes: dict[str, int] = {}
    for place, term in enumerate(terms):
        shape = op.input(place).shape
        labels = [char for char in term.replace("...", ".")]
        hidden = len(shape) - (len(labels) - ("." in labels))
        spelt = [f".{hidden - i}" for i in range(hidden)] if "." in labels else []
        where = labels.index(".") if "." in labels else len(labels)
        labels = [*labels[:where], *spelt, *labels[where + 1 :]]
        if len(labels) != len(shape):
            raise Uncountable("an equation that does not fit its operands")
        for label, side in zip(labels, shape, strict=True):
            sizes[label] = max(sizes.get(label, 1), abs(side))
    return prod(sizes.values()) if len(terms) == 2 else 0


_FORMULAS: dict[str, Callable[[Operands], int]] = {
    "CONV_2D": _conv(1, 0),  # weights [out, f, t, in / groups]
    "DEPTHWISE_CONV_2D": _conv(1, -1),  # [1, f, t, out]
    "CONV_3D": _conv(1, -1),  # [d, f, t, in, out]
    "TRANSPOSE_CONV": _transposed(2, 1, -1),  # [out, f, t, in]; input 0 is the output's shape
    "CONV_3D_TRANSPOSE": _transposed(2, 1, -1),  # [d, f, t, out, in]
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _matmul,
    "SVDF": _svdf,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _tflite_recurrent(1, 2),
    "BIDIRECTIONAL_SEQUENCE_RNN": _tflite_recurrent(1, 2, 5, 6, 10, 11),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _tflite_recurrent(*range(1, 9), 16),
    "BIDIRECTIONAL_SEQUENCE_LSTM": _tflite_recurrent(*range(1, 9), 16, *range(18, 26), 33, *range(40, 48)),
    "Conv": _conv(1, 0),
    "FusedConv": _conv(1, 0),
    "NhwcFusedConv": _conv(1, 0),
    "ConvInteger": _conv(1, 0),
    "DeformConv": _conv(1, 0),
    "QLinearConv": _conv(3, 0),
    "ConvTranspose": _transposed(0, 1, 0),  # weights [in, out / groups, f, t]
    "Gemm": _gemm,
    "FusedGemm": _gemm,
    "QGemm": _gemm,
    "MatMul": _matmul,
    "FusedMatMul": _matmul,
    "TransposeMatMul": _matmul,
    "MatMulInteger": _matmul,
    "MatMulIntegerToFloat": _matmul,
    "DynamicQuantizeMatMul": _matmul,
    "QLinearMatMul": _matmul,
    "LSTM": _onnx_recurrent,
    "GRU": _onnx_recurrent,
    "RNN": _onnx_recurrent,
    "DynamicQuantizeLSTM": _onnx_recurrent,
    "Attention": _attention,
    "MultiHeadAttention": _attention,
    "QAttention": _packed_attention,
    "Einsum": _einsum,
}
