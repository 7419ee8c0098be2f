"""The cheapest plan of strips under a limit of RAM, or the smallest RAM that any plan needs.

Cuts lie where little is alive, and before the sums that wait for a mean over frequency. Between two cuts the network
runs node by node, or in strips; at every cut, large tensors may be left unstored and computed again behind it. Dynamic
programming over the cuts keeps, for every set of tensors that is kept, the plan with the fewest instructions by the
model of `work`, among those whose tensors fit. The arena that counts is the one of the finished layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

from edgeasc.errors import CheckFailed
from edgeasc.export.c.extent import frequencies
from edgeasc.export.c.memory import lay_out, lifetimes, share_in_place
from edgeasc.export.c.pieces import Piece
from edgeasc.export.c.program import Port, Program, Step
from edgeasc.export.c.schedule import draft_of, schedule
from edgeasc.export.c.strip_calls import in_strips
from edgeasc.export.c.strips import Plan, Stretch, Unsuitable, is_reduction, resolve
from edgeasc.export.c.work import work
from edgeasc.graph.model import IntegerGraph, Mean

DROPS = 2  # tensors that one cut may leave unstored
LONGEST = 48  # nodes of one stretch
MOST_STATES = 4  # kept per cut, with and without debts
SMALLEST_STEP = 256  # bytes to which the smallest arena is searched

Kept = frozenset[str]


@dataclass(frozen=True)
class _Way:
    """A plan up to a cut: its instructions, and the stretches so far."""

    cost: float
    plan: Plan


@dataclass
class Search:
    """The search over one program; remembers what stretches need."""

    graph: IntegerGraph
    program: Program
    known: dict[tuple[Stretch, Kept], tuple[int, float, frozenset[str]] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.alive = [self._alive(at) for at in range(len(self.graph.nodes) + 1)]
        self.cuts = self._cuts()
        self.plain = lay_out(self.program).arena_bytes
        self.reach = [self._reach(at) for at in range(len(self.graph.nodes))]
        self.works = [self._work(at) for at in range(len(self.graph.nodes))]

    def fit(self, limit: int) -> Plan | None:
        """The cheapest plan found whose arena is at most `limit` bytes."""
        if self.plain <= limit:
            return ()
        live = limit
        for _ in range(6):  # a layout may need more than what is alive at once
            plan = self._plan(live)
            if plan is None:
                return None
            arena = lay_out(in_strips(self.program, self.graph, plan)).arena_bytes
            if arena <= limit:
                return plan
            live -= arena - limit
        return None

    def extra(self, plan: Plan) -> float:
        """Instructions by the model that a plan takes beyond those of the whole network."""
        made = schedule(self.graph, plan)
        return sum(work(piece, self.program, made) for piece in made.pieces) - sum(self.works)

    def smallest(self) -> tuple[int, Plan]:
        """The smallest arena found, and its plan."""
        best, plan = self.plain, Plan()
        low = max(self.graph[self.graph.input].size, self.graph[self.graph.output].size)
        while best - low > SMALLEST_STEP:
            middle = (low + best) // 2
            found = self.fit(middle)
            if found is None:
                low = middle
            else:
                best, plan = lay_out(in_strips(self.program, self.graph, found)).arena_bytes, found
        return best, plan

    def _alive(self, at: int) -> Kept:
        """Tensors written before node `at` and read by it or later."""
        written = {self.graph.input, *(node.output for node in self.graph.nodes[:at])}
        read = {name for node in self.graph.nodes[at:] for name in node.inputs} | {self.graph.output}
        return frozenset(written & read)

    def _bytes(self, names: Iterable[str]) -> int:
        return sum(-(-self.graph[name].size // 8) * 8 for name in names)

    def _cuts(self) -> list[int]:
        """Positions between nodes where a stretch may begin or end."""
        sizes = [self._bytes(names) for names in self.alive]
        nodes = self.graph.nodes
        small = [at for at in range(1, len(nodes)) if sizes[at] < sizes[at - 1] or sizes[at] < sizes[at + 1]]
        late = [at for at, node in enumerate(nodes) if self._waits(at) and not isinstance(node, Mean)]
        return sorted({0, len(nodes), *small, *late})

    def _reach(self, at: int) -> int:
        """The furthest end of a stretch from node `at`: before what waits for a mean over frequency within it."""
        late: set[str] = set()
        for index in range(at, min(len(self.graph.nodes), at + LONGEST)):
            node = self.graph.nodes[index]
            tall = any(frequencies(self.graph[name]) > 1 for name in (*node.inputs, node.output))
            waits = any(name in late for name in node.inputs)
            if tall and waits:
                return index
            if waits or (tall and is_reduction(node, self.graph)):
                late.add(node.output)
        return min(len(self.graph.nodes), at + LONGEST)

    def _work(self, at: int) -> float:
        """Instructions of a node on whole tensors."""
        made = draft_of(self.graph, None, (), at)
        return work(made.pieces[0], self.program, made)

    def _waits(self, at: int) -> bool:
        """Whether a node puts a tensor of one frequency together with others of many."""
        node = self.graph.nodes[at]
        tall = [frequencies(self.graph[name]) for name in node.inputs if self.graph[name].data is None]
        return bool(tall) and min(tall) == 1 < max(tall)

    def _plan(self, limit: int) -> Plan | None:
        """Dynamic programming over the cuts."""
        ways: list[dict[tuple[Kept, Kept], _Way]] = [{} for _ in range(len(self.graph.nodes) + 1)]
        ways[0][self.alive[0], frozenset()] = _Way(0.0, ())
        hot = self._hot(limit)
        for at in range(len(self.graph.nodes)):
            for (kept, dropped), way in self._best(ways[at]):
                self._go_plain(ways, at, kept, dropped, way, limit)
                if at in self.cuts:
                    self._go_in_strips(ways, at, kept, dropped, way, limit, hot)
        ends = ways[-1].values()
        return min(ends, key=lambda way: way.cost).plan if ends else None

    @staticmethod
    def _best(ways: dict[tuple[Kept, Kept], _Way]) -> Iterator[tuple[tuple[Kept, Kept], _Way]]:
        """The cheapest ways to a cut: as many without debts as with tensors that are still to be computed again."""
        order = sorted(ways.items(), key=lambda item: item[1].cost)
        for owing in (False, True):
            yield from [item for item in order if bool(item[0][1]) is owing][:MOST_STATES]

    def _hot(self, limit: int) -> list[int]:
        """Nodes at which more is alive than the limit when they run on whole tensors."""
        lives = lifetimes(self.program, share_in_place(self.program))
        return [
            at
            for at in range(len(self.graph.nodes))
            if sum(life.bytes for life in lives if life.first <= at <= life.last) > limit
        ]

    def _go_plain(
        self, ways: list[dict[tuple[Kept, Kept], _Way]], at: int, kept: Kept, dropped: Kept, way: _Way, limit: int
    ) -> None:
        node = self.graph.nodes[at]
        if any(name in dropped for name in node.inputs):
            return
        after = self._after(kept, dropped & self.alive[at + 1], at + 1, {node.output})
        if after is None:
            return
        pieces = draft_of(self.graph, None, kept, at)
        if self._peak(pieces.pieces, pieces.sizes, kept, after) <= limit:
            self._enter(ways[at + 1], (after, dropped & self.alive[at + 1]), _Way(way.cost, way.plan))

    def _go_in_strips(
        self, ways: list[dict[tuple[Kept, Kept], _Way]], at: int, kept: Kept, dropped: Kept, way: _Way, limit: int,
        hot: list[int],
    ) -> None:  # fmt: skip
        for end in (cut for cut in self.cuts if at < cut <= self.reach[at]):
            if not dropped and not any(at <= index < end for index in hot):
                continue
            for drop in self._drops(at, end, limit):
                left = (dropped | drop) & self.alive[end]
                if self._bytes(self.alive[end] - left) > limit:
                    continue
                for strips in self._strips(at, end):
                    stretch = Stretch(at, end, strips, tuple(sorted(drop)))
                    found = self._measure(stretch, kept, dropped, left)
                    if found is None:
                        continue
                    if found[0] > limit:
                        break  # fewer strips are larger
                    done = _Way(way.cost + found[1], (*way.plan, stretch))
                    self._enter(ways[end], (found[2], left), done)

    @staticmethod
    def _enter(ways: dict[tuple[Kept, Kept], _Way], state: tuple[Kept, Kept], way: _Way) -> None:
        if state not in ways or way.cost < ways[state].cost:
            ways[state] = way

    def _drops(self, at: int, end: int, limit: int) -> Iterator[Kept]:
        """Sets of tensors that a stretch may leave unstored: none, or large ones that it writes."""
        written = {node.output for node in self.graph.nodes[at:end]} & self.alive[end]
        large = [n for n in sorted(written) if frequencies(self.graph[n]) > 1 and 8 * self.graph[n].size > limit]
        for count in range(min(DROPS, len(large)) + 1):
            yield from map(frozenset, combinations(large, count))

    def _strips(self, at: int, end: int) -> list[int]:
        rows = {frequencies(self.graph[node.output]) for node in self.graph.nodes[at:end]} - {1}
        most = min(rows, default=1)
        return [n for n in range(most, 1, -1) if all(row % n == 0 for row in rows)]

    def _after(self, kept: Kept, dropped: Kept, at: int, stored: set[str]) -> Kept | None:
        """Tensors that are kept behind a cut: those read later, and those from which `dropped` can be computed."""
        there = kept | stored
        result = set(self.alive[at] - dropped)
        if not result <= there:
            return None
        producer = {node.output: node for node in self.graph.nodes}
        open_names, seen = list(dropped), set(dropped)
        while open_names:
            name = open_names.pop()
            if name in there and name not in dropped:
                result.add(name)
            elif self.graph[name].data is None:
                if name not in producer:
                    return None
                fresh = [source for source in producer[name].inputs if source not in seen]
                seen.update(fresh)
                open_names += fresh
        return frozenset(result)

    def _measure(self, stretch: Stretch, kept: Kept, dropped: Kept, left: Kept) -> tuple[int, float, Kept] | None:
        """Bytes alive at once in a stretch, its instructions beyond those of whole tensors, and what is kept behind."""
        key = (replace(stretch, dropped=(*stretch.dropped, "/", *sorted(left))), kept)
        if key not in self.known:
            self.known[key] = self._measured(stretch, kept, left)
        return self.known[key]

    def _measured(self, stretch: Stretch, kept: Kept, left: Kept) -> tuple[int, float, Kept] | None:
        try:
            if not resolve(self.graph, stretch, kept).loop:
                return None  # a shorter stretch does the same
            made = draft_of(self.graph, stretch, kept)
        except Unsuitable:
            return None
        stored = {piece.writes.tensor for piece in made.pieces} & set(self.graph.tensors)
        after = self._after(kept, left, stretch.end, stored)
        if after is None:
            return None
        plain = sum(self.works[stretch.first : stretch.end])
        extra = sum(work(piece, self.program, made) for piece in made.pieces) - plain
        return self._peak(made.pieces, made.sizes, kept, after), extra, after

    def _peak(self, pieces: Iterable[Piece], sizes: dict[str, int], before: Kept, after: Kept) -> int:
        """Bytes alive at once while `pieces` run, with what is kept before and behind them."""
        begin = [Step("", "", "", "", (), name, "") for name in sorted(before)]
        middle = [self._step(piece) for piece in pieces]
        end = Step("", "", "", "", tuple(sorted(after)), "~end", "")
        whole = {name: self.graph[name].size for name in before | after}
        port = Port("~begin", (0,), 1.0, 0)
        steps = (*begin, *middle, end)
        program = Program(
            self.graph.form, port, replace(port, tensor="~end"), steps, sizes | whole | {"~begin": 0, "~end": 0}
        )
        lives = lifetimes(program, share_in_place(program))
        return max(
            sum(life.bytes for life in lives if life.first <= at <= life.last) for at in range(len(begin), len(steps))
        )

    def _step(self, piece: Piece) -> Step:
        """What the memory planner has to know of a piece."""
        inside = self.program.steps[piece.layer].in_place if piece.kind == "node" and piece.loop < 0 else ()
        return Step(
            "", "", "", "", tuple(place.tensor for place in piece.reads), piece.writes.tensor, "", in_place=inside,
            over=piece.over, loop=piece.loop, carried=piece.kind in ("roll", "sums") or piece.writes.step > 0,
        )  # fmt: skip


def plan_for(graph: IntegerGraph, program: Program, limit: int) -> Plan:
    """The plan with the fewest instructions, by the model, whose arena is at most `limit` bytes.

    Raises:
        CheckFailed: no plan gets there; the smallest arena is named.
    """
    search = Search(graph, program)
    plan = search.fit(limit)
    if plan is None:
        least, _ = search.smallest()
        raise CheckFailed("--ram", f"the arena needs at least {least:,} B, {limit:,} B are allowed")
    return plan
