"""Flash of a C folder without a cross compiler: its constants exactly, its code by the size of each kernel.

Sizes are those of arm-none-eabi-gcc 12.2 with -O2 for Cortex-M4, rounding twice (`benchmarks/code_bytes.py` writes
them); a test links firmware and compares. Another compiler makes something else of them: the sum is an estimate.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("code_bytes.toml")
STREAM_BYTES = 508  # of scene_stream.c


@cache
def _sizes() -> tuple[int, dict[str, int]]:
    found = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return found["layer"], {"scene_stream.c": STREAM_BYTES, **found["kernels"]}


def known_kernels() -> frozenset[str]:
    """The C files whose size is known."""
    return frozenset(_sizes()[1])


def code_bytes(files: Iterable[str], layers: int) -> int:
    """Bytes of code of the C files among `files`, and of a program that calls them for so many layers; estimated."""
    layer, kernels = _sizes()
    return sum(kernels.get(name, 0) for name in files) + layer * layers
