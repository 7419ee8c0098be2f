"""The fixed-point functions of gemmlowp that TensorFlow Lite's LOGISTIC and RSQRT kernels are made of.

Raw int32 values in int64 numpy arrays; `Qm` has m integer bits, a sign and 31 - m fractional bits. The constants are
gemmlowp's own (fixedpoint.h) and are recomputed in the tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeasc.graph.kernels.arrays import INT32_MAX

Raw = Any  # int64 array, or one Python integer

EXP_MINUS_EIGHTH = 1895147668  # exp(-1/8), Q0
ONE_THIRD = 715827883  # Q0
EXP_MINUS_POWER = (  # (k, exp(-2^k) in Q0)
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
)
FORTY_EIGHT_SEVENTEENTHS = 1515870810  # Q2
MINUS_THIRTY_TWO_SEVENTEENTHS = -1010580540  # Q2
HALF_SQRT_2 = 1518500250  # Q0


def doubling_high_mul(a: Raw, b: Raw | int) -> Raw:
    """`a * b * 2^-31`, ties up (SaturatingRoundingDoublingHighMul; the one saturating case never occurs here)."""
    return (a * b + (1 << 30)) >> 31


def divide_by_power(a: Raw, exponent: int) -> Raw:
    """`a * 2^-exponent`, ties away from zero (RoundingDivideByPOT)."""
    half = (1 << exponent) >> 1
    return (a + (a >> 63) * (exponent > 0) + half) >> exponent


def multiply_by_power(a: Raw, exponent: int) -> Raw:
    """`a * 2^exponent`, saturated to int32 (SaturatingRoundingMultiplyByPOT)."""
    return np.clip(a << exponent, -INT32_MAX - 1, INT32_MAX)


def _exp_quarter(a: Raw) -> Raw:
    """exp(a) for a in [-1/4, 0), Q0: the Taylor polynomial of degree four around -1/8."""
    x = a + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4 = doubling_high_mul(x2, x2)
    inner = doubling_high_mul(divide_by_power(x4, 2) + x3, ONE_THIRD) + x2
    return EXP_MINUS_EIGHTH + doubling_high_mul(x + divide_by_power(inner, 1), EXP_MINUS_EIGHTH)


def _exp_negative(a: Raw, integer_bits: int) -> Raw:
    """exp(a) for a <= 0, input Q`integer_bits`, output Q0."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    below = (a & (quarter - 1)) - quarter
    result = _exp_quarter(multiply_by_power(below, integer_bits))
    remainder = below - a
    for exponent, factor in EXP_MINUS_POWER:
        if exponent < integer_bits:
            wanted = (remainder >> (fraction_bits + exponent)) & 1
            result = np.where(wanted == 1, doubling_high_mul(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _inverse_one_plus(a: Raw) -> Raw:
    """1 / (1 + a) for a in [0, 1], Q0 in and out: three Newton-Raphson steps on a division in Q2."""
    half_denominator = (a + INT32_MAX + 1) >> 1  # rounding half sum of non-negative values
    x = FORTY_EIGHT_SEVENTEENTHS + doubling_high_mul(half_denominator, MINUS_THIRTY_TWO_SEVENTEENTHS)
    for _ in range(3):
        missing = (1 << 29) - doubling_high_mul(half_denominator, x)
        x = x + multiply_by_power(doubling_high_mul(x, missing), 2)
    return multiply_by_power(x, 1)


def logistic(a: Raw, integer_bits: int) -> Raw:
    """Sigmoid of `a` in Q`integer_bits`, in Q0."""
    positive = _inverse_one_plus(_exp_negative(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def inverse_sqrt(value: int) -> tuple[int, int]:
    """Q31 multiplier and shift with `1 / sqrt(value) ~ multiplier * 2^(shift - 31)` for an integer `value >= 1`.

    TensorFlow Lite's `GetInvSqrtQuantizedMultiplierExp`: five Newton-Raphson steps in Q3. The shift is never positive.
    """
    if value <= 1:
        return INT32_MAX, 0
    shift = 11
    while value >= 1 << 29:
        value //= 4
        shift += 1
    pairs = (32 - value.bit_length() - 1) // 2 - 1
    shift -= pairs
    half_input = divide_by_power((value << 2 * pairs) >> 1, 1)
    x = 1 << 28
    for _ in range(5):
        cube = multiply_by_power(doubling_high_mul(doubling_high_mul(x, x), x), 6)
        x = multiply_by_power(doubling_high_mul((1 << 28) + (1 << 27), x) - doubling_high_mul(half_input, cube), 3)
    multiplier = int(doubling_high_mul(x, HALF_SQRT_2))
    return (multiplier << -shift, 0) if shift < 0 else (multiplier, -shift)
