"""Sums and products as one fixed-point line, where that gives the integers of the exact arithmetic for every input.

A sum of two int8 values, or their product, has 65,536 possible inputs. The reference rescales every operand, rounds,
adds, rescales and rounds again; `(offset + (a * x >> 8) + (b * y >> 8)) >> 21` costs a fraction of that, and for most
scales there are integers a, b and offset for which it is the same. They are searched near the real weights and tried
on all inputs: for given a and b, every input bounds the offset from both sides. Where none fit, C keeps the exact
arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.kernels.arrays import INT8_MAX, INT32_MAX, every_int8
from edgeasc.graph.kernels.elementwise import ProductParameters, SumParameters, add, multiply

Integers = NDArray[np.int64]
LOST = 8  # bits that a weighted value loses at the bottom, for 32 by 16 bit multiplications that keep the top
SUM_POINT, PRODUCT_POINT = 21, 20  # binary places, as in blend.c and gain.c
REACH = 8  # steps that a weight is moved in search


@dataclass(frozen=True)
class Weighting:
    """`(offset + (a * x >> 8) + (b * y >> 8)) >> 21`, limited to [low, 127]."""

    a: int
    b: int
    offset: int
    low: int


@dataclass(frozen=True)
class Gain:
    """`(offset + (w * x >> 8) - (w * first zero point >> 8)) >> 20` with `w = (y - second zero point) * weight`."""

    zero_points: tuple[int, int]
    weight: int
    offset: int


def weighting(parameters: SumParameters, first: float, second: float) -> Weighting | None:
    """The line of a sum whose operands weigh `first` and `second` output steps a unit; None where there is none."""
    values = every_int8()
    wanted = add(values[:, None], values[None, :], parameters)
    ideal = [round(weight * 2.0 ** (SUM_POINT + LOST)) for weight in (first, second)]
    if max(map(abs, ideal)) + REACH > INT32_MAX:
        return None
    for step_a, step_b in _steps():
        a, b = ideal[0] + step_a, ideal[1] + step_b
        base = ((a * values) >> LOST)[:, None] + ((b * values) >> LOST)[None, :]
        offset = _offset(base, wanted, SUM_POINT, parameters.low)
        if offset is not None:
            return Weighting(a, b, offset, parameters.low)
    return None


def gain(parameters: ProductParameters, weight: float) -> Gain | None:
    """The line of a product of which a unit weighs `weight` output steps, the second operand fixed along a row."""
    values = every_int8()
    first_zero, second_zero = parameters.zero_points
    wanted = multiply(values[:, None], values[None, :], parameters)
    ideal = round(weight * 2.0 ** (PRODUCT_POINT + LOST))
    if (abs(ideal) + REACH) * 256 > INT32_MAX:
        return None
    for step in sorted(range(-REACH, REACH + 1), key=abs):
        row = (values - second_zero) * (ideal + step)
        base = ((row[None, :] * values[:, None]) >> LOST) - ((row * first_zero) >> LOST)[None, :]
        offset = _offset(base, wanted, PRODUCT_POINT, parameters.low)
        if offset is not None:
            return Gain(parameters.zero_points, ideal + step, offset)
    return None


def _steps() -> Iterator[tuple[int, int]]:
    reach = range(-REACH, REACH + 1)
    pairs = [(a, b) for a in reach for b in reach]
    yield from sorted(pairs, key=lambda pair: abs(pair[0]) + abs(pair[1]))


def _offset(base: Integers, wanted: Integers, point: int, low: int) -> int | None:
    """The offset in the middle of those for which `(base + offset) >> point` is `wanted` everywhere."""
    least = wanted * 2**point - base
    most = least + 2**point - 1
    lower = int(least[wanted > low].max(initial=-INT32_MAX))
    upper = int(most[wanted < INT8_MAX].min(initial=INT32_MAX))
    if lower > upper:
        return None
    offset = (lower + upper) // 2
    fits = int(base.max()) + offset <= INT32_MAX and int(base.min()) + offset >= -INT32_MAX
    return offset if fits else None
