"""The integer transform of real frames, as the C kernel `spectrum.c` computes it, to the last bit.

Decimation in frequency by fours, in place, outputs in bit-reversed order: two samples are one complex number, and a
last pass splits the spectra of the even and the odd samples. Where fours do not go in, a stage by twos comes first: the
window leaves most of its second half empty. The last stage has no twiddles, and is the one that does not halve.

A product with a twiddle is `(a * w + 2^31) >> 32`: half of it, rounded once, which one instruction of a Cortex-M4 does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def real_spectrum(windowed: Integers, cosine: NDArray[np.int32]) -> tuple[Integers, Integers]:
    """Real and imaginary part of bins 0 to n_fft / 2 - 1 of frames [n, n_fft], each [n, n_fft // 2].

    Up to the sign of the imaginary part, which no power needs. Scaled by 2^-`halvings`.
    """
    half = windowed.shape[1] // 2
    real, imag = windowed[:, 0::2].copy(), windowed[:, 1::2].copy()
    size = half
    if half.bit_length() % 2 == 0:
        _radix2(real, imag, cosine)
        size //= 2
    while size > 4:
        _radix4(real, imag, size, cosine)
        size //= 4
    _last(real, imag)
    order = bit_reversed(half)
    return _split(real[:, order], imag[:, order], cosine)


def halvings(log2_fft: int) -> int:
    """How many stages of a transform of 2^log2_fft samples halve their results."""
    return (log2_fft - 1) // 2 - 1


def bit_reversed(size: int) -> NDArray[np.intp]:
    """Where the transform of `size` values leaves bin 0, 1, 2, ..."""
    order = np.zeros(1, np.intp)
    while len(order) < size:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def twiddle(index: NDArray[np.intp], cosine: NDArray[np.int32]) -> tuple[Integers, Integers]:
    """cos and sin of 2 pi index / n_fft, for index up to three quarters of a turn, from a quarter of a cosine."""
    quarter = len(cosine) - 1
    wide = cosine.astype(np.int64)
    turn, rest = np.divmod(index, quarter)
    near, far = wide[rest], wide[quarter - rest]
    cos = np.choose(turn, [near, -far, -near])
    sin = np.choose(turn, [far, near, -far])
    return cos, sin


def _half(a: Integers, b: Integers) -> Integers:
    return (a * b + (1 << 31)) >> 32


def _turned(real: Integers, imag: Integers, cos: Integers, sin: Integers) -> tuple[Integers, Integers]:
    """Half of (real + i imag)(cos - i sin); the second product of each sum is rounded as it is added."""
    return (
        _half(cos, real) + _half(sin, imag),
        _half(cos, imag) + (((1 << 31) - sin * real) >> 32),
    )


def _radix2(real: Integers, imag: Integers, cosine: NDArray[np.int32]) -> None:
    """The first stage of the whole length, in place; nothing is halved: twice the difference goes into the product."""
    middle = real.shape[1] // 2
    cos, sin = twiddle(2 * np.arange(middle), cosine)
    ar, ai, br, bi = real[:, :middle], imag[:, :middle], real[:, middle:], imag[:, middle:]
    apart = _turned(2 * (ar - br), 2 * (ai - bi), cos, sin)
    real[:, :middle], imag[:, :middle] = ar + br, ai + bi
    real[:, middle:], imag[:, middle:] = apart


def _last(real: Integers, imag: Integers) -> None:
    """The last stage, on blocks of four, in place, exact."""
    ar, br, cr, dr = (real[:, k::4].copy() for k in range(4))
    ai, bi, ci, di = (imag[:, k::4].copy() for k in range(4))
    real[:, 0::4], imag[:, 0::4] = ar + cr + br + dr, ai + ci + bi + di
    real[:, 1::4], imag[:, 1::4] = ar + cr - br - dr, ai + ci - bi - di
    real[:, 2::4], imag[:, 2::4] = ar - cr + bi - di, ai - ci - br + dr
    real[:, 3::4], imag[:, 3::4] = ar - cr - bi + di, ai - ci + br - dr


def _radix4(real: Integers, imag: Integers, size: int, cosine: NDArray[np.int32]) -> None:
    """One stage on blocks of `size`, in place, every result halved."""
    frames, half = real.shape
    quarter = size // 4
    step = np.arange(quarter) * (2 * half // size)
    turns = [twiddle(multiple * step, cosine) for multiple in (1, 2, 3)]
    shape = (frames, half // size, 4, quarter)
    r, i = real.reshape(shape), imag.reshape(shape)
    parts: list[tuple[Integers, Integers]] = [(r[:, :, k].copy(), i[:, :, k].copy()) for k in range(4)]
    (ar, ai), (br, bi), (cr, ci), (dr, di) = parts
    even_r, even_i = ar + cr, ai + ci
    odd_r, odd_i = br + dr, bi + di
    left_r, left_i, right_r, right_i = ar - cr, ai - ci, br - dr, bi - di
    r[:, :, 0], i[:, :, 0] = (even_r + odd_r) >> 1, (even_i + odd_i) >> 1
    r[:, :, 1], i[:, :, 1] = _turned(even_r - odd_r, even_i - odd_i, *turns[1])
    r[:, :, 2], i[:, :, 2] = _turned(left_r + right_i, left_i - right_r, *turns[0])
    r[:, :, 3], i[:, :, 3] = _turned(left_r - right_i, left_i + right_r, *turns[2])


def _split(real: Integers, imag: Integers, cosine: NDArray[np.int32]) -> tuple[Integers, Integers]:
    """The spectrum of the real frame from that of its pairs: bins k and half - k together."""
    half = real.shape[1]
    k = np.arange(1, half // 2)
    cos, sin = twiddle(k, cosine)
    ar, ai, br, bi = real[:, k], imag[:, k], real[:, half - k], imag[:, half - k]
    even_r, even_i, odd_r, odd_i = (ar + br) >> 1, (ai - bi) >> 1, ar - br, ai + bi
    part_r = _half(cos, odd_i) + (((1 << 31) - sin * odd_r) >> 32)
    part_i = _half(cos, odd_r) + _half(sin, odd_i)
    out_r, out_i = real.copy(), imag.copy()
    out_r[:, 0], out_i[:, 0] = real[:, 0] + imag[:, 0], 0
    out_r[:, k], out_i[:, k] = even_r + part_r, even_i - part_i
    out_r[:, half - k], out_i[:, half - k] = even_r - part_r, even_i + part_i
    return out_r, out_i
