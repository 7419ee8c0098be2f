"""Peak activation RAM by liveness: what must exist at the same time when operators run one after another.

The stored order is what TFLite and TFLM run; the best order is what a converter could have stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One operator: the activations it reads and writes."""

    name: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Peak RAM in the stored order and in the best order found.

    Attributes:
        live: bytes alive during every step in stored order.
        best_peak: the peak of the best order found. exact: whether no order needs less.
        order: the best order, as positions of steps; empty where the stored order is as good.
    """

    live: tuple[int, ...] = ()
    peak_layer: str = ""
    best_peak: int = 0
    exact: bool = True
    order: tuple[str, ...] = ()

    @property
    def peak(self) -> int:
        """The most bytes alive at once in stored order."""
        return max(self.live, default=0)


def plan(steps: Sequence[Step], sizes: Mapping[int, int], inputs: Sequence[int], outputs: Sequence[int]) -> Plan:
    """Live bytes of every step in stored order, and the best order where it needs less."""
    from edgeasc.audit.order import better_order

    live = live_bytes(steps, sizes, inputs, outputs)
    if not live:
        return Plan()
    peak = max(live)
    order, exact = better_order(steps, sizes, inputs, outputs, peak)
    best = max(live_bytes([steps[number] for number in order], sizes, inputs, outputs)) if order else peak
    names = tuple(steps[number].name for number in order)
    return Plan(tuple(live), steps[live.index(peak)].name, best, exact, names)


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
