"""The constants of the integer front end of a spec: what `integer` computes with and what the C export prints.

Fixed point throughout. A windowed sample is `x * window` with `fraction` bits behind an int16 step; most stages of
the transform halve, so that a spectral value has `fraction - halvings` bits left, its `unit` in int16 steps.
Bounds are worked out here, from the window's own sums, so that no sum of the transform leaves int32 and no sum of
powers leaves uint64, whatever the samples are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.features.filterbank import hann_window, hz_to_mel, mel_to_hz
from edgeasc.features.integer_fft import halvings
from edgeasc.specs import LogMel

LEVEL_BITS = 10  # a level is ln(S + log_floor) * 2^10, rounded, int16: +-32 log units, steps of a thousandth
LOG_BITS = 24  # of the logarithm before it is rounded to a level
LOG_CELLS = 64  # linear pieces between two powers of two: at most 3.1e-5 log units off
LARGEST_LOG = 31  # of a level, which ends at 32
NARROWEST = 1e-4  # bins between two corners
FULL_SCALE = 32768  # int16 steps that a float waveform calls 1
WINDOW_ONE = 65536
NOISE_SHARE = 0.02  # of `log_floor` that rounding may add to a band


@dataclass(frozen=True)
class FrontEndTables:
    """Constants of one spec.

    Attributes:
        log2_fft: `n_fft` is two to this. shift: right shift after the product with the window.
        halvings: stages that halve. unit: of a spectral value, in int16 steps.
        window: uint16 [win_length // 2 + 1], the rising half of the Hann window times 2^16.
        cosine: int32 [n_fft // 4 + 1], cos(2 pi i / n_fft) times 2^31 - 1.
        first_bin, bins: the bins of segment j, between the corners j and j + 1 of the filters, uint16 [n_mels + 1].
        slope, lean: uint32 [n_mels + 1] times 2^-32: the falling side of a filter is slope * C - lean * A.
        floor: uint32 [n_mels], `log_floor` in units of the sums, shifted left by `floor_shift`.
        offset: int32 [n_mels], logarithm of a filter's area and of the unit, times 2^24.
        logarithm: int32 [65], ln(1 + i / 64) times 2^24.
    """

    log2_fft: int
    shift: int
    halvings: int
    unit: float
    window: NDArray[np.uint16]
    cosine: NDArray[np.int32]
    first_bin: int
    bins: NDArray[np.uint16]
    slope: NDArray[np.uint32]
    lean: NDArray[np.uint32]
    floor: NDArray[np.uint32]
    floor_shift: int
    offset: NDArray[np.int32]
    logarithm: NDArray[np.int32]

    @property
    def bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))


@lru_cache(maxsize=8)
def front_end_tables(spec: LogMel) -> FrontEndTables:
    """The constants of `spec`.

    Raises:
        BadInput: no power of two as `n_fft`, or a `log_floor` outside what 16-bit samples and their sums can tell.
    """
    log2_fft = spec.n_fft.bit_length() - 1
    if spec.n_fft != 1 << log2_fft:
        raise BadInput("integer front end", f"n_fft {spec.n_fft} is no power of two")
    if not abs(math.log(spec.log_floor)) < LARGEST_LOG:
        raise BadInput("integer front end", f"log_floor {spec.log_floor:g} is outside +-{LARGEST_LOG} log units")
    halved = halvings(log2_fft)
    window = np.minimum(np.rint(hann_window(spec) * WINDOW_ONE), WINDOW_ONE - 1)
    corners = _corners(spec)
    if np.diff(corners).min() < NARROWEST:
        raise BadInput("integer front end", f"filters of less than {NARROWEST:g} bins of {spec.n_fft} samples")
    first_bin, bins = _segments(corners, spec.n_fft // 2)
    fraction = _fraction(window / WINDOW_ONE, log2_fft, int(bins.max()))
    if fraction < halved - LEVEL_BITS:
        raise BadInput("integer front end", f"win_length {spec.win_length} leaves no bits for a spectrum")
    unit = 2.0 ** (halved - fraction)
    slope, lean = _ramps(corners, first_bin, bins)
    area = 2.0 / (corners[2:] - corners[:-2]) * (spec.n_fft / spec.sample_rate)  # per Hz
    scale = area * (unit / FULL_SCALE) ** 2  # of a sum of powers, to the mel power of a float waveform
    floor, floor_shift = _floor(spec, scale, 2.0 * (halved + 3))
    angle = 2.0 * np.pi * np.arange(spec.n_fft // 4 + 1) / spec.n_fft
    return FrontEndTables(
        log2_fft=log2_fft,
        shift=16 - fraction,
        halvings=halved,
        unit=unit,
        window=window[: spec.win_length // 2 + 1].astype(np.uint16),
        cosine=np.rint(np.cos(angle) * (2**31 - 1)).astype(np.int32),
        first_bin=first_bin,
        bins=bins,
        slope=slope,
        lean=lean,
        floor=floor,
        floor_shift=floor_shift,
        offset=np.rint(np.log(scale) * (1 << LOG_BITS)).astype(np.int32),
        logarithm=np.rint(np.log1p(np.arange(LOG_CELLS + 1) / LOG_CELLS) * (1 << LOG_BITS)).astype(np.int32),
    )


def thresholds(scale: float, zero_point: int) -> NDArray[np.int16]:
    """The least level of every int8 above -128, [255]: `features.quantize` of a level, without its division."""
    from edgeasc.features.quantize import Q_MAX, Q_MIN, quantize

    levels = np.arange(-(2**15), 2**15 - 1)  # the largest level is kept free: an int8 that none reaches has it
    integers = quantize(levels.astype(np.float32) / np.float32(1 << LEVEL_BITS), scale, zero_point)
    least = np.searchsorted(integers, np.arange(Q_MIN + 1, Q_MAX + 1), side="left") - 2**15
    return least.astype(np.int16)


def _corners(spec: LogMel) -> NDArray[np.float64]:
    """Corners of the triangular filters in bins, [n_mels + 2]."""
    edges = np.linspace(hz_to_mel(spec.f_min, spec.mel_scale), hz_to_mel(spec.f_max, spec.mel_scale), spec.n_mels + 2)
    return np.asarray(mel_to_hz(edges, spec.mel_scale)) * (spec.n_fft / spec.sample_rate)


def _segments(corners: NDArray[np.float64], half: int) -> tuple[int, NDArray[np.uint16]]:
    """The first bin of segment 0, and how many bins every segment has; the last bin, of weight 0, is left out."""
    starts = np.clip(np.ceil(corners - 1e-9), 0, half).astype(np.int64)
    return int(starts[0]), np.diff(starts).astype(np.uint16)


def _ramps(
    corners: NDArray[np.float64], first_bin: int, bins: NDArray[np.uint16]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """What turns A = sum(P) and C = sum((L - i) P_i) of a segment of L bins into its falling side.

    The weight there is 1 - r_i with r_i = r_0 + i s, so its sum is s C - (r_0 + s L - 1) A. One bin alone has C = A.
    """
    length = bins.astype(np.int64)
    starts = first_bin + np.concatenate([[0], np.cumsum(length)[:-1]])
    widths = np.diff(corners)
    slope = 1.0 / widths
    rise = (starts - corners[:-1]) / widths
    lean = np.clip(rise + slope * length - 1.0, 0.0, None)
    alone = length <= 1
    slope, lean = np.where(alone, 1.0 - rise, slope), np.where(alone, 0.0, lean)
    return _q32(slope), _q32(lean)


def _q32(values: NDArray[np.float64]) -> NDArray[np.uint32]:
    return np.clip(np.rint(values * 2.0**32), 0, 2**32 - 1).astype(np.uint32)


def _fraction(window: NDArray[np.float64], log2_fft: int, longest: int) -> int:
    """The most bits behind an int16 step that overflow neither a sum of the transform nor one of powers.

    A value of the transform is at most the sum of all windowed samples, halved as often as any; those of the stage
    before the last add every fourth pair, and have yet to be halved once; a sum of the split, over odd or even samples,
    is twice theirs. Powers add up to n_fft / 2 * sum(x^2) (Parseval), times the length of a segment in C.
    """
    halved = halvings(log2_fft)
    pairs = np.add.reduceat(window, np.arange(0, window.size, 2))
    fourth = max(pairs[k::4].sum() for k in range(4))
    most = FULL_SCALE * max(window.sum(), 2 * window[0::2].sum(), 2 * window[1::2].sum(), 2 * fourth)
    rounding = 64 * math.sqrt(2.0**log2_fft)
    for_values = 31 - math.ceil(math.log2(1.001 * (most + rounding))) + halved
    power = 2.0 ** (log2_fft - 1) * FULL_SCALE**2 * np.square(window).sum() * max(1, longest) * 1.01
    for_powers = (63 - math.ceil(math.log2(power))) // 2 + halved
    by_twos = 13 if log2_fft % 2 == 0 else 16  # whose difference is doubled before it is turned
    return min(by_twos, for_values, for_powers)


def _floor(spec: LogMel, scale: NDArray[np.float64], noise: float) -> tuple[NDArray[np.uint32], int]:
    """`log_floor` in units of the sums of powers.

    Raises:
        BadInput: rounding, `noise` in every bin, would show above it; or it is larger than any sound.
    """
    floor = spec.log_floor / scale
    if floor.min() * NOISE_SHARE < noise:
        least = spec.log_floor * noise / (NOISE_SHARE * float(floor.min()))
        raise BadInput("integer front end", f"log_floor {spec.log_floor:g} is below its rounding; at least {least:.1g}")
    if floor.max() >= 2.0**62:
        raise BadInput("integer front end", f"log_floor {spec.log_floor:g} is above any sound of 16 bits")
    shift = max(0, math.ceil(math.log2(float(floor.max()))) - 31)
    return np.rint(floor / 2.0**shift).astype(np.uint32), shift
