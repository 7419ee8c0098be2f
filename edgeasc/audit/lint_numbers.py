"""How numbers are quantised: schemes that lose accuracy, or that runtimes refuse."""

from __future__ import annotations

import numpy as np

from edgeasc.audit.findings import finding
from edgeasc.audit.target_document import Finding
from edgeasc.audit.wiring import FLOATS, WEIGHTS, Wiring
from edgeasc.graph.stored import StoredOperator

NEAR_THE_END = 2**30  # half of what int32 holds
FIXED_OUTPUTS = {"LOGISTIC": (1 / 256, -128), "SOFTMAX": (1 / 256, -128), "TANH": (1 / 128, 0)}
_CLOSE = 1e-6  # relative; the scale is stored as float32


def flex_operators(wiring: Wiring) -> Finding | None:
    """E103: operators of full TensorFlow."""
    found = [op for op in wiring.model.operators if op.op.startswith("CUSTOM:Flex")]
    names = ", ".join(sorted({op.op.removeprefix("CUSTOM:") for op in found}))
    return finding("E103", found[0].name, f"{len(found)} TensorFlow operators: {names}") if found else None


def fixed_outputs(wiring: Wiring) -> Finding | None:
    """E104: int8 outputs of LOGISTIC, SOFTMAX and TANH with another scale than theirs."""
    found: list[tuple[StoredOperator, float, int]] = []
    for operator in wiring.of(FIXED_OUTPUTS):
        result = wiring.output(operator)
        if result is None or result.dtype != "int8" or len(result.scale_values) != 1:
            continue
        scale, zero = float(result.scale_values[0]), int(result.zero_points[0]) if len(result.zero_points) else 0
        wanted = FIXED_OUTPUTS[operator.op]
        if abs(scale - wanted[0]) > _CLOSE * wanted[0] or zero != wanted[1]:
            found.append((operator, scale, zero))
    if not found:
        return None
    operator, scale, zero = found[0]
    wanted = FIXED_OUTPUTS[operator.op]
    message = f"{len(found)} outputs, the first of {operator.op} with scale {scale:.6g} and zero point {zero}"
    return finding("E104", operator.name, f"{message}; TFLite wants {wanted[0]:.6g} and {wanted[1]}")


def one_scale_depthwise(wiring: Wiring) -> Finding | None:
    """W201: depthwise weights with one scale for all channels."""
    found = []
    for operator, weight in wiring.weights():
        axis = WEIGHTS[operator.op][1]
        several = len(weight.shape) > 1 and weight.shape[axis] > 1
        if wiring.is_depthwise(operator) and wiring.weight_scales(operator) == 1 and several:
            found.append((operator, weight.shape[axis]))
    if not found:
        return None
    channels = max(count for _, count in found)
    cost = f"up to {channels} channels share the step of the largest; accuracy, silently"
    return finding("W201", found[0][0].name, f"{len(found)} depthwise convolutions have one scale for all", cost)


def asymmetric_weights(wiring: Wiring) -> Finding | None:
    """W202: int8 weights whose zero point is not 0."""
    found = [(op, w) for op, w in wiring.weights() if w.dtype == "int8" and w.zero_points.any()]
    return (
        finding("W202", found[0][0].name, f"{len(found)} layers have int8 weights with a zero point") if found else None
    )


def hybrid_layers(wiring: Wiring) -> Finding | None:
    """W203: integer weights that meet float activations."""
    if not wiring.tflite:
        return None
    found = []
    for operator, weight in wiring.weights():
        data = wiring.input(operator, 2 if operator.op == "TRANSPOSE_CONV" else 0)
        direct = wiring.input(operator, WEIGHTS[operator.op][0]) is weight  # not expanded by a DEQUANTIZE before
        if direct and data is not None and data.dtype in FLOATS and weight.dtype in ("int8", "uint8", "int4"):
            found.append(operator)
    return finding("W203", found[0].name, f"{len(found)} layers: integer weights, float activations") if found else None


