"""MEAN of an int8 tensor over channels, frequency or time, as TensorFlow Lite's reference kernel computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeasc.graph.kernels.arrays import INT8_MAX, INT8_MIN, check_int32, requantizer
from edgeasc.graph.model import Axis, Form, QTensor
from edgeasc.graph.rounding import quantize_multiplier

AXES: dict[Axis, int] = {"C": 1, "F": 2, "T": 3}


@dataclass(frozen=True)
class MeanParameters:
    """`1 / count` is part of the multiplier; the quotient is truncated, as in the kernel."""

    form: Form
    dims: tuple[int, ...]
    keep: bool
    count: int
    input_zero_point: int
    multiplier: int
    shift: int
    output_zero_point: int


def mean_parameters(source: QTensor, output: QTensor, axes: tuple[Axis, ...], keep: bool, form: Form) -> MeanParameters:
    """Parameters of the mean of `source` over `axes`.

    Raises:
        BadInput: a sum, shifted left for the output's scale, may leave int32.
    """
    dims = tuple(sorted(AXES[axis] for axis in axes))
    count = 1
    for dim in dims:
        count *= source.shape[dim]
    multiplier, shift = (int(part) for part in quantize_multiplier(float(source.scale) / float(output.scale)))
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    largest = count * max(127 - source.zero_point, 128 + source.zero_point)
    check_int32(f"the mean {output.name}", largest, shift - extra)
    return MeanParameters(
        form, dims, keep, count, source.zero_point, (multiplier << extra) // count, shift - extra, output.zero_point
    )


def mean(values: Any, parameters: MeanParameters) -> Any:
    """Mean of an int64 array `[B, C, F, T]` of int8 values over the parameters' dimensions."""
    p = parameters
    total = values.sum(axis=p.dims, keepdims=p.keep) - p.input_zero_point * p.count
    return (requantizer(p.form)(total, p.multiplier, p.shift) + p.output_zero_point).clip(INT8_MIN, INT8_MAX)
