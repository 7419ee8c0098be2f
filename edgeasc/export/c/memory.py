"""Where every tensor lies in the arena: lifetimes, sharing in place, and offsets.

Offsets are found greedily, largest first at the lowest free place, as TensorFlow Lite Micro's planner does, and also
in the order of first use and by length of life; what ends up highest is then tried earlier. The smallest arena wins; it
can never be below the largest sum of live tensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgeasc.export.c.program import Program

ALIGNMENT = 8  # bytes
REPAIRS = 24  # attempts to bring the arena down to what is alive at once


@dataclass(frozen=True)
class Life:
    """A block of the arena: aligned bytes, alive from step `first` to step `last`."""

    block: str
    bytes: int
    first: int
    last: int

    def overlaps(self, other: Life) -> bool:
        """Whether both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Layout:
    """Offset of every tensor; bytes of the arena; the least that any layout of these lives would need."""

    offsets: dict[str, int]
    arena_bytes: int
    live_bytes: int


def lay_out(program: Program) -> Layout:
    """Place all tensors of `program`."""
    block = share_in_place(program)
    lives = lifetimes(program, block)
    orders = (
        sorted(lives, key=lambda life: (-life.bytes, life.first)),
        sorted(lives, key=lambda life: (life.first, -life.bytes)),
        sorted(lives, key=lambda life: (-(life.last - life.first), -life.bytes)),
    )
    steps = range(-1, len(program.steps) + 1)
    live = max(sum(life.bytes for life in lives if life.first <= step <= life.last) for step in steps)
    places = min((_repaired(order, live) for order in orders), key=_end)
    offsets = {tensor: places[home][0] for tensor, home in block.items()}
    return Layout(offsets, _end(places), live)


def share_in_place(program: Program) -> dict[str, str]:
    """The block of every tensor, named after the first tensor in it.

    A step that may work in place does so where what it overwrites is not read later and is no smaller.
    """
    last, ends = _last_reads(program), _loop_ends(program)
    block = {program.input.tensor: program.input.tensor}
    taken: set[str] = set()
    for index, step in enumerate(program.steps):
        if step.writes in block:
            continue
        home = step.writes
        until = ends.get(step.loop, index) if step.carried else index
        for source in (*(step.reads[place] for place in step.in_place), *step.over):
            dies = last.get(source) == until and source != program.output.tensor and source not in taken
            if source in block and dies and program.sizes[source] >= program.sizes[step.writes]:
                home = block[source]
                taken.add(source)
                break
        block[step.writes] = home
    return block


def lifetimes(program: Program, block: dict[str, str]) -> list[Life]:
    """First and last step of every block; the input exists before the first step, the output after the last."""
    last, first = _last_reads(program), _first_writes(program)
    lives: dict[str, Life] = {}
    for tensor, home in block.items():
        size = -(-program.sizes[tensor] // ALIGNMENT) * ALIGNMENT
        life = Life(home, size, first[tensor], max(last.get(tensor, first[tensor]), first[tensor]))
        known = lives.get(home)
        if known is not None:
            life = Life(home, max(known.bytes, size), min(known.first, life.first), max(known.last, life.last))
        lives[home] = life
    return list(lives.values())


def _loop_ends(program: Program) -> dict[int, int]:
    """Last step of every loop."""
    return {step.loop: index for index, step in enumerate(program.steps) if step.loop >= 0}


def _first_writes(program: Program) -> dict[str, int]:
    """Step at which a tensor begins to exist: of what outlives its strip, the loop's first."""
    starts: dict[int, int] = {}
    first = {program.input.tensor: -1}
    for index, step in enumerate(program.steps):
        start = starts.setdefault(step.loop, index) if step.loop >= 0 else index
        first.setdefault(step.writes, start if step.carried else index)
    return first


def _last_reads(program: Program) -> dict[str, int]:
    """Step after which nobody reads a tensor: of what a loop did not write for one strip only, the loop's last."""
    ends = _loop_ends(program)
    brief = {(step.loop, step.writes) for step in program.steps if step.loop >= 0 and not step.carried}
    last: dict[str, int] = {}
    for index, step in enumerate(program.steps):
        for tensor in step.reads:
            within = step.loop < 0 or (step.loop, tensor) in brief
            last[tensor] = index if within else ends[step.loop]
        if step.carried:
            last[step.writes] = ends[step.loop]
    last[program.output.tensor] = len(program.steps)
    return last


def _repaired(order: list[Life], enough: int) -> dict[str, tuple[int, int]]:
    """Places in `order`; as long as the arena is larger than `enough`, the block at its end is placed earlier."""
    best = places = _place(order)
    for _ in range(REPAIRS):
        if _end(best) <= enough:
            break
        last = max(order, key=lambda life: places[life.block][1])
        order = [last, *(life for life in order if life is not last)]
        places = _place(order)
        best = min(best, places, key=_end)
    return best


def _place(lives: Iterable[Life]) -> dict[str, tuple[int, int]]:
    """(offset, end) of every block, each at the lowest place that is free during its life."""
    placed: list[tuple[Life, int]] = []
    for life in lives:
        at = 0
        busy = sorted((offset, offset + other.bytes) for other, offset in placed if life.overlaps(other))
        for start, end in busy:
            if at + life.bytes <= start:
                break
            at = max(at, end)
        placed.append((life, at))
    return {life.block: (offset, offset + life.bytes) for life, offset in placed}


def _end(places: dict[str, tuple[int, int]]) -> int:
    return max((end for _, end in places.values()), default=0)
