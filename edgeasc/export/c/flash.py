"""Flash of a C folder without a cross compiler: its constants exactly, its code by the size of each kernel.

Sizes are those of arm-none-eabi-gcc 12.2 with -O2 for Cortex-M4, rounding twice; a test compiles and compares. What a
compiler makes of them elsewhere differs, so that the sum is an estimate: of the constants' part it is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

STEP_BYTES = 97  # of code for one layer's call, with its record
CODE_BYTES = {
    "blend.c": 1656,
    "conv.c": 4140,
    "copy.c": 528,
    "depthwise.c": 3148,
    "gain.c": 1112,
    "max_pool.c": 388,
    "mean.c": 1024,
    "mel.c": 588,
    "pointwise.c": 3000,
    "pointwise_bitmap.c": 1404,
    "pointwise_delta8.c": 1236,
    "pointwise_nibble.c": 1360,
    "product.c": 1308,
    "resnorm.c": 920,
    "scene_stream.c": 508,
    "spectrum.c": 1788,
    "square.c": 316,
    "sum.c": 2216,
    "sums.c": 420,
    "table.c": 124,
}


@dataclass(frozen=True)
class FlashSize:
    """Bytes of constants and, estimated, of code."""

    constants: int
    code: int

    @property
    def bytes(self) -> int:
        """Both together."""
        return self.constants + self.code


def code_bytes(files: Iterable[str], layers: int) -> int:
    """Bytes of code of the C files among `files`, and of a program that calls them for so many layers; estimated."""
    return sum(CODE_BYTES.get(name, 0) for name in files) + STEP_BYTES * layers
