"""LEAKY_RELU and PRELU as TensorFlow Lite's reference kernels compute them.

Either side of zero has a multiplier of its own, formed in float32 from the scales. The negative side of PRELU is
requantised from the product with the slope's integer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.kernels.arrays import INT8_MAX, INT8_MIN, check_int32, constant, every_int8, requantizer
from edgeasc.graph.kernels.unary import Dialect
from edgeasc.graph.model import Form, LeakyRelu, PRelu, QTensor
from edgeasc.graph.rounding import quantize_multiplier


@dataclass(frozen=True)
class PReluParameters:
    """Requantisation of `x` where it is positive, and of `x * slope` where it is not; `slope` is int64 `[C]`."""

    form: Form
    slope: NDArray[np.int64]
    input_zero_point: int
    multipliers: tuple[int, int]
    shifts: tuple[int, int]
    output_zero_point: int


def leaky_relu_table(node: LeakyRelu, source: QTensor, output: QTensor, form: Form) -> NDArray[np.int8]:
    """The output for every int8 input.

    Raises:
        BadInput: a negative slope, or a value, shifted left for the output's scale, may leave int32.
    """
    if not 0 <= node.slope < np.inf:
        raise BadInput("graph", f"{node.name}: a slope of {node.slope:g}; it must be finite and not negative")
    scales = _identity(source, output), np.float32(np.float32(source.scale * np.float32(node.slope)) / output.scale)
    (up, up_shift), (down, down_shift) = (_multiplier(scale) for scale in scales)
    value = every_int8() - source.zero_point
    for shift in (up_shift, down_shift):
        check_int32(f"the values of {node.name}", int(np.abs(value).max()), shift)
    requantize = requantizer(form)
    result = np.where(value >= 0, requantize(value, up, up_shift), requantize(value, down, down_shift))
    return (result + output.zero_point).clip(INT8_MIN, INT8_MAX).astype(np.int8)


def prelu_parameters(
    node: PRelu, source: QTensor, output: QTensor, form: Form, dialect: Dialect = "tflite"
) -> PReluParameters:
    """Parameters of `node`, formed from the scales in float32, or in float64 as TensorFlow Lite Micro does.

    The multipliers then differ by 2^-23 at most, which moves a result only where it is a tie all but exactly; a frozen
    graph has scales from `portable_output_scale` and `portable_slopes`, where both give one result.

    Raises:
        BadInput: a value or a product, shifted left for the output's scale, may leave int32.
    """
    kind = np.float32 if dialect == "tflite" else np.float64
    scale, slope_scale, output_scale = kind(source.scale), kind(node.slope_scale), kind(output.scale)
    (up, up_shift), (down, down_shift) = (
        _multiplier(kind(real)) for real in (scale / output_scale, kind(scale * slope_scale) / output_scale)
    )
    reach = max(127 - source.zero_point, 128 + source.zero_point)
    slope = node.slope.astype(np.int64)
    check_int32(f"the values of {node.name}", reach, up_shift)
    check_int32(f"the products of {node.name}", reach * int(np.abs(slope).max(initial=0)), down_shift)
    shifts = up_shift, down_shift
    return PReluParameters(form, slope, source.zero_point, (up, down), shifts, output.zero_point)


def prelu(values: Any, parameters: PReluParameters) -> Any:
    """PRELU of int64 integers `[B, C, F, T]`."""
    p = parameters
    centred = values - p.input_zero_point
    below = centred < 0
    requantize = requantizer(p.form)
    up = requantize(centred * ~below, p.multipliers[0], p.shifts[0])
    slope = constant(p.slope.reshape(1, -1, 1, 1), values)
    down = requantize(centred * below * slope, p.multipliers[1], p.shifts[1])
    return (up * ~below + down * below + p.output_zero_point).clip(INT8_MIN, INT8_MAX)


def portable_output_scale(source: QTensor, output: QTensor) -> np.float32:
    """The smallest scale, `output.scale` or just above, for which every runtime gives positive values one result."""
    while not _one_result(PRelu("", ("x",), "y", np.zeros(1, np.int8), np.float32(1)), source, output):
        output = replace(output, scale=np.nextafter(output.scale, np.float32(np.inf)))
    return output.scale


def portable_slopes(node: PRelu, source: QTensor, output: QTensor) -> PRelu:
    """`node` with the smallest scale of its slopes, its own or just above, that gives negative values one result."""
    while not _one_result(node, source, output, positive=False):
        node = replace(node, slope_scale=np.nextafter(node.slope_scale, np.float32(np.inf)))
    return node


def _one_result(node: PRelu, source: QTensor, output: QTensor, positive: bool = True) -> bool:
    inputs = every_int8()
    inputs = inputs[(inputs >= source.zero_point) == positive].reshape(1, 1, 1, -1)
    distinct = replace(node, slope=np.unique(node.slope))
    first, second = (
        prelu(inputs, prelu_parameters(distinct, source, output, "int8", dialect)) for dialect in get_args(Dialect)
    )
    return bool(np.array_equal(first, second))


def _identity(source: QTensor, output: QTensor) -> np.float32:
    return np.float32(source.scale / output.scale)


def _multiplier(real: np.floating[Any]) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(float(real))
    return int(multiplier), int(shift)


def portable_slope_scale(source: QTensor, output: float, slope: float) -> np.float32:
    """The output scale of a LEAKY_RELU, `output` or a few percent above, for which XNNPACK computes what others do.

    XNNPACK multiplies by `source.scale / output` and by `slope * source.scale / output` in units of 1/256, rounded, and
    rounds halves up. On an output scale of `256 / k * source.scale`, where k and slope * k are whole, nothing is lost;
    with k odd the one product that is a half is that of the input 128 steps from zero, above it where the zero point
    is negative and below it elsewhere. A hair's breadth more or less takes the others to XNNPACK's side of it.
    """
    most = int(float(source.scale) / output * XNNPACK_ONE)
    if most < 1:
        return np.float32(output)
    least = max(1, int(most * (1.0 - SPARE)))
    best = min(range(most, least - 1, -1), key=lambda k: (round(abs(slope * k - round(slope * k)), 3), k % 2 == 0))
    aside = HAIR if source.zero_point >= 0 else -HAIR
    return np.float32(float(source.scale) * XNNPACK_ONE / best * (1.0 + aside))


XNNPACK_ONE = 256
SPARE = 0.06  # of the range, that the output's steps may be coarser
HAIR = 2.0**-16
