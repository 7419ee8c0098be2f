"""Requantisation against its definitions in exact arithmetic, and against gemmlowp written out case by case."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeasc.graph.rounding import quantize_multiplier, requantize_double, requantize_single

multipliers = st.integers(2**30, 2**31 - 1)
shifts = st.integers(-31, 8)
values = st.integers(-(2**22), 2**22)


def gemmlowp(value: int, multiplier: int, shift: int) -> int:
    """SaturatingRoundingDoublingHighMul and RoundingDivideByPOT as their C++ says them."""
    product = (value << max(shift, 0)) * multiplier
    nudged = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)  # C++ division truncates
    exponent = max(-shift, 0)
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if high < 0 else 0)
    return (high >> exponent) + (1 if (high & mask) > threshold else 0)


@given(values, multipliers, shifts)
def test_double_rounding_is_gemmlowps(value: int, multiplier: int, shift: int) -> None:
    assert int(requantize_double(np.int64(value), multiplier, shift)) == gemmlowp(value, multiplier, shift)


@given(values, multipliers, shifts)
def test_single_rounding_is_exact_half_up(value: int, multiplier: int, shift: int) -> None:
    exact = Fraction(value) * multiplier * Fraction(2) ** (shift - 31)
    assert int(requantize_single(np.int64(value), multiplier, shift)) == (exact + Fraction(1, 2)).__floor__()


@given(st.floats(2.0**-30, 2.0**8))
def test_multiplier_and_shift_give_the_scale_back(scale: float) -> None:
    multiplier, shift = quantize_multiplier(scale)
    assert 2**30 <= multiplier < 2**31
    assert abs(float(multiplier) * 2.0 ** (int(shift) - 31) / scale - 1) <= 2.0**-31


@pytest.mark.parametrize("scale", [0.0, 2.0**-33])
def test_a_vanishing_scale_gives_zero(scale: float) -> None:
    assert [int(part) for part in quantize_multiplier(scale)] == [0, 0]
