"""WAV files of four bits per sample: the ADPCM codings of Microsoft and the IMA, which a few UrbanSound8K slices have.

Written here, in numpy, because the rare codings of audio libraries are where hostile files have hurt them; blocks are
independent, so that the loop runs over the samples of a block and all blocks advance together.
Format: Microsoft, Multimedia Standards Update, revision 3.0 (1994), "ADPCM wave type" and "DVI ADPCM wave type".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput

MICROSOFT, IMA = 0x0002, 0x0011  # format tags
_MAX_BLOCK = 1 << 16  # bytes
_ADAPT = np.array([230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230], np.int64)
_COEFFICIENTS = ((256, 0), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232))
_LAST_STEP = 88
_INDEX_STEPS = np.array([-1, -1, -1, -1, 2, 4, 6, 8], np.int64)
_STEPS = np.array(
    [
        7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97,
        107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796,
        876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871,
        5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623,
        27086, 29794, 32767,
    ],
    np.int64,
)  # fmt: skip

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Coding:
    """What the format chunk says."""

    tag: int
    channels: int
    rate: int  # Hz
    block: int  # bytes

    @property
    def header(self) -> int:
        """Bytes at the start of a block that are no coded samples."""
        return (7 if self.tag == MICROSOFT else 4) * self.channels

    @property
    def group(self) -> int:
        """Bytes of coded samples after which all channels have had their turn."""
        return 4 * self.channels if self.tag == IMA else self.channels

    def samples_in(self, size: int) -> int:
        """Samples of every channel in a block of `size` bytes: two to a byte, and those in the header."""
        if size < self.header:
            return 0
        whole = (size - self.header) // self.group * self.group
        return whole * 2 // self.channels + (2 if self.tag == MICROSOFT else 1)

    def frames(self, size: int) -> int:
        """Samples of every channel in `size` bytes of blocks, the last one perhaps cut."""
        return size // self.block * self.samples_in(self.block) + self.samples_in(size % self.block)


def read_coding(chunk: bytes, path: Path) -> Coding:
    """The coding that a format chunk describes.

    Raises:
        BadInput: sizes that no block has, or coefficients of a file's own.
    """
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", chunk)
    coding = Coding(tag, channels, rate, block)
    sound = channels in (1, 2) and bits == 4 and coding.header < block < _MAX_BLOCK
    if not sound or (block - coding.header) % coding.group:
        raise BadInput("audio", f"damaged: ADPCM of {channels} channels, {bits} bits, blocks of {block} bytes", path)
    if tag == MICROSOFT and not _standard_coefficients(chunk):
        raise BadInput("audio", "ADPCM with coefficients of its own is not read; convert to PCM", path)
    return coding


def _standard_coefficients(chunk: bytes) -> bool:
    """Whether the predictors are the seven that every encoder uses."""
    if len(chunk) < 22 + 4 * len(_COEFFICIENTS):
        return False
    flat = tuple(value for pair in _COEFFICIENTS for value in pair)
    return struct.unpack_from(f"<H{len(flat)}h", chunk, 20) == (len(_COEFFICIENTS), *flat)


def decode_adpcm(data: bytes, coding: Coding, path: Path) -> NDArray[np.float32]:
    """Samples [n_samples, channels] in -1 .. 1 of the blocks in `data`; an incomplete last block gives what it holds.

    Raises:
        BadInput: nothing decodes, or a predictor that does not exist.
    """
    count = coding.frames(len(data))
    if count == 0:
        raise BadInput("audio", "holds no sample", path)
    blocks = -(-count // coding.samples_in(coding.block))
    padded = data[: blocks * coding.block].ljust(blocks * coding.block, b"\0")
    table = np.frombuffer(padded, np.uint8).reshape(blocks, coding.block)
    decode = _microsoft if coding.tag == MICROSOFT else _ima
    samples = decode(table, coding, path)  # [blocks, samples, channels]
    return (samples.reshape(-1, coding.channels)[:count] / 32_768).astype(np.float32)


def _microsoft(table: NDArray[np.uint8], coding: Coding, path: Path) -> Integers:
    """Prediction from two samples, a step that adapts by a table; high nibble first, channels in turn."""
    channels = coding.channels
    predictor = table[:, :channels].astype(np.int64)
    if predictor.max() >= len(_COEFFICIENTS):
        raise BadInput("audio", f"damaged: ADPCM predictor {predictor.max()}", path)
    delta, late, early = (_words(table, channels + 2 * channels * place, channels) for place in range(3))
    first, second = np.moveaxis(np.array(_COEFFICIENTS, np.int64)[predictor], -1, 0)
    result = np.empty((len(table), coding.samples_in(coding.block), channels), np.int64)
    result[:, 0], result[:, 1] = early, late
    body = table[:, coding.header :]
    nibbles = np.stack([body >> 4, body & 15], axis=2).reshape(len(table), -1, channels).astype(np.int64)
    for place in range(nibbles.shape[1]):
        code = nibbles[:, place]
        signed = np.where(code < 8, code, code - 16)
        value = ((late * first + early * second) >> 8) + signed * delta
        early, late = late, np.clip(value, -32_768, 32_767)
        delta = np.maximum(_ADAPT[code] * delta >> 8, 16)
        result[:, place + 2] = late
    return result


def _ima(table: NDArray[np.uint8], coding: Coding, path: Path) -> Integers:
    """A step from a table of 89; low nibble first, channels take turns every eight samples."""
    channels = coding.channels
    heads = table[:, : coding.header].reshape(len(table), channels, 4)
    value = heads[:, :, 0].astype(np.int64) | heads[:, :, 1].astype(np.int8).astype(np.int64) << 8
    index = heads[:, :, 2].astype(np.int64)
    if index.max() > _LAST_STEP:
        raise BadInput("audio", f"damaged: ADPCM step {index.max()}", path)
    body = table[:, coding.header :].reshape(len(table), -1, channels, 4)
    nibbles = np.stack([body & 15, body >> 4], axis=4).reshape(len(table), -1, channels, 8)
    codes = np.moveaxis(nibbles, 2, 3).reshape(len(table), -1, channels).astype(np.int64)
    result = np.empty((len(table), coding.samples_in(coding.block), channels), np.int64)
    result[:, 0] = value
    for place in range(codes.shape[1]):
        code, step = codes[:, place], _STEPS[index]
        change = (step >> 3) + (code & 1) * (step >> 2) + (code >> 1 & 1) * (step >> 1) + (code >> 2 & 1) * step
        value = np.clip(value + np.where(code & 8, -change, change), -32_768, 32_767)
        index = np.clip(index + _INDEX_STEPS[code & 7], 0, _LAST_STEP)
        result[:, place + 1] = value
    return result


def _words(table: NDArray[np.uint8], start: int, channels: int) -> Integers:
    """Signed 16-bit words [blocks, channels] from byte `start` on."""
    words = np.ascontiguousarray(table[:, start : start + 2 * channels]).view("<i2")
    return words.astype(np.int64)
