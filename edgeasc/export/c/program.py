"""A graph as a sequence of calls of C kernels: what the writer prints, the memory planner places, the audit weighs.

One step per node. Constants become named arrays; which kernel a convolution gets, and how its weights are stored, is
decided here by exact byte count.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.model import Form

CType = Literal["int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t"]
Storage = Literal["dense", "delta8", "nibble", "bitmap", "none"]
Role = Literal["weights", "indices", "bias", "scales", "table", "constant", "front end"]
COPY = "copy"  # operator of steps that only move bytes
WIDTH = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "uint32_t": 4}


@dataclass(frozen=True)
class Array:
    """A constant array of the generated C. `role` says what it is to the audit."""

    name: str
    ctype: CType
    values: NDArray[Any] = field(repr=False)
    role: Role = "constant"

    @property
    def bytes(self) -> int:
        """Bytes of flash."""
        return int(self.values.size) * WIDTH[self.ctype]


@dataclass(frozen=True)
class Step:
    """One kernel call.

    Attributes:
        name, op: layer and operator. kernel: file that defines `function`.
        reads, writes: tensors. in_place: which of `reads` the output may overwrite.
        call: arguments in C, with `@0`, `@1` for the tensors read and `@out` for the one written.
        before: declarations in C that the call refers to.
        storage: how the weights are kept; `index_bytes` of them say where they belong. macs: multiply-accumulates of
            the dense layer.
        layer: index of the layer that it belongs to.
        over: more tensors that the output may overwrite.
        loop: the loop that it is in, or -1; lead: strips by which it is ahead there; beyond: whether it runs after the
            last strip too. In `call`, `@i` is the strip's number.
        shifts: for each of `reads`, and last for `writes`, bytes from the tensor's begin and bytes per strip.
        carried: whether what it writes outlives the strip.
    """

    name: str
    op: str
    kernel: str
    function: str
    reads: tuple[str, ...]
    writes: str
    call: str
    before: tuple[str, ...] = ()
    arrays: tuple[Array, ...] = ()
    in_place: tuple[int, ...] = ()
    storage: Storage = "none"
    macs: int = 0
    index_bytes: int = 0
    layer: int = -1
    over: tuple[str, ...] = ()
    loop: int = -1
    lead: int = 0
    beyond: bool = False
    shifts: tuple[tuple[int, int], ...] = ()
    carried: bool = False

    @property
    def bytes_by_role(self) -> dict[str, int]:
        """Flash bytes of its constants; positions that lie between weights count as indices."""
        found = dict.fromkeys(get_args(Role), 0)
        for array in self.arrays:
            found[array.role] += array.bytes
        if not found["indices"]:
            found["weights"], found["indices"] = found["weights"] - self.index_bytes, self.index_bytes
        return found


@dataclass(frozen=True)
class Loop:
    """Strips of a loop, and by how many its foremost step is ahead of the last."""

    strips: int
    lead: int


@dataclass(frozen=True)
class Port:
    """Input or output of the program: `real = (integer - zero_point) * scale`."""

    tensor: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        """Number of values, equal to its bytes."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Program:
    """Steps in order. `sizes` are bytes of every tensor that is not constant; `constants` the others."""

    form: Form
    input: Port
    output: Port
    steps: tuple[Step, ...]
    sizes: dict[str, int]
    constants: tuple[Array, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    loops: tuple[Loop, ...] = ()

    @property
    def arrays(self) -> tuple[Array, ...]:
        """All constant arrays, in the order in which they are written; steps may share them."""
        found = {array.name: array for step in self.steps for array in step.arrays}
        return (*self.constants, *found.values())

    @property
    def layers(self) -> tuple[tuple[Step, ...], ...]:
        """The steps of every layer, its kernel before the copies for it."""
        count = max((step.layer for step in self.steps), default=-1) + 1
        own: list[list[Step]] = [[] for _ in range(count)]
        for step in self.steps:
            own[step.layer].append(step)
        return tuple(tuple(sorted(steps, key=lambda step: step.op == COPY)) for steps in own)

    @property
    def kernels(self) -> tuple[str, ...]:
        """Kernel files that are used, sorted."""
        return tuple(sorted({step.kernel for step in self.steps}))

    @property
    def bytes_by_role(self) -> dict[str, int]:
        """Flash bytes of all constant arrays by what they are."""
        total = dict.fromkeys(get_args(Role), 0)
        total["constant"] = sum(array.bytes for array in self.constants)
        seen: set[str] = set()
        for step in self.steps:
            fresh = tuple(array for array in step.arrays if array.name not in seen)
            seen.update(array.name for array in fresh)
            stored = any(array.role == "weights" for array in fresh)
            own = replace(step, arrays=fresh, index_bytes=step.index_bytes if stored else 0)
            for role, size in own.bytes_by_role.items():
                total[role] += size
        return total

    @property
    def constant_bytes(self) -> int:
        """Flash bytes of all constant arrays."""
        return sum(array.bytes for array in self.arrays)
