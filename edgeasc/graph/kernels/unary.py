"""Functions of one int8 value: 256-entry tables, built once by the twin of the kernel, applied by one gather.

LOGISTIC and RSQRT copy the fixed-point arithmetic of TensorFlow Lite's reference kernels. SiLU and GELU are islands,
float computations between dequantisation and quantisation, hence rounded half away from zero as its QUANTIZE.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.kernels.arrays import INT8_MAX, INT8_MIN, check_int32, every_int8, half_away, requantizer
from edgeasc.graph.kernels.fixedpoint import divide_by_power, inverse_sqrt, logistic
from edgeasc.graph.model import Form, QTensor
from edgeasc.graph.rounding import quantize_multiplier

Dialect = Literal["tflite", "tflm"]
Table = NDArray[np.int8]

_LOGISTIC_BITS = 4  # integer bits of the rescaled input
_RSQRT_SHIFT = 20


def logistic_table(source: QTensor, form: Form) -> Table:
    """Sigmoid for every int8 input; the output has scale 1/256 and zero point -128."""
    real = float(source.scale) * (1 << (31 - _LOGISTIC_BITS))
    fraction, shift = np.frexp(real)
    multiplier = int(np.floor(fraction * 2.0**31 + 0.5))
    radius = int(np.floor((2**_LOGISTIC_BITS - 1) * 2.0 ** (31 - _LOGISTIC_BITS) / 2.0 ** int(shift)))
    value = every_int8() - source.zero_point
    inside = np.abs(value) < radius
    rescaled = requantizer(form)(np.where(inside, value, 0), multiplier, min(int(shift), 30))  # above, radius is 0
    result = divide_by_power(logistic(rescaled, _LOGISTIC_BITS), 31 - 8) + INT8_MIN
    result = np.where(inside, result, np.where(value > 0, INT8_MAX, INT8_MIN))
    return result.clip(INT8_MIN, INT8_MAX).astype(np.int8)


def rsqrt_table(source: QTensor, output: QTensor, form: Form, dialect: Dialect = "tflite") -> Table:
    """`1 / sqrt(x)` for every int8 input; at and below the zero point the largest output.

    The runtimes differ in one thing: `tflite` (2.14) forms `sqrt(input scale) * output scale` in float32, `tflm` in
    float64. The multipliers then differ by 2^-23 at most, which moves a result only within 2^-15 of a tie; a frozen
    graph takes its output scale from `portable_rsqrt_scale`, where both give one table.

    Raises:
        BadInput: a root, shifted left for the output's scale, may leave int32.
    """
    kind = np.float32 if dialect == "tflite" else np.float64
    real = 1.0 / float(np.sqrt(kind(source.scale)) * kind(output.scale))
    multiplier, shift = (int(part) for part in quantize_multiplier(real))
    check_int32(f"the root {output.name}", 1 << _RSQRT_SHIFT, shift - _RSQRT_SHIFT)
    requantize = requantizer(form)
    table = np.full(256, INT8_MAX, dtype=np.int64)
    for index, value in enumerate(every_int8() - source.zero_point):
        if value > 0:
            root, root_shift = inverse_sqrt(int(value))
            data = requantize(np.int64(1), root, root_shift + _RSQRT_SHIFT)
            table[index] = requantize(data, multiplier, shift - _RSQRT_SHIFT) + output.zero_point
    return table.clip(INT8_MIN, INT8_MAX).astype(np.int8)


def portable_rsqrt_scale(source: QTensor, output: QTensor, form: Form = "int8") -> np.float32:
    """The smallest scale, `output.scale` or just above, for which every runtime computes one table."""
    scale = output.scale
    while True:
        candidate = replace(output, scale=scale)
        tables = [rsqrt_table(source, candidate, form, dialect) for dialect in get_args(Dialect)]
        if all(np.array_equal(table, tables[0]) for table in tables):
            return scale
        scale = np.nextafter(scale, np.float32(np.inf))


def silu_table(source: QTensor, output: QTensor) -> Table:
    """`x * sigmoid(x)` for every int8 input, in float64, rounded half away from zero."""
    return island_table(lambda x: x / (1.0 + np.exp(np.minimum(-x, 700.0))), source, output)  # e^710 is no float64


def gelu_table(source: QTensor, output: QTensor) -> Table:
    """`x * Phi(x)` for every int8 input, in float64, rounded half away from zero."""
    return island_table(gelu, source, output)


def gelu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """`x * Phi(x)`, Phi the distribution function of the normal distribution."""
    return x * 0.5 * (1.0 + _erf(x / math.sqrt(2.0)))


def island_table(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]], source: QTensor, output: QTensor
) -> Table:
    """A real function of every int8 input, rounded half away from zero."""
    steps = function((every_int8() - source.zero_point) * float(source.scale)) / float(output.scale)
    return half_away(steps, output.zero_point).astype(np.int8)


_erf = np.vectorize(math.erf, otypes=[np.float64])
