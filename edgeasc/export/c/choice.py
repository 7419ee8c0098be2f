"""Which storage a point-wise layer gets: the smallest by exact bytes, the fastest by a model of instructions, or both.

The model counts what a kernel does (rows, blocks of pixels, multiplications of a weight with a block, bytes that are
unpacked) and weighs it with figures fitted to instructions counted on an emulated Cortex-M4 by `benchmarks/storage.py`,
which writes them and their errors to benchmarks/results. They order the storages; they are not what `bench` reports,
which runs the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import UsageError
from edgeasc.export.c.flash import code_bytes
from edgeasc.export.c.program import Storage
from edgeasc.export.c.sparse import Stored, storages, store
from edgeasc.specs import nearest

Optimise = Literal["size", "speed", "balanced", "dense"]
DEFAULT: Optimise = "balanced"
KERNELS: dict[Storage, str] = {
    "dense": "pointwise.c",
    "delta8": "pointwise_delta8.c",
    "nibble": "pointwise_nibble.c",
    "bitmap": "pointwise_bitmap.c",
}
BLOCK = {"dense": 6, "delta8": 8, "nibble": 8, "bitmap": 8}  # pixels at once
# Instructions per row and band, per block, per step of a block, and per byte of a layer.
COSTS: dict[Storage, tuple[float, float, float, float]] = {
    "dense": (134.3, 75.2, 5.49, 0.0),
    "delta8": (165.6, 80.3, 18.52, 0.0),
    "nibble": (161.6, 81.5, 18.27, 16.3),
    "bitmap": (155.0, 76.4, 19.13, 17.6),
}

# Of a convolution of more than one tap, per output value: instructions, and those per four taps or per pair. Counted on
# a stem of 160 channels.
WINDOW = {"dense": (14.0, 3.4), "delta8": (12.0, 2.3)}
MOST_TAPS = 256  # as in conv_delta8.c


@dataclass(frozen=True)
class Pixels:
    """Output values of a row, in `bands` equal parts that are requantised apart."""

    count: int
    bands: int

    def blocks(self, block: int) -> int:
        """Blocks of a row; what is left of a band counts as a whole one."""
        return self.bands * -(-self.count // self.bands // block)


def parse_optimise(text: str) -> Optimise:
    """A name of what to optimise for.

    Raises:
        UsageError: no such name.
    """
    names = get_args(Optimise)
    if text not in names:
        raise UsageError("--optimise", f"{text!r} is not known{nearest(text, list(names))}; known: {', '.join(names)}")
    return text  # type: ignore[return-value]


def smallest_together(layers: Sequence[NDArray[np.int8]]) -> list[Storage]:
    """The storage of every layer [c_out, c_in] such that all of them and the code of the kernels take fewest bytes.

    A storage that saves a few bytes in one layer is not worth a kernel of its own.
    """
    sizes = [{stored.storage: stored.bytes for stored in storages(weights)} for weights in layers]
    best: tuple[int, list[Storage]] | None = None
    for count in range(len(KERNELS)):
        for sparse in combinations([name for name in KERNELS if name != "dense"], count):
            chosen = [min((size, name) for name, size in each.items() if name in (*sparse, "dense")) for each in sizes]
            names = [name for _, name in chosen]
            total = sum(size for size, _ in chosen) + code_bytes({KERNELS[name] for name in names}, 0)
            if best is None or total < best[0]:
                best = total, names
    return best[1] if best else []


def choose(weights: NDArray[np.int8], pixels: Pixels, how: Optimise | Storage) -> Stored:
    """The storage for `weights` [c_out, c_in], or `how` itself where that names one.

    `balanced` has the smallest sum of bytes and instructions, each as a share of the dense layer's.
    """
    found = storages(weights)
    named = [stored for stored in found if stored.storage == how]
    if named:
        return named[0]
    if how == "size":
        return min(found, key=lambda stored: stored.bytes)
    cost = {stored.storage: instructions(stored, weights, pixels) for stored in found}
    if how == "speed":
        return min(found, key=lambda stored: cost[stored.storage])
    dense = found[0]
    return min(
        found, key=lambda stored: stored.bytes / dense.bytes + cost[stored.storage] / cost[dense.storage]
    )  # fmt: skip


def choose_window(weights: NDArray[np.int8], how: Optimise | Storage) -> Stored:
    """The storage for a convolution of more than one tap, `weights` [c_out, taps]: dense or delta8.

    It depends on the weights alone, so that a layer's strips agree about it.
    """
    dense, pairs = store(weights, "dense"), store(weights, "delta8")
    if how in ("dense", "delta8"):
        return pairs if how == "delta8" else dense
    cost = WINDOW["dense"][0] + WINDOW["dense"][1] * -(-weights.shape[1] // 4)
    cost_pairs = WINDOW["delta8"][0] + WINDOW["delta8"][1] * pairs.steps / len(weights)
    slower, larger = cost_pairs / cost, pairs.bytes / dense.bytes
    better = {"size": larger < 1, "speed": slower < 1}.get(how, slower + larger < 2)
    return pairs if better and weights.shape[1] <= MOST_TAPS else dense


def instructions(stored: Stored, weights: NDArray[np.int8], pixels: Pixels) -> float:
    """Instructions of the layer, estimated."""
    return float(np.dot(work(stored, weights, pixels), COSTS[stored.storage]))


def work(stored: Stored, weights: NDArray[np.int8], pixels: Pixels) -> tuple[int, int, int, int]:
    """Rows in all bands, blocks, multiplications of a weight with a block, bytes that are unpacked."""
    rows, blocks = len(weights), pixels.blocks(BLOCK[stored.storage])
    live = int(np.count_nonzero(weights.any(axis=1)))  # the others are constants, written at once
    unpacked = stored.bytes if stored.storage in ("nibble", "bitmap") else 0
    steps = live * weights.shape[1] if stored.storage == "dense" else stored.steps
    return rows * pixels.bands, live * blocks, steps * blocks, unpacked
