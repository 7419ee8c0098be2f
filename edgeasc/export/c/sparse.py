"""How the weights of a point-wise convolution are stored, and what each way costs in bytes, exactly.

`dense`: one byte per weight. The others store only weights that are not zero, row by row of one output channel:
`delta8`: a byte for the input channels skipped since the last weight and a byte for the value, interleaved; a gap above
255 is bridged by pairs of value 0. `nibble`: half a byte for the channels between a weight and the one before; 15 skips
15 channels and has no value. `bitmap`: a bit per weight, the highest of a byte first. Rows of the first two begin with
their number of pairs, or of bytes of nibbles: one byte, or 255 and two bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeasc.export.c.program import Storage

Weights = NDArray[np.int8]
LARGEST_GAP = 255
SKIP = 15
LONG_ROW = 255
MOST_PAIRS = 256  # as in ea_sparse.h
MOST_COLUMNS = 65_535


@dataclass(frozen=True)
class Stored:
    """Weights in one storage. `index` is beside `values`, or holds them too where there are none.

    `steps`: weights of a dense layer, else its (gap, value) pairs, which the kernels walk through for every pixel.
    """

    storage: Storage
    values: Weights | None = field(repr=False)
    index: NDArray[np.uint8] | None = field(repr=False)
    index_bytes: int
    steps: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of flash."""
        return sum(part.size for part in (self.values, self.index) if part is not None)


def store(weights: Weights, storage: Storage) -> Stored:
    """`weights` [c_out, c_in] in a storage."""
    return _STORES[storage](weights)


def restore(stored: Stored, c_out: int, c_in: int) -> Weights:
    """The weights [c_out, c_in] that were stored.

    Raises:
        ValueError: the index does not fit these sizes.
    """
    weights = np.zeros((c_out, c_in), np.int8)
    if stored.storage == "dense" and stored.values is not None:
        return stored.values.reshape(c_out, c_in)
    if stored.index is None:
        raise ValueError(f"storage {stored.storage} needs an index")
    if stored.storage == "delta8":
        for row, pairs in enumerate(_rows(stored.index, c_out, 2)):
            columns, values = np.cumsum(pairs[::2].astype(np.int64)), np.ascontiguousarray(pairs[1::2]).view(np.int8)
            weights[row, _inside(columns[values != 0], c_in)] = values[values != 0]
        return weights
    mask = _nibble_mask(stored.index, c_out, c_in) if stored.storage == "nibble" else _bits(stored.index, c_out, c_in)
    weights[mask] = stored.values
    return weights


def count_nonzero(ctype: str, numbers: NDArray[np.int64], c_out: int) -> int:
    """Weights that are not zero in an array of the generated C: int8 values, or a delta8 stream in uint8.

    Raises:
        ValueError: a stream that does not have `c_out` rows.
    """
    return int(np.count_nonzero(stored_weights(ctype, numbers, c_out)))


def stored_weights(ctype: str, numbers: NDArray[np.int64], c_out: int) -> NDArray[np.int64]:
    """The weights in an array of the generated C, without the lengths and gaps of a delta8 stream.

    Raises:
        ValueError: a stream that does not have `c_out` rows.
    """
    if ctype != "uint8_t":
        return numbers
    rows = [row[1::2] for row in _rows(numbers.astype(np.uint8), c_out, 2)]
    return np.concatenate([np.empty(0, np.int64), *rows]).astype(np.int64)


def storages(weights: Weights) -> list[Stored]:
    """`weights` [c_out, c_in] in every storage that can hold them, dense first.

    The kernels unpack a row of `nibble` and `bitmap` into room for `MOST_PAIRS`.
    """
    found = [_dense(weights)]
    if weights.shape[1] <= MOST_COLUMNS:
        found.append(_delta8(weights))
    if max((_pairs_of(row) for row in weights), default=0) <= MOST_PAIRS:
        found += [_nibble(weights), _bitmap(weights)]
    return found


def _dense(weights: Weights) -> Stored:
    return Stored("dense", weights.ravel(), None, 0, weights.size)


