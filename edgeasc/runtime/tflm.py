"""TensorFlow Lite for Microcontrollers on the host, behind the worker's `Backend`; it also measures the tensor arena.

The interpreter wants the arena's size before it can say what it needs, and prints what it used from C.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import numpy as np

from edgeasc.runtime.backends import Array, Info
from edgeasc.runtime.tflite import tflite_port

FIRST_ARENA = 16 * 1024**2  # generous: what is used is the same, and one that is far too small can crash TFLM
LARGEST_ARENA = 256 * 1024**2


class MicroBackend:
    """TFLM with the smallest arena among 16 MiB and its doublings that the model fits in."""

    def __init__(self, payload: bytes) -> None:
        from tflite_micro.python.tflite_micro import runtime

        def start(size: int) -> Any:
            interpreter = runtime.Interpreter.from_bytes(payload, arena_size=size)
            details = interpreter.get_input_details(0)
            interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
            interpreter.invoke()  # some buffers are asked for only here
            return interpreter

        self._interpreter = _grow(start)
        self._dtype = np.dtype(self._interpreter.get_input_details(0)["dtype"])
        self.info = Info(
            tflite_port(self._interpreter.get_input_details(0)),
            tflite_port(self._interpreter.get_output_details(0)),
            metadata.version("tflite-micro"),
            {"kernels": "reference", **arena(self._interpreter)},
        )

    def run(self, item: Array) -> Array:
        self._interpreter.set_input(item, 0)
        self._interpreter.invoke()
        result: Array = self._interpreter.get_output(0)
        return result


def _grow(start: Callable[[int], Any]) -> Any:
    """`start(size)` for the first size that works."""
    size = FIRST_ARENA
    while True:
        try:
            return start(size)
        except (RuntimeError, ValueError):
            if size >= LARGEST_ARENA:
                raise
            size *= 2


def arena(interpreter: Any) -> dict[str, int]:
    """Bytes of the arena that the loaded model occupies: `arena_bytes`, of which `arena_head_bytes` are activations."""
    with _captured() as read:
        interpreter.print_allocations()
        text = read()
    found = {part: re.search(rf"Arena allocation {part} (\d+) bytes", text) for part in ("total", "head", "tail")}
    names = {"total": "arena_bytes", "head": "arena_head_bytes", "tail": "arena_tail_bytes"}
    return {names[part]: int(match[1]) for part, match in found.items() if match is not None}


@contextlib.contextmanager
def _captured() -> Iterator[Callable[[], str]]:
    """Both output descriptors into a temporary file while the block runs; yields a reader of it."""
    with tempfile.TemporaryFile() as sink:
        kept = os.dup(1), os.dup(2)
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)

        def read() -> str:
            sink.seek(0)
            return sink.read().decode(errors="replace")

        try:
            yield read
        finally:
            for descriptor, saved in zip((1, 2), kept, strict=True):
                os.dup2(saved, descriptor)
                os.close(saved)
