"""Residual normalisation as an island in integers: `lam * x + (x - mean) / sqrt(var + eps)` for every frequency.

Statistics run over channels and time (n values); z, s are the input's zero point and scale, z_out, s_out the output's.
In integers q, with S1 = sum q, S2 = sum q^2 and V = n*S2 - S1^2 (that is n^2 times the variance of q, exactly), the
output in output steps is

    (n*q - S1) / sqrt(V + eps*n^2/s^2) / s_out + lam*s/s_out * (q - z) + z_out.

The zero point cancels in the statistics, and a dead bin (all q equal) has n*q - S1 = 0 exactly.

**The algorithm**, to be written in any language with 64-bit integers and arithmetic right shifts. Constants, computed
once: `count` n; `scaling` k, even; `epsilon` E = max(1, round(eps*n^2/s^2 * 2^k)); `multiplier` M in [2^30, 2^31) and
`shift` h with 1/s_out ~ M * 2^(h-31); `residual` L = round(lam*s/s_out * 2^20).

For every frequency:
1. S1, S2 (32 bits suffice, n <= 131,071), then in 64 bits V = n*S2 - S1*S1,
   W = (V << k) + E, or (V >> -k) + E where k is negative; 1 <= W < 2^62.
2. Normalise W to m in [2^28, 2^30) by an even shift: W ~ m * 2^(2e) (right shifts floor; e may be negative).
3. y ~ 2^30 / sqrt(m / 2^30) in [2^30, 2^31]: start from y = START - ((SLOPE * m) >> 30), then three times
   g = (((y*y) >> 30) * m) >> 30;  y = (y * (3*2^30 - g)) >> 31.
4. P = (y * M) >> 31, and the right shift r = 25 - h + e - k/2, limited to [-6, 62].

For every value, in 64 bits:
5. u = (n*q - S1) * P; u = u << -r where r < 0, u = (u + 2^(r-1)) >> r where r > 0 (Q20 output steps);
6. u = u + (q - z) * L; output = clamp(z_out + ((u + 2^19 + (u >> 63)) >> 20)), ties away from zero.

Bounds: |n*q - S1| <= 255*n < 2^25 and P <= 2^31, so |u| < 2^56 in step 5 and < 2^62 after the largest left shift,
where |u| >= 2^35 whenever q is not the mean: twice the 255*L < 2^34 that may oppose it, so saturation is right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.graph.kernels.arrays import INT8_MAX, INT8_MIN
from edgeasc.graph.model import QTensor, ResNorm
from edgeasc.graph.rounding import quantize_multiplier

MAX_COUNT = 131_071  # sums of squares of int8 values stay in int32
FRACTION = 20
# Minimax line for 1/sqrt(x) on [1/4, 1], in Q30: relative error below 0.086, three Newton steps bring it to 2^-24.
START = 2_290_047_080
SLOPE = 1_308_598_331


@dataclass(frozen=True)
class ResNormParameters:
    """The constants of the algorithm above, all Python integers."""

    count: int
    input_zero_point: int
    scaling: int
    epsilon: int
    multiplier: int
    shift: int
    residual: int
    output_zero_point: int


def resnorm_parameters(node: ResNorm, source: QTensor, output: QTensor) -> ResNormParameters:
    """Constants for statistics over channels and time of `source`, `(1, C, F, T)`.

    Raises:
        BadInput: too many values per frequency, or `lam * input scale` is 64 output steps or more.
    """
    count = source.shape[1] * source.shape[3]
    if count > MAX_COUNT:
        raise BadInput("graph", f"{node.name}: {count} values per frequency, at most {MAX_COUNT} fit the integer sums")
    ratio = node.lam * float(source.scale) / float(output.scale)
    if not abs(ratio) < 64:
        raise BadInput("graph", f"{node.name}: one input step is {ratio:.3g} output steps, fewer than 64 are supported")
    epsilon = node.eps * count**2 / float(source.scale) ** 2
    largest = count**2 * 16257 + epsilon  # the variance of int8 values is at most 127.5^2
    scaling = 2 * ((60 - int(np.ceil(np.log2(largest)))) // 2)
    multiplier, shift = (int(part) for part in quantize_multiplier(1.0 / float(output.scale)))
    return ResNormParameters(
        count=count,
        input_zero_point=source.zero_point,
        scaling=scaling,
        epsilon=max(1, round(epsilon * 2.0**scaling)),
        multiplier=multiplier,
        shift=shift,
        residual=round(ratio * 2**FRACTION),
        output_zero_point=output.zero_point,
    )


def _normalise(wide: Any) -> tuple[Any, Any]:
    """`m` in [2^28, 2^30) and `e` with `wide ~ m * 4^e`, for 1 <= wide < 2^62."""
    exponent = wide * 0
    for bits in (32, 16, 8, 4, 2):
        large = (wide >= (1 << (28 + bits))) * 1
        wide = wide >> (large * bits)
        exponent = exponent + large * (bits // 2)
    for bits in (16, 8, 4, 2):
        small = (wide < (1 << (30 - bits))) * 1
        wide = wide << (small * bits)
        exponent = exponent - small * (bits // 2)
    return wide, exponent


def _inverse_sqrt(mantissa: Any) -> Any:
    """`2^30 / sqrt(mantissa / 2^30)` for a mantissa in [2^28, 2^30)."""
    y = START - ((SLOPE * mantissa) >> 30)
    for _ in range(3):
        y = (y * ((3 << 30) - ((((y * y) >> 30) * mantissa) >> 30))) >> 31
    return y


def resnorm(values: Any, parameters: ResNormParameters) -> Any:
    """Normalised int8 values (int64 array) of an int64 array `[B, C, F, T]` of int8 values."""
    p = parameters
    total = values.sum(axis=(1, 3), keepdims=True)
    squares = (values * values).sum(axis=(1, 3), keepdims=True)
    spread = p.count * squares - total * total
    wide = (spread << p.scaling if p.scaling >= 0 else spread >> -p.scaling) + p.epsilon
    mantissa, exponent = _normalise(wide)
    gain = (_inverse_sqrt(mantissa) * p.multiplier) >> 31
    right = (exponent + (25 - p.shift - p.scaling // 2)).clip(-6, 62)
    down, up = right * (right > 0), -right * (right < 0)
    half = ((right * 0 + 1) << down) >> 1
    steps = ((((p.count * values - total) * gain) << up) + half) >> down
    steps = steps + (values - p.input_zero_point) * p.residual
    rounded = (steps + (1 << (FRACTION - 1)) + (steps >> 63)) >> FRACTION
    return (rounded + p.output_zero_point).clip(INT8_MIN, INT8_MAX)