def unsigned_quantisation(wiring: Wiring) -> Finding | None:
    """W204: uint8 tensors with a scale, in a .tflite."""
    found = [tensor for tensor in wiring.model.tensors if tensor.dtype == "uint8" and tensor.scales]
    if not wiring.tflite or not found:
        return None
    return finding("W204", found[0].name, f"{len(found)} tensors are quantised to uint8")


def full_range_weights(wiring: Wiring) -> Finding | None:
    """W205: int8 weights that hold -128."""
    found = [
        (op, w) for op, w in wiring.weights() if w.dtype == "int8" and w.data is not None and (w.data == -128).any()
    ]
    if not found:
        return None
    count = sum(int(np.count_nonzero(weight.data == -128)) for _, weight in found)
    return finding("W205", found[0][0].name, f"{count:,} weights in {len(found)} layers are -128")


def extreme_biases(wiring: Wiring) -> Finding | None:
    """W206: int32 biases beyond half the range."""
    worst, name, count = 0, "", 0
    for operator, _ in wiring.weights():
        place = 8 if operator.op == "QLinearConv" else 3 if operator.op == "TRANSPOSE_CONV" else 2
        bias = wiring.input(operator, place)
        maker = wiring.makers.get(operator.inputs[place]) if bias is not None else None
        if maker is not None and maker.op == "DequantizeLinear":
            bias = wiring.input(maker)
        if bias is None or bias.data is None or bias.dtype != "int32" or not len(bias.data):
            continue
        magnitudes = np.abs(bias.data.astype(np.int64))
        beyond = int(np.count_nonzero(magnitudes > NEAR_THE_END))
        if beyond:
            worst, name, count = max(worst, int(magnitudes.max())), name or operator.name, count + beyond
    message = f"{count} biases beyond half of what int32 holds, the largest {worst:,}"
    return finding("W206", name, message) if count else None


def half_precision_constants(wiring: Wiring) -> Finding | None:
    """W207: float16 constants that a DEQUANTIZE expands."""
    found = []
    for operator in wiring.of(("DEQUANTIZE",)):
        source, result = wiring.input(operator), wiring.output(operator)
        if source is not None and source.data is not None and source.dtype == "float16" and result is not None:
            found.append((operator, result.bytes))
    size = sum(count for _, count in found)
    cost = f"{size:,} B of RAM for float32 copies where the runtime keeps them"
    return finding("W207", found[0][0].name, f"{len(found)} float16 constants are expanded", cost) if found else None


def float_network(wiring: Wiring) -> Finding | None:
    """I208: all weights are floats."""
    weights = [weight for _, weight in wiring.weights()]
    if not weights or any(weight.dtype not in FLOATS for weight in weights):
        return None
    size = sum({weight.storage or weight.name: weight.bytes for weight in weights}.values())
    elements = sum({weight.storage or weight.name: weight.elements for weight in weights}.values())
    cost = f"{size:,} B of weights, {elements:,} B in int8"
    return finding("I208", "", f"all weights are {', '.join(sorted({w.dtype for w in weights}))}", cost)


def coarse_probabilities(wiring: Wiring) -> Finding | None:
    """I209: an int8 SOFTMAX whose output is an output of the network."""
    ends = set(wiring.model.outputs)
    ends |= {wiring.makers[i].inputs[0] for i in wiring.model.outputs if _is_dequantise(i, wiring)}
    found = [op for op in wiring.of(("SOFTMAX",)) if op.outputs and op.outputs[0] in ends]
    coarse = [op for op in found if (result := wiring.output(op)) is not None and result.dtype == "int8"]
    return finding("I209", coarse[0].name, "the network ends with int8 probabilities") if coarse else None


def _is_dequantise(index: int, wiring: Wiring) -> bool:
    return index in wiring.makers and wiring.makers[index].op == "DEQUANTIZE"


NUMBERS = (
    flex_operators,
    fixed_outputs,
    one_scale_depthwise,
    asymmetric_weights,
    hybrid_layers,
    unsigned_quantisation,
    full_range_weights,
    extreme_biases,
    half_precision_constants,
    float_network,
    coarse_probabilities,
)
