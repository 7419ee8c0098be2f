"""Operators that hand integers on: MIRROR_PAD along time, SLICE, and channels shared out anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeasc.graph.kernels.arrays import constant
from edgeasc.graph.model import Moved, Pad, Regroup, Slice
from edgeasc.graph.shapes import AXES


def move(values: Any, node: Moved) -> Any:
    """The values of `[B, C, F, T]` that `node` hands on; of any type."""
    if isinstance(node, Pad):
        return _mirror(values, node.before, node.after)
    if isinstance(node, Slice):
        places = [slice(None)] * 4
        places[AXES[node.axis]] = slice(node.start, node.stop)
        return values[tuple(places)]
    assert isinstance(node, Regroup)
    return values.reshape(values.shape[0], node.channels, -1, values.shape[3])


def _mirror(values: Any, before: int, after: int) -> Any:
    """Frames mirrored at the first and at the last one, which are not repeated."""
    frames = values.shape[3]
    source = np.abs(np.arange(-before, frames + after))
    source = np.where(source < frames, source, 2 * (frames - 1) - source)
    places = source if isinstance(values, np.ndarray) else constant(source, values.new_zeros(0).long())
    return values[..., places]
