"""Operators that only move, reshape or convert numbers: left over from a conversion."""

from __future__ import annotations

from collections.abc import Sequence

from edgeasc.audit.findings import finding
from edgeasc.audit.target_document import Finding
from edgeasc.audit.wiring import DEQUANTIZE, FLOATS, QUANTISED, QUANTIZE, RESHAPE, TRANSPOSE, Wiring
from edgeasc.graph.stored import StoredOperator

_WINDOWS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def undone_quantisation(wiring: Wiring) -> Finding | None:
    """W101: conversions between integers and floats that are undone at once."""
    found = [op for op in wiring.of((*QUANTIZE, *DEQUANTIZE)) if _is_undone(op, wiring)]
    cost = f"{_moved(found, wiring):,} B written for nothing at every inference"
    return _first("W101", found, "conversions are undone by what follows", cost)


def _is_undone(operator: StoredOperator, wiring: Wiring) -> bool:
    source, readers = wiring.input(operator), wiring.readers(operator)
    if source is None or source.data is not None or not readers:
        return False
    if operator.op in DEQUANTIZE:
        return all(reader.op in QUANTIZE for reader in readers)
    if not wiring.tflite:  # in ONNX a pair of both is how a quantised tensor is written
        return False
    followers = (*QUANTIZE, *DEQUANTIZE) if source.dtype in FLOATS else QUANTIZE
    return all(reader.op in followers for reader in readers)


def stray_transposes(wiring: Wiring) -> Finding | None:
    """W102: transpositions of activations."""
    found = [op for op in wiring.of(TRANSPOSE) if _is_activation(op, wiring)]
    cost = f"{_moved(found, wiring):,} B copied with a stride at every inference"
    return _first("W102", found, "transpositions of activations", cost)


def idle_reshapes(wiring: Wiring) -> Finding | None:
    """W103: reshapes to the same shape, or that feed only another reshape."""
    found = [op for op in wiring.of(RESHAPE) if _is_activation(op, wiring) and _is_idle(op, wiring)]
    cost = f"{_moved(found, wiring):,} B copied at every inference"
    return _first("W103", found, "reshapes change nothing or are reshaped again", cost)


def _is_idle(operator: StoredOperator, wiring: Wiring) -> bool:
    source, result, readers = wiring.input(operator), wiring.output(operator), wiring.readers(operator)
    if source is not None and result is not None and source.shape == result.shape and -1 not in source.shape:
        return True
    return bool(readers) and all(reader.op in RESHAPE for reader in readers)


def unfolded_constants(wiring: Wiring) -> Finding | None:
    """W104: operators that read constants only."""
    found = []
    for operator in wiring.model.operators:
        inputs = [wiring.model.tensors[index] for index in operator.inputs if index >= 0]
        weights = operator.op in DEQUANTIZE and (not wiring.tflite or all(t.dtype == "float16" for t in inputs[:1]))
        if inputs and all(tensor.data is not None for tensor in inputs) and not weights and not operator.subgraphs:
            found.append(operator)
    cost = f"{_moved(found, wiring):,} B computed and kept in RAM at every inference"
    return _first("W104", found, "operators on constants alone", cost)


def float_islands(wiring: Wiring) -> Finding | None:
    """W105: float operators inside a network that is quantised elsewhere."""
    if not wiring.tflite or not _has_integer_weights(wiring):
        return None
    borders = (*QUANTIZE, *DEQUANTIZE)
    found = [op for op in wiring.model.operators if op.op not in borders and _computes_in_float(op, wiring)]
    if not found:
        return None
    elements = max(wiring.model.tensors[index].elements for op in found for index in op.outputs)
    borders_found = sum(1 for op in wiring.of(borders) if _is_activation(op, wiring))
    cost = (
        f"the largest float activation takes {4 * elements:,} B instead of {elements:,} B; {borders_found} conversions"
    )
    return _first("W105", found, f"operators compute in float ({_kinds(found)})", cost)


