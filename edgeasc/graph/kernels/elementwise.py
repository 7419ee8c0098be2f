"""ADD, SUB and MUL of two int8 tensors, with broadcasting, as TensorFlow Lite's reference kernels compute them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.kernels.arrays import check_int32, every_int8, lookup, output_range, requantizer
from edgeasc.graph.model import Activation, Form, QTensor
from edgeasc.graph.rounding import quantize_multiplier

LEFT_SHIFT = 20  # headroom given to both addends: 255 * 2^20 * 2 fits int32


@dataclass(frozen=True)
class SumParameters:
    """Both addends are brought to the grid `2 * larger scale * 2^-20`, added, and requantised to the output.

    The rescaled addend of every int8 value is in `tables`, 256 int64 numbers each, negated for a subtrahend.
    """

    form: Form
    tables: tuple[NDArray[np.int64], NDArray[np.int64]]
    multiplier: int
    shift: int
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
    """Parameters of `first + second`, or of `first - second`.

    Raises:
        BadInput: a sum, shifted left for the output's scale, may leave int32.
    """
    twice_larger = 2.0 * max(float(first.scale), float(second.scale))

    def rescaled(tensor: QTensor) -> NDArray[np.int64]:
        multiplier, shift = _multiplier(float(tensor.scale) / twice_larger)
        values = (every_int8() - tensor.zero_point) << LEFT_SHIFT
        return np.asarray(requantizer(form)(values, multiplier, shift))

    multiplier, shift = _multiplier(twice_larger / ((1 << LEFT_SHIFT) * float(output.scale)))
    low, high = output_range(output, activation)
    tables = rescaled(first), -rescaled(second) if subtract else rescaled(second)
    check_int32(f"the sum {output.name}", sum(int(np.abs(table).max()) for table in tables), shift)
    return SumParameters(form, tables, multiplier, shift, output.zero_point, low, high)


def add(first: Any, second: Any, parameters: SumParameters) -> Any:
    """Sum or difference of two int64 arrays of int8 values, broadcast."""
    p = parameters
    total = lookup(p.tables[0], first) + lookup(p.tables[1], second)
    return (requantizer(p.form)(total, p.multiplier, p.shift) + p.output_zero_point).clip(p.low, p.high)


def product_parameters(first: QTensor, second: QTensor, output: QTensor, form: Form) -> ProductParameters:
    """Parameters of `first * second`.

    Raises:
        BadInput: a product, shifted left for the output's scale, may leave int32.
    """
    multiplier, shift = _multiplier(float(first.scale) * float(second.scale) / float(output.scale))
    low, high = output_range(output, "none")
    zero_points = first.zero_point, second.zero_point
    check_int32(f"the product {output.name}", _largest_offset(first) * _largest_offset(second), shift)
    return ProductParameters(form, zero_points, multiplier, shift, output.zero_point, low, high)


def _largest_offset(tensor: QTensor) -> int:
    return max(127 - tensor.zero_point, 128 + tensor.zero_point)


def multiply(first: Any, second: Any, parameters: ProductParameters) -> Any:
    """Product of two int64 arrays of int8 values, broadcast."""
    p = parameters
    product = (first - p.zero_points[0]) * (second - p.zero_points[1])
    return (requantizer(p.form)(product, p.multiplier, p.shift) + p.output_zero_point).clip(p.low, p.high)


def portable_sum_scale(first: np.float32, second: np.float32, output: np.float32) -> np.float32:
    """The output scale of an ADD, `output` or less than a percent above, for which XNNPACK computes what others do.

    XNNPACK multiplies both inputs by their scale over the output's in units of 2^-20 of the power of two below the
    larger; of many scales the one is taken on which the two lose least.
    """
    candidates = (float(output) * (1.0 + np.arange(CANDIDATES) * 2.0**-19)).astype(np.float32)
    ratios = np.stack([np.float32(scale) / candidates for scale in (first, second)]).astype(np.float64)
    units = ratios * np.exp2(20 - np.floor(np.log2(ratios.max(axis=0))))
    lost = np.abs(units - np.rint(units)).max(axis=0)
    return np.float32(candidates[np.argmin(lost)])


CANDIDATES = 4096
