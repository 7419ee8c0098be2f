"""Requantisation constants in few bytes, without changing one integer.

A layer needs per (band, channel) a bias, a 31-bit multiplier, a shift and a sign. Its accumulators are bounded by its
weights, and its outputs are 256 values: many multipliers give the same outputs for every accumulator that can occur.
`equal_multipliers` finds that interval in closed form, and the one of its members with the most zero bits at the end
shares a word with shift and sign. The sign moves from the accumulator to multiplier and bias, which leaves their
product as it was. An output that no input can change becomes a constant. Where a member is too long, the layer keeps
two words each.

A word, from its lowest bit: `code_bits` of code, then the multiplier behind its leading one, from the bottom of which
`code_bits - 2` bits are lost. The code's highest bit is the sign where `signed`, the rest the shift above
`first_shift`, never 0: the word 0 marks a constant, which the bias then is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.kernels.arrays import requantizer
from edgeasc.graph.kernels.conv import ConvParameters
from edgeasc.graph.model import Conv, Form

Integers = NDArray[np.int64]
LEADING_ONE = 2**30
FURTHEST = 2**31  # beyond every value that is rounded
LARGEST_PRODUCT = 2**62


@dataclass(frozen=True)
class PackedRequant:
    """Arrays over (band, channel), flat. `code_bits` 0: `words` are pairs of multiplier and shift in two's complement.

    `multiplier` and `shift` are what the words say; a multiplier of 0 makes the output `bias` above its zero point.
    """

    bias: Integers
    multiplier: Integers
    shift: Integers
    words: NDArray[np.uint32]
    code_bits: int
    signed: int
    first_shift: int


def pack_requant(node: Conv, input_zero_point: int, parameters: ConvParameters, bias: Integers) -> PackedRequant:
    """The constants of a convolution; `bias` [bands, C] is what the kernel adds to its sums."""
    sign = parameters.sign.ravel()
    low, high = reachable(node, input_zero_point, parameters)
    multiplier, shift = parameters.multiplier.ravel(), parameters.shift.ravel()
    fixed, value = _constant_outputs(parameters, low, high)
    least, most = equal_multipliers(parameters, low, high)
    chosen = np.where(fixed, 0, fewest_bits(least, most))
    code_bits, signed, first = _code(chosen, shift, sign)
    if code_bits and np.any(chosen % (1 << (code_bits - 2))):
        code_bits = 0  # a multiplier is too long
    if not code_bits:
        chosen = np.where(fixed, 0, multiplier)
    chosen, shift = np.where(fixed, 0, chosen * sign), np.where(fixed, 0, shift)
    bias = np.where(fixed, value, bias.ravel() * sign)
    words = _words(chosen, shift, code_bits, first) if code_bits else _pairs(chosen, shift)
    return PackedRequant(bias, chosen, shift, words, code_bits, signed, first)


def reachable(node: Conv, input_zero_point: int, parameters: ConvParameters) -> tuple[Integers, Integers]:
    """Smallest and largest accumulator with bias that any int8 input gives, per (band, channel), flat."""
    weights = node.weight.astype(np.int64)
    ends = weights * (-128 - input_zero_point), weights * (127 - input_zero_point)
    low, high = (choose(*ends).sum(axis=(1, 2, 3)) * parameters.sign for choose in (np.minimum, np.maximum))
    return (np.minimum(low, high) + parameters.bias).ravel(), (np.maximum(low, high) + parameters.bias).ravel()


def equal_multipliers(parameters: ConvParameters, low: Integers, high: Integers) -> tuple[Integers, Integers]:
    """The interval of multipliers that, with the same shift, give the same outputs for all accumulators in [low, high].

    The output is a staircase in the accumulator x, which reaches a step where `multiplier * x >= edge`. Rounding and
    shift decide the edge; so the multiplier must hold that at the first x of every step and not at the x before.
    """
    multiplier, shift = parameters.multiplier.reshape(-1, 1), parameters.shift.reshape(-1, 1)
    first, last = low.reshape(-1, 1), high.reshape(-1, 1)
    steps = np.arange(parameters.low + 1, parameters.high + 1, dtype=np.int64) - parameters.output_zero_point
    edge, unit = _edges(steps, shift, parameters.form)
    start = _ceil_div(edge, np.maximum(multiplier, 1) * unit)  # first accumulator on each step
    least = np.full(len(multiplier), LEADING_ONE, np.int64)
    most = np.full(len(multiplier), 2 * LEADING_ONE - 1, np.int64)
    on, before = np.maximum(start, first) * unit, np.minimum(start - 1, last) * unit
    for x, limit, reached, upwards in ((on, edge, start <= last, 1), (before, edge - 1, start - 1 >= first, -1)):
        # on a step: multiplier * x >= limit; before it: multiplier * x <= limit
        divisor = np.where(x == 0, 1, x)
        from_below, from_above = reached & (x * upwards > 0), reached & (x * upwards < 0)
        least = np.maximum(least, np.where(from_below, _ceil_div(limit, divisor), 0).max(axis=1, initial=0))
        most = np.minimum(most, np.where(from_above, limit // divisor, most[:, None]).min(axis=1, initial=2**31 - 1))
    return least, most


def fewest_bits(least: Integers, most: Integers) -> Integers:
    """The member of each interval that is divisible by the largest power of two."""
    chosen = most.copy()
    for power in range(31):
        member = _ceil_div(least, 1 << power) << power
        chosen = np.where(member <= most, member, chosen)
    return chosen


def _edges(steps: Integers, shift: Integers, form: Form) -> tuple[Integers, Integers]:
    """What `multiplier * x` reaches with each output step, [entries, steps], and the factor that x has before."""
    if form == "island":
        total = 31 - shift
        near = np.clip(steps, -(LARGEST_PRODUCT >> total), LARGEST_PRODUCT >> total)
        return (near << total) - (np.int64(1) << (total - 1)), np.ones_like(shift)
    right = np.maximum(-shift, 0)
    near = np.clip(steps, -(FURTHEST >> right), FURTHEST >> right)
    rounded = np.where(right > 0, (near << right) - ((np.int64(1) << right) >> 1), near)
    rounded += (rounded < 0) & (right > 0)  # halves go away from zero
    return (np.clip(rounded, -FURTHEST, FURTHEST) << 31) - (1 << 30), np.int64(1) << np.maximum(shift, 0)


def _constant_outputs(parameters: ConvParameters, low: Integers, high: Integers) -> tuple[NDArray[np.bool_], Integers]:
    """Where the output is the same for every accumulator, and how far above the zero point it lies."""
    requantize = requantizer(parameters.form)
    multiplier, shift = parameters.multiplier.ravel(), parameters.shift.ravel()
    ends: list[Any] = [
        (requantize(x, multiplier, shift) + parameters.output_zero_point).clip(parameters.low, parameters.high)
        for x in (low, high)
    ]
    return ends[0] == ends[1], ends[0] - parameters.output_zero_point


def _code(chosen: Integers, shift: Integers, sign: Integers) -> tuple[int, int, int]:
    """Bits of code, whether one of them is a sign, and the shift below the smallest."""
    used = chosen != 0
    first = int(shift[used].min()) - 1 if used.any() else -1
    span = int((shift[used] - first).max(initial=1))
    signed = int(np.any(sign[used] < 0))
    return max(2, span.bit_length() + signed), signed, first


def _words(multiplier: Integers, shift: Integers, code_bits: int, first: int) -> NDArray[np.uint32]:
    code = (shift - first) + ((multiplier < 0).astype(np.int64) << (code_bits - 1))
    words = ((np.abs(multiplier) - LEADING_ONE) << 2) + code
    return np.where(multiplier == 0, 0, words).astype(np.uint32)


def _pairs(multiplier: Integers, shift: Integers) -> NDArray[np.uint32]:
    return np.stack([multiplier, shift], axis=1).astype(np.int32).view(np.uint32).ravel()


def _ceil_div(a: Any, b: Any) -> Any:
    return -((-a) // b)
