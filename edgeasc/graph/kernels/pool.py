"""MAX_POOL_2D without padding; scale and zero point pass through."""

from __future__ import annotations

from typing import Any


def max_pool(values: Any, kernel: tuple[int, int], stride: tuple[int, int]) -> Any:
    """Largest value of every window; `[B, C, F, T]` of any integer type, windows that do not fit are dropped."""
    frequencies = (values.shape[2] - kernel[0]) // stride[0] + 1
    frames = (values.shape[3] - kernel[1]) // stride[1] + 1
    largest = None
    for f in range(kernel[0]):
        for t in range(kernel[1]):
            tap = values[
                :,
                :,
                f : f + (frequencies - 1) * stride[0] + 1 : stride[0],
                t : t + (frames - 1) * stride[1] + 1 : stride[1],
            ]
            largest = tap if largest is None else largest + (tap - largest) * (tap > largest)
    return largest
