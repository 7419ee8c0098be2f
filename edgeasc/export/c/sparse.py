"""How the weights of a point-wise convolution are stored, and what each way costs in bytes, exactly.

`dense`: one byte per weight. `delta8`: for every weight that is not zero one byte for the input channels skipped since
the last and one for its value, and two bytes per output channel for their number; a gap above 255 is bridged by pairs
of value 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeasc.export.c.program import Storage

LARGEST_GAP = 255
COUNT_BYTES = 2


def storage_bytes(weights: NDArray[np.int8]) -> dict[Storage, int]:
    """Bytes of `weights` [c_out, c_in] in every storage."""
    stream, _ = delta8(weights)
    return {"dense": weights.size, "delta8": len(stream) + COUNT_BYTES * len(weights)}


def smallest(weights: NDArray[np.int8]) -> Storage:
    """The storage with the fewest bytes; dense where they are equal."""
    sizes = storage_bytes(weights)
    return min(sizes, key=lambda name: (sizes[name], name != "dense"))


def delta8(weights: NDArray[np.int8]) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """The stream of (gap, value) pairs of `weights` [c_out, c_in], and the number of pairs of every output channel."""
    stream: list[int] = []
    pairs = np.zeros(len(weights), np.uint16)
    for row, values in enumerate(weights):
        start, at = len(stream), 0
        for column in np.flatnonzero(values):
            gap = int(column) - at
            while gap > LARGEST_GAP:
                stream += [LARGEST_GAP, 0]
                gap -= LARGEST_GAP
            stream += [gap, int(values[column]) & 0xFF]
            at = int(column)
        pairs[row] = (len(stream) - start) // 2
    return np.array(stream, np.uint8), pairs


def undelta8(stream: NDArray[np.uint8], pairs: NDArray[np.uint16], c_in: int) -> NDArray[np.int8]:
    """The weights [c_out, c_in] that a stream stands for."""
    weights = np.zeros((len(pairs), c_in), np.int8)
    place = 0
    for row, count in enumerate(pairs):
        at = 0
        for gap, value in stream[place : place + 2 * int(count)].reshape(-1, 2):
            at += int(gap)
            if value:
                weights[row, at] = value.astype(np.int8)
        place += 2 * int(count)
    return weights