def float_ends(wiring: Wiring) -> Finding | None:
    """W106: float32 at the ends of an integer network."""
    if not wiring.tflite or not _has_integer_weights(wiring):
        return None
    tensors = wiring.model.tensors
    starts = [index for index in wiring.model.inputs if tensors[index].dtype in FLOATS]
    starts = [index for index in starts if all(op.op in QUANTIZE for op in wiring.users.get(index, [])) or not starts]
    ends = [i for i in wiring.model.outputs if tensors[i].dtype in FLOATS and i in wiring.makers]
    ends = [index for index in ends if wiring.makers[index].op in DEQUANTIZE]
    if not starts and not ends:
        return None
    which = " and ".join(word for word, found in (("input", starts), ("output", ends)) if found)
    elements = sum(tensors[index].elements for index in (*starts, *ends))
    cost = f"{4 * elements:,} B instead of {elements:,} B, and a conversion of each"
    return finding("W106", tensors[(starts or ends)[0]].name, f"the {which} is float32, the network int8", cost)


def grouped_for_depthwise(wiring: Wiring) -> Finding | None:
    """W107: CONV_2D whose channels see one input channel each."""
    found = []
    for operator in wiring.of(("CONV_2D",)):
        weight, data = wiring.input(operator, 1), wiring.input(operator)
        if weight is None or data is None or len(weight.shape) != 4 or len(data.shape) != 4:
            continue
        if weight.shape[3] == 1 and data.shape[3] == weight.shape[0] > 1:
            found.append(operator)
    return _first("W107", found, "grouped convolutions stand for depthwise ones")


def foldable_padding(wiring: Wiring) -> Finding | None:
    """I108: padding before convolutions of stride 1, which SAME would do."""
    found = []
    for operator in wiring.of(("PAD", "PADV2")):
        source, readers = wiring.input(operator), wiring.readers(operator)
        results = [wiring.output(reader) for reader in readers if reader.op in _WINDOWS]
        if source is None or not readers or len(results) != len(readers):
            continue
        if all(result is not None and result.shape[1:3] == source.shape[1:3] for result in results):
            found.append(operator)
    return _first(
        "I108", found, "paddings that SAME would do", f"{_moved(found, wiring):,} B copied at every inference"
    )


def _is_activation(operator: StoredOperator, wiring: Wiring) -> bool:
    source = wiring.input(operator)
    return source is not None and source.data is None


def _computes_in_float(operator: StoredOperator, wiring: Wiring) -> bool:
    activations = [wiring.model.tensors[i] for i in operator.inputs if i >= 0 and wiring.model.tensors[i].data is None]
    return bool(activations) and activations[0].dtype in FLOATS and bool(operator.outputs)


def _has_integer_weights(wiring: Wiring) -> bool:
    """Whether some operator multiplies quantised activations by quantised weights."""
    for operator, weight in wiring.weights():
        data = wiring.input(operator, 2 if operator.op == "TRANSPOSE_CONV" else 0)
        if weight.dtype in QUANTISED and data is not None and data.dtype in QUANTISED:
            return True
    return False


def _moved(operators: Sequence[StoredOperator], wiring: Wiring) -> int:
    """Bytes that the operators write."""
    return sum(wiring.model.tensors[index].bytes for operator in operators for index in operator.outputs)


def _kinds(operators: Sequence[StoredOperator]) -> str:
    return ", ".join(sorted({operator.op for operator in operators}))


def _first(code: str, found: Sequence[StoredOperator], what: str, cost: str = "") -> Finding | None:
    """A finding about all `found`, at the first of them; None where there are none."""
    return finding(code, found[0].name, f"{len(found)} {what}", cost) if found else None


LAYOUT = (
    undone_quantisation,
    stray_transposes,
    idle_reshapes,
    unfolded_constants,
    float_islands,
    float_ends,
    grouped_for_depthwise,
    foldable_padding,
)