def _delta8(weights: Weights) -> Stored:
    stream: list[int] = []
    steps = 0
    for values in weights:
        pairs: list[int] = []
        for column, gap in _gaps(values):
            bridges = max(0, gap - 1) // LARGEST_GAP
            pairs += [LARGEST_GAP, 0] * bridges + [gap - LARGEST_GAP * bridges, int(values[column]) & 0xFF]
        stream += _length(len(pairs) // 2) + pairs
        steps += len(pairs) // 2
    return Stored("delta8", None, np.array(stream, np.uint8), len(stream) - int(np.count_nonzero(weights)), steps)


def _gaps(values: Weights) -> list[tuple[int, int]]:
    """Column of every weight that is not zero, and how far it lies behind the last one (the first: behind column 0)."""
    columns = np.flatnonzero(values)
    return list(zip(columns.tolist(), np.diff(columns, prepend=0).tolist(), strict=True))


def _pairs_of(values: Weights) -> int:
    """(gap, value) pairs of a row, bridges of long gaps included."""
    return sum(1 + max(0, gap - 1) // LARGEST_GAP for _, gap in _gaps(values))


def _nibble(weights: Weights) -> Stored:
    stream: list[int] = []
    for values in weights:
        nibbles: list[int] = []
        at = 0
        for column, _ in _gaps(values):
            gap, at = column - at, column + 1
            nibbles += [SKIP] * (gap // SKIP) + [gap % SKIP]
        nibbles += [SKIP] * (len(nibbles) % 2)  # without a weight behind it
        packed = [low + 16 * high for low, high in zip(nibbles[::2], nibbles[1::2], strict=True)]
        stream += _length(len(packed)) + packed
    return Stored(
        "nibble", weights[weights != 0], np.array(stream, np.uint8), len(stream), sum(map(_pairs_of, weights))
    )


def _bitmap(weights: Weights) -> Stored:
    index = np.packbits(weights != 0, axis=1).ravel()
    return Stored("bitmap", weights[weights != 0], index, index.size, sum(map(_pairs_of, weights)))


_STORES: dict[Storage, Callable[[Weights], Stored]] = {
    "dense": _dense, "delta8": _delta8, "nibble": _nibble, "bitmap": _bitmap,
}  # fmt: skip


def _length(count: int) -> list[int]:
    return [count] if count < LONG_ROW else [LONG_ROW, count % 256, count // 256]


def _rows(stream: NDArray[np.uint8], rows: int, width: int) -> list[NDArray[np.uint8]]:
    """The rows of a stream, each of as many items of `width` bytes as its length says.

    Raises:
        ValueError: the stream ends within a row, or goes on after the last.
    """
    found, place = [], 0
    for _ in range(rows):
        head = stream[place : place + 3]
        if head.size == 0 or (head[0] == LONG_ROW and head.size < 3):
            raise ValueError("an index ends before its last row")
        length = int(head[0]) if head[0] < LONG_ROW else int(head[1]) + 256 * int(head[2])
        place += 1 if head[0] < LONG_ROW else 3
        found.append(stream[place : place + width * length])
        place += width * length
    if place != stream.size:
        raise ValueError("an index has another length than its rows")
    return found


def _inside(columns: NDArray[np.int64], c_in: int) -> NDArray[np.int64]:
    if columns.max(initial=0) >= c_in:
        raise ValueError(f"an index leads outside its {c_in} input channels")
    return columns


def _nibble_mask(index: NDArray[np.uint8], c_out: int, c_in: int) -> NDArray[np.bool_]:
    mask = np.zeros((c_out, c_in), np.bool_)
    for row, packed in enumerate(_rows(index, c_out, 1)):
        gaps = np.stack([packed & 15, packed >> 4], axis=1).ravel().astype(np.int64)
        columns = np.cumsum(gaps + (gaps != SKIP)) - 1
        mask[row, _inside(columns[gaps != SKIP], c_in)] = True
    return mask


def _bits(index: NDArray[np.uint8], c_out: int, c_in: int) -> NDArray[np.bool_]:
    return np.unpackbits(index.reshape(c_out, -1), axis=1, count=c_in).astype(np.bool_)
