"""Counting a model as its file stores it: parameters, multiply-accumulates and live activations of any operators.

What is a parameter is decided by place (weights and biases of convolutions and matrix products) and otherwise by kind:
a constant with more than one element that is a float or a quantised integer. Scales, zero points, running statistics
and index tables are listed apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from edgeasc.audit.document import Layer, Parameters, Uncounted
from edgeasc.audit.memory import Step, live_bytes
from edgeasc.audit.rules import Counted
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor, count_elements

# Inputs that are weights and biases whatever their type, by operator
PLACES = {
    "CONV_2D": (1, 2),
    "CONV_3D": (1, 2),
    "DEPTHWISE_CONV_2D": (1, 2),
    "FULLY_CONNECTED": (1, 2),
    "TRANSPOSE_CONV": (1, 3),
    "BATCH_MATMUL": (0, 1),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "ConvInteger": (1,),
    "Gemm": (1, 2),
    "MatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
}
# Inputs that are never parameters, and what they are called
APART = {
    "QuantizeLinear": {1: "scales", 2: "zero points"},
    "DequantizeLinear": {1: "scales", 2: "zero points"},
    "BatchNormalization": {3: "running statistics", 4: "running statistics"},
    "QLinearConv": {1: "scales", 2: "zero points", 4: "scales", 5: "zero points", 6: "scales", 7: "zero points"},
    "QLinearMatMul": {1: "scales", 2: "zero points", 4: "scales", 5: "zero points", 6: "scales", 7: "zero points"},
}
MATRIX_PRODUCTS = ("BATCH_MATMUL", "MatMul", "MatMulInteger", "QLinearMatMul")
UNKNOWN_MACS = ("LSTM", "RNN", "GRU", "Attention", "Einsum", "SVDF", "EINSUM", "CUSTOM:")


@dataclass
class StoredCount:
    """What a stored model comes to."""

    layers: list[Layer] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    uncounted: Counter[str] = field(default_factory=Counter)  # elements
    uncounted_bytes: Counter[str] = field(default_factory=Counter)
    operators: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    peak_bytes: int = 0
    peak_layer: str = ""

    @property
    def parameters(self) -> Parameters:
        """Totals over everything that counts."""
        return sum_parameters(self.counted)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def apart(self) -> tuple[Uncounted, ...]:
        """What is listed and not counted."""
        return tuple(Uncounted(what, count, self.uncounted_bytes[what]) for what, count in self.uncounted.items())


def sum_parameters(counted: list[Counted]) -> Parameters:
    """`counted` in four numbers."""
    return Parameters(
        total=sum(item.total for item in counted),
        nonzero=sum(item.nonzero for item in counted),
        nonzero_bytes=sum(packed_bytes(item.nonzero, item.bits) for item in counted),
        bytes=sum(packed_bytes(item.total, item.bits) for item in counted),
    )


def packed_bytes(elements: int, bits: int) -> int:
    """Bytes of `elements` of `bits` each, side by side."""
    return -(-elements * bits // 8)


def count_stored(model: StoredModel, by_content: bool = True) -> StoredCount:
    """Count every operator of `model`; a constant counts once, at its first use.

    `by_content` makes equal constants one, as a file stores them; otherwise each tensor is one of its own.
    """
    result, seen = StoredCount(), set[Hashable]()
    live = _live(model)
    for operator, alive in zip(model.operators, live, strict=True):
        own = _parameters(operator, model.tensors, seen, result, by_content)
        result.counted += own
        result.operators[operator.op] += 1
        sizes = sum_parameters(own)
        output = model.tensors[operator.outputs[0]] if operator.outputs else None
        result.layers.append(
            Layer(
                name=operator.name,
                op=operator.op,
                output_shape=output.shape if output else (),
                parameters=sizes.total,
                nonzero=sizes.nonzero,
                bytes=sizes.nonzero_bytes,
                macs=count_macs(operator, model.tensors),
                activation_bytes=alive,
            )
        )
    if live:
        result.peak_bytes = max(live)
        result.peak_layer = model.operators[live.index(result.peak_bytes)].name
    result.notes += _notes(model, result)
    return result


def count_macs(operator: StoredOperator, tensors: tuple[StoredTensor, ...]) -> int:
    """Multiply-accumulates of one operator, batch 1; 0 for what is no convolution or matrix product."""
    if operator.op not in PLACES or not operator.outputs:
        return 0

    def tensor(place: int) -> StoredTensor:
        given = place < len(operator.inputs) and operator.inputs[place] >= 0
        return tensors[operator.inputs[place]] if given else StoredTensor("", (0,), "int8", 8)

    output, first, weight = tensors[operator.outputs[0]], tensor(0), tensor(PLACES[operator.op][0])
    match operator.op:
        case "TRANSPOSE_CONV":  # weights [out, f, t, in]; input 0 is the output's shape
            return tensor(2).elements * _per_slice(weight, -1)
        case "ConvTranspose":  # weights [in, out / groups, f, t]
            return first.elements * _per_slice(weight, 0)
        case "DEPTHWISE_CONV_2D" | "CONV_3D":  # weights [1, f, t, out], [d, f, t, in, out]
            return output.elements * _per_slice(weight, -1)
        case "CONV_2D" | "FULLY_CONNECTED" | "Conv" | "ConvInteger" | "QLinearConv":  # weights [out, ..]
            return output.elements * _per_slice(weight, 0)
        case "BATCH_MATMUL":
            return first.elements * abs(output.shape[-1]) if output.shape else 0
        case _:  # Gemm, MatMul and their integer forms: [.., m, k] x [.., k, n]
            rows = count_elements(output.shape[:-1])
            return output.elements * (first.elements // max(rows, 1))


def _per_slice(tensor: StoredTensor, axis: int) -> int:
    """Elements of one slice along `axis`."""
    return tensor.elements // max(abs(tensor.shape[axis]), 1) if tensor.shape else 0


def _parameters(
    operator: StoredOperator,
    tensors: tuple[StoredTensor, ...],
    seen: set[Hashable],
    result: StoredCount,
    by_content: bool,
) -> list[Counted]:
    """The parameters that `operator` is the first to use; what is none goes to the list of uncounted things."""
    own = []
    for place, index in enumerate(operator.inputs):
        tensor = tensors[index] if index >= 0 else None
        if tensor is None or tensor.data is None:
            continue
        key = (tensor.content, tensor.dtype, tensor.zero_points.tobytes()) if by_content else index
        if key in seen:
            continue
        seen.add(key)
        if tensor.scales:
            _set_apart(result, "scales", tensor.scales, 4 * tensor.scales)
            _set_apart(result, "zero points", len(tensor.zero_points), 8 * len(tensor.zero_points))
        kind = _kind(operator, place, tensor)
        if kind in ("weight", "bias"):
            own.append(Counted(kind, tensor.elements, tensor.elements, tensor.nonzero, tensor.bits))
        else:
            _set_apart(result, kind, tensor.elements, tensor.bytes)
    return own


def _kind(operator: StoredOperator, place: int, tensor: StoredTensor) -> str:
    """`weight`, `bias`, or the name of something that is not counted."""
    places = PLACES.get(operator.op, ())
    if place in places:
        return "weight" if place == places[0] or operator.op in MATRIX_PRODUCTS else "bias"
    if place in APART.get(operator.op, {}):
        return APART[operator.op][place]
    if tensor.elements <= 1:
        return "single constants"
    wide = tensor.dtype in ("int32", "int64", "uint32", "uint64", "bool")
    if wide and not tensor.scales and not (operator.op == "DequantizeLinear" and place == 0):
        return "shapes, indices and tables"
    return "bias" if wide else "weight"


def _set_apart(result: StoredCount, what: str, elements: int, size: int) -> None:
    result.uncounted[what] += elements
    result.uncounted_bytes[what] += size


def _live(model: StoredModel) -> list[int]:
    sizes = {index: tensor.bytes for index, tensor in enumerate(model.tensors) if tensor.data is None}
    steps = [Step(op.name, tuple(i for i in op.inputs if i >= 0), op.outputs) for op in model.operators]
    return live_bytes(steps, sizes, model.inputs, model.outputs)


def _notes(model: StoredModel, result: StoredCount) -> list[str]:
    notes = []
    unknown = sorted(op for op in result.operators if any(word in op for word in UNKNOWN_MACS))
    if unknown:
        notes.append(f"multiply-accumulates inside {', '.join(unknown)} are not counted")
    open_sides = [t.name for t in model.tensors if t.data is None and any(side < 0 for side in t.shape[1:])]
    if open_sides:
        first = f"{len(open_sides)} tensors, the first {open_sides[0]!r}"
        notes.append(f"open sides taken as 1 in {first}: multiply-accumulates and RAM are lower bounds")
    if model.other_subgraphs:
        notes.append(f"{model.other_subgraphs} further sub-graphs are not counted")
    if any(t.dtype.startswith(("float", "bfloat")) and t.data is not None and t.elements > 1 for t in model.tensors):
        notes.append("some constants are floats: not a fully quantised file")
    return notes
