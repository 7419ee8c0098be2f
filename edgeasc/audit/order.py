"""An order of operators that needs less RAM than the stored one.

Exact for small graphs: a best-first search over the sets of operators already run, cheapest peak first, so that the
first complete set has the least peak. Two things keep it small: a set is visited once, and an operator that frees at
least as much as it writes, without a new peak, is run at once (putting it off can never help). After `MAX_TRIALS`
trials of an operator the search ends and a greedy order stands in: of the operators that could run, the one that leaves
least behind.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import count

from edgeasc.audit.memory import Step

MAX_TRIALS = 100_000  # some tenths of a second
MAX_STEPS = 2_000

Order = tuple[int, ...]


def better_order(
    steps: Sequence[Step], sizes: Mapping[int, int], inputs: Sequence[int], outputs: Sequence[int], peak: int
) -> tuple[Order, bool]:
    """An order with a peak below `peak`, empty where there is none, and whether that is certain.

    Graphs in which a tensor is written twice, or read before it is written, keep their order.
    """
    written = [tensor for step in steps for tensor in step.writes if tensor in sizes]
    if len(written) != len(set(written)) or set(written) & set(inputs) or not all(step.writes for step in steps):
        return (), False
    floor = max(sum({t: sizes[t] for t in (*step.reads, *step.writes) if t in sizes}.values()) for step in steps)
    if peak <= floor:
        return (), True
    if len(steps) > MAX_STEPS:
        return (), False
    graph = _Graph(steps, sizes, inputs, outputs)
    try:
        return graph.search(peak), True
    except _TooWide:
        graph.trials = 0
    try:
        return graph.greedy(peak), False
    except _TooWide:
        return (), False


class _TooWide(Exception):
    """The search has tried as much as it may."""


class _Graph:
    """Steps as bits of a set: what each needs, what it writes, and who reads a tensor."""

    def __init__(
        self, steps: Sequence[Step], sizes: Mapping[int, int], inputs: Sequence[int], outputs: Sequence[int]
    ) -> None:
        self.all, self.trials = (1 << len(steps)) - 1, 0
        self.sizes, self.kept = sizes, set(outputs)
        writer = {tensor: number for number, step in enumerate(steps) for tensor in step.writes}
        self.readers: dict[int, int] = {}
        for number, step in enumerate(steps):
            for tensor in step.reads:
                self.readers[tensor] = self.readers.get(tensor, 0) | 1 << number
        self.needs = [sum({1 << writer[tensor] for tensor in step.reads if tensor in writer}) for step in steps]
        self.reads = [[tensor for tensor in step.reads if tensor in sizes] for step in steps]
        self.writes = [sum(sizes[tensor] for tensor in step.writes if tensor in sizes) for step in steps]
        self.unread = [
            sum(sizes[t] for t in step.writes if t in sizes and t not in self.readers and t not in self.kept)
            for step in steps
        ]
        self.start = sum(sizes[tensor] for tensor in set(inputs) if tensor in sizes)
        self.following: list[set[int]] = [set() for _ in steps]
        for number, step in enumerate(steps):
            for tensor in step.reads:
                if tensor in writer:
                    self.following[writer[tensor]].add(number)

    def after(self, done: int, live: int, number: int) -> tuple[int, int]:
        """Bytes while step `number` runs after the set `done`, and bytes left when it is over."""
        self.trials += 1
        if self.trials > MAX_TRIALS:
            raise _TooWide
        during = live + self.writes[number]
        left = during - self.unread[number]
        rest = ~(done | 1 << number)
        for tensor in self.reads[number]:
            if tensor not in self.kept and not self.readers[tensor] & rest:
                left -= self.sizes[tensor]
        return during, left

    def search(self, bound: int) -> Order:
        """The best order, empty where no order is below `bound`."""
        ready = frozenset(number for number, needs in enumerate(self.needs) if not needs)
        tie = count()
        heap: list[tuple[int, int, int, int, int, frozenset[int], object]] = []
        heapq.heappush(heap, (self.start, 0, next(tie), 0, self.start, ready, None))
        seen: set[int] = set()
        while heap:
            peak, _, _, done, live, ready, path = heapq.heappop(heap)
            if done in seen:
                continue
            done, live, ready, path = self.run_free(peak, done, live, ready, path)
            if done == self.all:
                return _unrolled(path)
            if done in seen:
                continue
            seen.add(done)
            for number in ready:
                during, left = self.after(done, live, number)
                if during < bound:
                    now = done | 1 << number
                    state = (now, left, self.made_ready(ready, now, number), (path, number))
                    heapq.heappush(heap, (max(peak, during), -now.bit_count(), next(tie), *state))
        return ()

    def run_free(
        self, peak: int, done: int, live: int, ready: frozenset[int], path: object
    ) -> tuple[int, int, frozenset[int], object]:
        """Run whatever costs nothing: no new peak, and no more left behind than before."""
        moved = True
        while moved:
            moved = False
            for number in ready:
                during, left = self.after(done, live, number)
                if during <= peak and left <= live:
                    done, live, path, moved = done | 1 << number, left, (path, number), True
                    ready = self.made_ready(ready, done, number)
                    break
        return done, live, ready, path

    def made_ready(self, ready: frozenset[int], done: int, number: int) -> frozenset[int]:
        """The steps that can run once `number` has."""
        fresh = (other for other in self.following[number] if not self.needs[other] & ~done)
        return (ready - {number}).union(fresh)

    def greedy(self, bound: int) -> Order:
        """The order that always leaves least behind; empty where its peak is no better than `bound`."""
        ready = frozenset(number for number, needs in enumerate(self.needs) if not needs)
        done, live, order = 0, self.start, []
        while ready:
            cost = {number: self.after(done, live, number) for number in ready}
            number = min(cost, key=lambda each: (cost[each][1], cost[each][0], each))
            if cost[number][0] >= bound:
                return ()
            done, live = done | 1 << number, cost[number][1]
            order.append(number)
            ready = self.made_ready(ready, done, number)
        return tuple(order)


def _unrolled(path: object) -> Order:
    order = []
    while isinstance(path, tuple):
        path, number = path
        order.append(number)
    return tuple(reversed(order))
