"""ADD, SUB and MUL of two int8 tensors, with broadcasting, as TensorFlow Lite's reference kernels compute them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeasc.graph.kernels.arrays import output_range, requantizer
from edgeasc.graph.model import Activation, Form, QTensor
from edgeasc.graph.rounding import quantize_multiplier

LEFT_SHIFT = 20  # headroom given to both addends: 255 * 2^20 * 2 fits int32


@dataclass(frozen=True)
class SumParameters:
    """Both addends are brought to the grid `2 * larger scale * 2^-20`, added, and requantised to the output."""

    form: Form
    zero_points: tuple[int, int]
    multipliers: tuple[int, int]
    shifts: tuple[int, int]
    signs: tuple[int, int]
    output_multiplier: int
    output_shift: int
    output_zero_point: int
    low: int
    high: int


@dataclass(frozen=True)
class ProductParameters:
    """The product of the two offset integers, requantised by `scale * scale / output scale`."""

    form: Form
    zero_points: tuple[int, int]
    multiplier: int
    shift: int
    output_zero_point: int
    low: int
    high: int


def _multiplier(real: float) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(real)
    return int(multiplier), int(shift)


def sum_parameters(
    first: QTensor,
    second: QTensor,
    output: QTensor,
    form: Form,
    activation: Activation = "none",
    subtract: bool = False,
) -> SumParameters:
    """Parameters of `first + second`, or of `first - second`."""
    scales = float(first.scale), float(second.scale)
    twice_larger = 2.0 * max(scales)
    (m1, s1), (m2, s2) = (_multiplier(scale / twice_larger) for scale in scales)
    output_multiplier, output_shift = _multiplier(twice_larger / ((1 << LEFT_SHIFT) * float(output.scale)))
    low, high = output_range(output, activation)
    return SumParameters(
        form=form,
        zero_points=(first.zero_point, second.zero_point),
        multipliers=(m1, m2),
        shifts=(s1, s2),
        signs=(1, -1 if subtract else 1),
        output_multiplier=output_multiplier,
        output_shift=output_shift,
        output_zero_point=output.zero_point,
        low=low,
        high=high,
    )


def add(first: Any, second: Any, parameters: SumParameters) -> Any:
    """Sum or difference of two int64 arrays of int8 values, broadcast."""
    p, requantize = parameters, requantizer(parameters.form)
    total = sum(
        requantize((value - zero_point) << LEFT_SHIFT, multiplier, shift) * sign
        for value, zero_point, multiplier, shift, sign in zip(
            (first, second), p.zero_points, p.multipliers, p.shifts, p.signs, strict=True
        )
    )
    return (requantize(total, p.output_multiplier, p.output_shift) + p.output_zero_point).clip(p.low, p.high)


def product_parameters(first: QTensor, second: QTensor, output: QTensor, form: Form) -> ProductParameters:
    """Parameters of `first * second`."""
    multiplier, shift = _multiplier(float(first.scale) * float(second.scale) / float(output.scale))
    low, high = output_range(output, "none")
    zero_points = first.zero_point, second.zero_point
    return ProductParameters(form, zero_points, multiplier, shift, output.zero_point, low, high)


def multiply(first: Any, second: Any, parameters: ProductParameters) -> Any:
    """Product of two int64 arrays of int8 values, broadcast."""
    p = parameters
    product = (first - p.zero_points[0]) * (second - p.zero_points[1])
    return (requantizer(p.form)(product, p.multiplier, p.shift) + p.output_zero_point).clip(p.low, p.high)
