"""The integer front end: int16 samples in, int16 levels out, the same integers as the C on the chip.

A level is `ln(S + log_floor) * 2^10`, S being the mel power that `features.logmel` takes of the same samples as floats.
The steps are those of `export/c/kernels/spectrum.c` and `mel.c`: window, transform (`integer_fft`), sums of powers
between the corners of the filters, logarithm by table. Needs numpy alone.

How near the two front ends are: within 0.08 log units whatever the sound, and within 0.003 for all but pure tones and
near-silence; see the tests and `benchmarks/integer_frontend.py`. One int8 step of a network's input is about 0.09.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.features.integer_fft import real_spectrum
from edgeasc.features.integer_tables import FULL_SCALE, LEVEL_BITS, LOG_BITS, front_end_tables
from edgeasc.specs import LogMel

_BLOCK = 32  # frames transformed together
_LN2 = round(float(np.log(2.0)) * (1 << LOG_BITS))
_LOW32 = np.uint64(0xFFFFFFFF)
_LEVEL_MAX = 2**15 - 2  # the largest int16 is no level, see `integer_tables.thresholds`


class IntegerFrontEnd:
    """The front end of one spec. Safe in threads: it keeps nothing between calls.

    Raises:
        BadInput: the spec asks for what the integers cannot do.
    """

    def __init__(self, spec: LogMel) -> None:
        self.spec = spec
        self.tables = front_end_tables(spec)
        half = self.tables.window.astype(np.int64)
        places = np.arange(spec.win_length)
        self._window = half[np.minimum(places, spec.win_length - places)]
        self._starts = self.tables.first_bin + np.concatenate([[0], np.cumsum(self.tables.bins, dtype=np.int64)])

    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-mel spectrogram of `waveform` [n_samples] rounded to 16 bits, float32 [n_mels, n_frames], in log units.

        Raises:
            BadInput: not one-dimensional, no sample, or not finite.
        """
        return self.levels(pcm16(waveform)).astype(np.float32) / np.float32(1 << LEVEL_BITS)

    def levels(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Levels of all frames of `samples` [n_samples], centred and padded with zeros, int16 [n_mels, n_frames]."""
        spec = self.spec
        before = spec.n_fft // 2 - (spec.n_fft - spec.win_length) // 2
        n_frames = spec.n_frames(samples.size)
        padded = np.zeros((n_frames - 1) * spec.hop_length + spec.win_length, np.int16)
        kept = min(samples.size, padded.size - before)
        padded[before : before + kept] = samples[:kept]
        frames = sliding_window_view(padded, spec.win_length)[:: spec.hop_length]
        levels = np.empty((spec.n_mels, n_frames), np.int16)
        for start in range(0, n_frames, _BLOCK):
            levels[:, start : start + _BLOCK] = self.frame_levels(frames[start : start + _BLOCK]).T
        return levels

    def frame_levels(self, frames: NDArray[np.int16]) -> NDArray[np.int16]:
        """Levels of windows of samples [n, win_length], int16 [n, n_mels]."""
        tables = self.tables
        windowed = np.zeros((len(frames), self.spec.n_fft), np.int64)
        rounding = (1 << tables.shift) >> 1
        windowed[:, : self.spec.win_length] = (frames.astype(np.int64) * self._window + rounding) >> tables.shift
        real, imag = real_spectrum(windowed, tables.cosine)
        sums = self._filtered((real * real + imag * imag).astype(np.uint64))
        floor = tables.floor.astype(np.uint64) << np.uint64(tables.floor_shift)
        logs = natural_log(sums + floor, tables.logarithm) + tables.offset
        rounded = (logs + (1 << (LOG_BITS - LEVEL_BITS - 1))) >> (LOG_BITS - LEVEL_BITS)
        return np.clip(rounded, -(2**15), _LEVEL_MAX).astype(np.int16)

    def _filtered(self, power: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Triangular sums of powers [n, bins], uint64 [n, n_mels], filters as high as 1."""
        tables = self.tables
        rising = np.zeros((len(power), len(tables.bins)), np.uint64)
        falling = np.zeros_like(rising)
        for j, (start, end) in enumerate(zip(self._starts[:-1], self._starts[1:], strict=True)):
            running = np.cumsum(power[:, start:end], axis=1, dtype=np.uint64)
            if end == start:
                continue
            whole, weighted = running[:, -1], running.sum(axis=1, dtype=np.uint64)
            up, down = _scaled(weighted, tables.slope[j]), _scaled(whole, tables.lean[j])
            falling[:, j] = np.minimum(np.where(up > down, up - down, 0), whole)
            rising[:, j] = whole - falling[:, j]
        return rising[:, :-1] + falling[:, 1:]


def integer_log_mel(waveform: NDArray[np.float32], spec: LogMel) -> NDArray[np.float32]:
    """Log-mel spectrogram of `waveform` [n_samples] as the chip computes it, float32 [n_mels, n_frames], in log units.

    Raises:
        BadInput: not one-dimensional, no sample, not finite, or a spec that the integers cannot do.
    """
    return integer_front_end(spec)(waveform)


@lru_cache(maxsize=8)
def integer_front_end(spec: LogMel) -> IntegerFrontEnd:
    """The (cached) integer front end of `spec`."""
    return IntegerFrontEnd(spec)


def pcm16(waveform: NDArray[np.float32]) -> NDArray[np.int16]:
    """`waveform` [n_samples] in [-1, 1] as 16-bit samples, half to even, clipped.

    Raises:
        BadInput: not one-dimensional, no sample, or not finite.
    """
    signal = np.asarray(waveform, np.float32)
    if signal.ndim != 1 or signal.size == 0:
        raise BadInput("waveform", f"expected samples of one channel, found shape {signal.shape}")
    if not np.isfinite(signal).all():
        raise BadInput("waveform", "holds NaN or infinite samples")
    return np.clip(np.rint(signal * np.float32(FULL_SCALE)), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def natural_log(values: NDArray[np.uint64], table: NDArray[np.int32]) -> NDArray[np.int64]:
    """ln of positive integers times 2^24: the exponent, and a table between two powers of two, linear in its cells."""
    exponent = _exponent(values)
    mantissa = (values << (63 - exponent).astype(np.uint64)) >> np.uint64(32)  # 32 bits, the highest set
    cell = ((mantissa >> np.uint64(25)) & np.uint64(63)).astype(np.int64)
    rest = ((mantissa >> np.uint64(13)) & np.uint64(0xFFF)).astype(np.int64)
    low = table[cell].astype(np.int64)
    step = table[cell + 1].astype(np.int64) - low
    return exponent * _LN2 + low + ((step * rest + (1 << 11)) >> 12)


def _exponent(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Place of the highest bit that is set."""
    left, found = values.copy(), np.zeros(values.shape, np.int64)
    for bits in (32, 16, 8, 4, 2, 1):
        high = left >= (np.uint64(1) << np.uint64(bits))
        found[high] += bits
        left[high] >>= np.uint64(bits)
    return found


def _scaled(values: NDArray[np.uint64], factor: np.uint32) -> NDArray[np.uint64]:
    """(values * factor) >> 32, whose product would need 96 bits."""
    wide = np.uint64(factor)
    return (values >> np.uint64(32)) * wide + (((values & _LOW32) * wide) >> np.uint64(32))
