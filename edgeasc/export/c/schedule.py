"""Graph and plan as pieces of work in order: nodes on whole tensors, and loops of nodes and copies on strips.

A piece says which bytes it reads and writes, as places in tensors that a strip's number may move. Nothing here knows C:
`lower` makes kernel calls of the pieces, and the tests run them with the numpy kernels in one flat arena.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from edgeasc.export.c.extent import Strided, frequencies, shape3
from edgeasc.export.c.pieces import Block, Draft, Kind, Piece, Place, Schedule
from edgeasc.export.c.program import Loop
from edgeasc.export.c.strips import Cut, Need, Plan, Stretch, Unsuitable, is_reduction, needs, resolve, strip_of
from edgeasc.graph.model import Add, Conv, IntegerGraph, Mean, Mul, Node, Pool, Sub

SUM_BYTES = 4  # of a running sum


def schedule(graph: IntegerGraph, plan: Plan = ()) -> Schedule:
    """The pieces of `graph` under `plan`.

    Raises:
        Unsuitable: the plan does not fit the graph.
    """
    draft = Draft(graph, tensors=dict(graph.tensors), whole={graph.input})
    draft.sizes[graph.input] = graph[graph.input].size
    at = 0
    for stretch in check_plan(graph, plan):
        _plain(draft, range(at, stretch.first))
        if not all(name in outputs_of(graph, stretch) for name in stretch.dropped):
            raise Unsuitable("drops what it does not write")
        if graph.output in stretch.dropped:
            raise Unsuitable("drops the network's output")
        _stretch(draft, resolve(graph, stretch, draft.whole))
        at = stretch.end
    _plain(draft, range(at, len(graph.nodes)))
    return Schedule(graph, tuple(draft.pieces), tuple(draft.loops), draft.tensors, draft.sizes)


def draft_of(graph: IntegerGraph, stretch: Stretch | None, whole: Iterable[str], at: int = 0) -> Draft:
    """The pieces of one stretch, or of node `at` on whole tensors, where the tensors `whole` exist.

    Raises:
        Unsuitable: the stretch does not fit the graph.
    """
    draft = Draft(graph, tensors=dict(graph.tensors), whole=set(whole))
    if stretch is None:
        draft.whole |= set(graph.nodes[at].inputs)
        _plain(draft, (at,))
    else:
        _stretch(draft, resolve(graph, stretch, draft.whole))
    return draft


def check_plan(graph: IntegerGraph, plan: Plan) -> Plan:
    """`plan`, whose stretches lie inside the graph, in order and apart.

    Raises:
        Unsuitable: they do not.
    """
    at = 0
    for stretch in plan:
        if not at <= stretch.first < stretch.end <= len(graph.nodes) or stretch.strips < 2:
            raise Unsuitable(f"stretch {stretch.first} to {stretch.end} in {stretch.strips} strips")
        at = stretch.end
    return plan


def outputs_of(graph: IntegerGraph, stretch: Stretch) -> list[str]:
    """Tensors in strips that a stretch may drop."""
    nodes = graph.nodes[stretch.first : stretch.end]
    return [node.output for node in nodes if frequencies(graph[node.output]) > 1]


def _plain(draft: Draft, indices: Iterable[int]) -> None:
    """Nodes on whole tensors."""
    graph = draft.graph
    for index in indices:
        node = graph.nodes[index]
        missing = [name for name in node.inputs if graph[name].data is None and name not in draft.whole]
        if missing:
            raise Unsuitable(f"{node.name} reads {missing[0]}, which is not stored")
        reads = tuple(Place(name) for name in node.inputs)
        draft.pieces.append(Piece("node", (node,), index, reads, Place(node.output)))
        draft.whole.add(node.output)
        draft.sizes[node.output] = graph[node.output].size


def _stretch(draft: Draft, cut: Cut) -> None:
    _plain(draft, cut.before)
    if cut.loop:
        _Strips(draft, cut).write()
    _plain(draft, cut.after)


class _Strips:
    """Writes the loop of one stretch. Its own tensors are named `<tensor>~<loop>` for strips, with `w` for windows."""

    def __init__(self, draft: Draft, cut: Cut) -> None:
        self.draft, self.graph, self.cut = draft, draft.graph, cut
        self.loop = len(draft.loops)
        self.views: dict[tuple[str, Need, int, bool], tuple[str, Place]] = {}
        draft.loops.append(Loop(cut.stretch.strips, cut.lead))

    def write(self) -> None:
        """All pieces of the loop; whole tensors are written last, so that they may lie over what the loop reads."""
        fetched: set[str] = set()
        for index in self.cut.loop:
            for name in needs(self.graph.nodes[index], self.graph, self.cut.stretch.strips):
                if name in self.cut.whole and name not in fetched:
                    fetched.add(name)
                    self._fetch(name, index)
            self._node(index)
        for name in self.cut.stored:
            self._store(name)
        for index in self.cut.loop:
            if is_reduction(self.graph.nodes[index], self.graph):
                self._mean(index)

    def _name(self, tensor: str, kind: str = "") -> str:
        return f"{tensor}~{kind}{self.loop}"

    def _frames(self, tensor: str) -> int:
        return shape3(self.graph[tensor])[2]

    def _channels(self, tensor: str) -> int:
        return shape3(self.graph[tensor])[0]

    def _plane(self, tensor: str, rows: int | None = None) -> int:
        return (frequencies(self.graph[tensor]) if rows is None else rows) * self._frames(tensor)

    def _fetch(self, name: str, layer: int) -> None:
        """A tensor from before: the next strip of it into its window. Without a window it is read where it lies."""
        window = self.cut.windows[name]
        if window.rolling:
            strip = Place(name, 0, window.rows * self._frames(name))
            self._roll(name, strip, self._plane(name), layer)

    def _roll(self, name: str, strip: Place, plane: int, layer: int) -> None:
        window = self.cut.windows[name]
        rolled = self._name(name, "w")
        self.draft.tensors[rolled] = strip_of(self.graph[name], window.height, rolled)
        self.draft.sizes[rolled] = self.draft.tensors[rolled].size
        shape = (self._channels(name), window.rows, self._frames(name))
        block = Block(shape, (plane, self._plane(name, window.height)))
        self._add(
            "roll", (), layer, (strip,), Place(rolled), block, window.lead, beyond=True,
            zero=self.graph[name].zero_point,
        )  # fmt: skip

    def _add(
        self, kind: Kind, nodes: tuple[Node, ...], layer: int, reads: tuple[Place, ...], writes: Place,
        block: Block | None, lead: int, *, every: int = 1, beyond: bool = False, zero: int = 0,
        over: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.draft.pieces.append(
            Piece(kind, nodes, layer, reads, writes, block, self.loop, lead, every, beyond, zero, over)
        )

    def _node(self, index: int) -> None:
        """One node on a strip; its result goes on into its window."""
        node = self.graph.nodes[index]
        strips = self.cut.stretch.strips
        reduction = is_reduction(node, self.graph)
        lead = 0 if reduction else self.cut.windows[node.output].lead
        found = needs(node, self.graph, strips)
        if reduction:
            self._sums(index, found, lead)
            return
        inputs, reads = [], []
        for name in node.inputs:
            view, place = self._input(node, name, found, lead, index)
            inputs.append(view)
            reads.append(place)
        window = self.cut.windows[node.output]
        output = self._name(node.output)
        self.draft.tensors[output] = strip_of(self.graph[node.output], window.rows, output)
        self.draft.sizes[output] = self.draft.tensors[output].size
        nodes, every = self._bands(replace(node, inputs=tuple(inputs), output=output), index)
        over = self._over(nodes[0], inputs, reads)
        self._add("node", nodes, index, tuple(reads), Place(output), None, lead, every=every, over=over)
        if window.rolling:
            self._roll(node.output, Place(output), self._plane(node.output, window.rows), index)

    def _bands(self, node: Node, index: int) -> tuple[tuple[Node, ...], int]:
        """The node with the constants of its bands: one node for all strips, or one for every few of them."""
        if not isinstance(node, Conv):
            return (node,), 1
        node = replace(node, padding=(0, node.padding[1], 0, node.padding[3]))
        if node.bands == 1:
            return (node,), 1
        whole = frequencies(self.graph[self.graph.nodes[index].output])
        rows, band = whole // self.cut.stretch.strips, whole // node.bands
        at_once, every = max(1, rows // band), max(1, band // rows)
        cuts = [slice(first, first + at_once) for first in range(0, node.bands, at_once)]
        return tuple(replace(node, scale=node.scale[c], sign=node.sign[c], bias=node.bias[c]) for c in cuts), every

    def _over(self, node: Node, inputs: list[str], reads: list[Place]) -> tuple[str, ...]:
        """Strips that the node's output may overwrite: those that fill what they lie in."""
        tensors = self.draft.tensors
        if isinstance(node, Conv | Mean):
            return ()
        alike = [shape3(tensors[name]) == shape3(tensors[node.output]) for name in inputs]
        return tuple(
            place.tensor
            for name, place, same in zip(inputs, reads, alike, strict=True)
            if (same or isinstance(node, Pool))
            and place == Place(place.tensor)
            and self.draft.sizes.get(place.tensor) == tensors[name].size
        )

    def _input(self, node: Node, name: str, found: dict[str, Need], lead: int, layer: int) -> tuple[str, Place]:
        """The tensor that a node on a strip names, and where it lies; a copy where its kernel cannot read it there."""
        if name not in found:
            return name, Place(name)
        place, plane = self._rows(name, found[name], lead)
        rows = found[name].high - found[name].low
        dense = self._channels(name) == 1 or plane == rows * self._frames(name)
        strides = self._takes_strides(node)
        key = (name, found[name], lead, dense or not strides)
        if key not in self.views:
            view = f"{self._name(name)}.{len(self.views)}"
            strip = strip_of(self.graph[name], rows, view)
            if not dense and strides:
                strip = Strided(view, strip.shape, strip.scale, strip.zero_point, None, plane)
            if not dense and not strides:
                self.draft.sizes[view] = strip.size
                block = Block((self._channels(name), rows, self._frames(name)), (plane, rows * self._frames(name)))
                self._add("copy", (), layer, (place,), Place(view), block, lead)
                place = Place(view)
            self.draft.tensors[view] = strip
            self.views[key] = view, place
        return self.views[key]

    def _takes_strides(self, node: Node) -> bool:
        """Whether its kernel reads rows of a larger tensor: not where it squares or multiplies by what time leaves."""
        if isinstance(node, Mul):
            return node.inputs[0] != node.inputs[1] and self._frames(node.inputs[1]) > 1
        return isinstance(node, Add | Sub)

    def _rows(self, name: str, need: Need, lead: int) -> tuple[Place, int]:
        """Where the rows that a consumer needs begin, and how far apart channels lie there."""
        window = self.cut.windows[name]
        frames = self._frames(name)
        if window.rolling:
            first = window.height - (window.lead + 1 - lead) * window.rows + need.low
            return Place(self._name(name, "w"), first * frames), self._plane(name, window.height)
        if name in self.cut.whole:
            return Place(name, 0, window.rows * frames), self._plane(name)
        return Place(self._name(name)), self._plane(name, window.rows)

    def _sums(self, index: int, found: dict[str, Need], lead: int) -> None:
        node = self.graph.nodes[index]
        (name,) = node.inputs
        place, plane = self._rows(name, found[name], lead)
        sums = self._name(node.output, "s")
        self.draft.sizes[sums] = SUM_BYTES * self.graph[node.output].size
        rows = found[name].high - found[name].low
        block = Block((self._channels(name), rows, self._frames(name)), (plane, 0))
        self._add("sums", (node,), index, (place,), Place(sums), block, lead)

    def _mean(self, index: int) -> None:
        node = self.graph.nodes[index]
        sums = Place(self._name(node.output, "s"))
        self.draft.pieces.append(Piece("mean", (node,), index, (sums,), Place(node.output)))
        self.draft.whole.add(node.output)
        self.draft.sizes[node.output] = self.graph[node.output].size

    def _store(self, name: str) -> None:
        window = self.cut.windows[name]
        frames = self._frames(name)
        shape = (self._channels(name), window.rows, frames)
        over = tuple(
            other
            for other in self.cut.whole
            if shape3(self.graph[other]) == shape3(self.graph[name]) and self.cut.windows[other].lead >= window.lead
        )
        layer = max(i for i in self.cut.loop if self.graph.nodes[i].output == name)
        self._add(
            "copy", (), layer, (Place(self._name(name)),), Place(name, 0, window.rows * frames),
            Block(shape, (self._plane(name, window.rows), self._plane(name))), window.lead, over=over,
        )  # fmt: skip
        self.draft.whole.add(name)
        self.draft.sizes[name] = self.graph[name].size
