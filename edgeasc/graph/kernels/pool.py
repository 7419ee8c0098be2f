"""MAX_POOL_2D and AVERAGE_POOL_2D without padding; scale and zero point pass through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeasc.graph.kernels.arrays import INT8_MIN
from edgeasc.graph.model import AvgPool

Sides = tuple[int, int]


def max_pool(values: Any, kernel: Sides, stride: Sides) -> Any:
    """Largest value of every window; `[B, C, F, T]` of any integer type, windows that do not fit are dropped."""
    taps = _taps(values, kernel, stride)
    largest = next(taps)
    for tap in taps:
        largest = largest + (tap - largest) * (tap > largest)
    return largest


def avg_pool(values: Any, kernel: Sides, stride: Sides, low: int) -> Any:
    """Mean of every window of int64 integers `[B, C, F, T]`, at least `low`.

    The integers themselves are averaged and halves go away from zero, wherever the zero point lies, as in TensorFlow
    Lite's reference kernel.
    """
    total, count = sum(_taps(values, kernel, stride)), kernel[0] * kernel[1]
    sign = 1 - 2 * (total < 0)
    return (sign * ((sign * total + count // 2) // count)).clip(low, None)


def pool_low(node: AvgPool, zero_point: int) -> int:
    """The least integer that the node's activation leaves on a grid with this zero point."""
    return zero_point if node.activation == "relu" else INT8_MIN


def _taps(values: Any, kernel: Sides, stride: Sides) -> Iterator[Any]:
    """For every place in the window the values that all windows have there."""
    ends = [(side - k) // s * s + 1 for side, k, s in zip(values.shape[2:], kernel, stride, strict=True)]
    for f in range(kernel[0]):
        for t in range(kernel[1]):
            yield values[:, :, f : f + ends[0] : stride[0], t : t + ends[1] : stride[1]]
