"""Peak activation RAM by liveness: what must exist at the same time when operators run in their stored order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One operator: the activations it reads and writes."""

    name: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]


def live_bytes(
    steps: Sequence[Step], sizes: Mapping[int, int], inputs: Sequence[int], outputs: Sequence[int]
) -> list[int]:
    """Bytes alive during every step.

    A tensor lives from the step that writes it (the start, for `inputs`) to the last that reads it (the end, for
    `outputs`). No operator works in place. `sizes` are bytes of activations; what is not in it, a constant, is free.
    """
    last = {tensor: index for index, step in enumerate(steps) for tensor in (*step.writes, *step.reads)}
    last |= dict.fromkeys(outputs, len(steps))
    dying: list[list[int]] = [[] for _ in range(len(steps) + 1)]
    for tensor, index in last.items():
        dying[index].append(tensor)
    alive = {tensor for tensor in inputs if tensor in sizes}
    total = sum(sizes[tensor] for tensor in alive)
    result = []
    for index, step in enumerate(steps):
        for tensor in step.writes:
            if tensor in sizes and tensor not in alive:
                alive.add(tensor)
                total += sizes[tensor]
        result.append(total)
        for tensor in dying[index]:
            if tensor in alive:
                alive.remove(tensor)
                total -= sizes[tensor]
    return result
