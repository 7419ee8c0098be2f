"""Execution in strips: a stretch of the network a few frequency rows at a time, not one whole tensor after another.

Strips lie along frequency, because all of a BC-ResNet but its mean over frequency is local there: convolutions see a
few rows, residual normalisation has statistics of its own for every row, and rows along time stay whole, so that the
kernels' inner loops stay long. A tensor whose neighbouring rows are needed lives in a window that is rolled on, so that
no row is computed twice within a stretch. A mean over frequency is summed up strip by strip.

What a stretch does not store is computed again, from what is stored, by every later stretch that needs it. That is how
time is traded for memory: the result of a stage need not wait in the arena for the mean that belongs to it.

A plan gives the stretches; `schedule` turns graph and plan into pieces, which `lower` turns into kernel calls. Every
plan gives equal integers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgeasc.export.c.extent import frequencies, shape3
from edgeasc.graph.model import Conv, IntegerGraph, Mean, Node, Pool, QTensor, Regroup


class Unsuitable(ValueError):
    """A stretch that cannot be cut as asked. Planning goes on without it."""


@dataclass(frozen=True)
class Stretch:
    """Nodes `first` to `end` (not included), executed in `strips` steps along frequency.

    `dropped` are tensors that later nodes need and that are not stored, but computed again there.
    """

    first: int
    end: int
    strips: int
    dropped: tuple[str, ...] = ()


Plan = tuple[Stretch, ...]


@dataclass(frozen=True)
class Need:
    """Rows `low` to `high` that the strip of an output needs of an input, counted from the input's own strip."""

    low: int
    high: int


@dataclass(frozen=True)
class Window:
    """How a tensor is kept within a stretch.

    Attributes:
        rows: of one strip. height: rows that are kept, more than `rows` where neighbours are needed.
        lead: strips by which it is ahead of the stretch's results.
    """

    rows: int
    height: int
    lead: int

    @property
    def rolling(self) -> bool:
        """Whether rows of earlier strips are kept."""
        return self.height > self.rows


@dataclass(frozen=True)
class Cut:
    """A stretch, resolved.

    Attributes:
        before, loop, after: node indices that run once before, once per strip, and once after the strips.
        windows: how every tensor in strips is kept. stored: those that are also written as a whole.
        whole: tensors from before that are read in strips.
    """

    stretch: Stretch
    before: tuple[int, ...]
    loop: tuple[int, ...]
    after: tuple[int, ...]
    windows: dict[str, Window]
    stored: tuple[str, ...]
    whole: tuple[str, ...]

    @property
    def lead(self) -> int:
        """Strips by which the foremost tensor is ahead."""
        return max((window.lead for window in self.windows.values()), default=0)


def is_reduction(node: Node, graph: IntegerGraph) -> bool:
    """Whether a node takes the mean over frequencies."""
    return isinstance(node, Mean) and "F" in node.axes and frequencies(graph[node.inputs[0]]) > 1


def needs(node: Node, graph: IntegerGraph, strips: int) -> dict[str, Need]:
    """Rows of every input that one strip of the output needs; inputs of one frequency are needed whole and left out.

    Raises:
        Unsuitable: the node cannot be cut into that many strips.
    """
    if isinstance(node, Regroup):
        raise Unsuitable(f"{node.name} shares rows out to other channels")
    cut = [name for name in node.inputs if graph[name].data is None and frequencies(graph[name]) > 1]
    for name in cut:
        if frequencies(graph[name]) % strips:
            raise Unsuitable(f"{frequencies(graph[name])} rows in {strips} strips")
    if is_reduction(node, graph):
        return {name: Need(0, frequencies(graph[name]) // strips) for name in cut}
    rows = frequencies(graph[node.output])
    if rows == 1 or rows % strips:
        raise Unsuitable(f"{node.name}: {rows} rows in {strips} strips")
    high = rows // strips
    if any(graph[name].data is not None and graph[name].size > 1 for name in node.inputs):
        raise Unsuitable(f"{node.name}: a constant tensor")
    if not isinstance(node, Conv | Pool):
        if any(frequencies(graph[name]) != rows for name in cut):
            raise Unsuitable(f"{node.name}: inputs of other heights")
        return {name: Need(0, high) for name in cut}
    (source,) = node.inputs
    kernel, stride, dilation, padding = _window(node)
    if high * stride * strips != frequencies(graph[source]):  # nor is one row, taller by its padding, ever cut
        raise Unsuitable(f"{node.name}: strips of {high} rows do not meet a stride of {stride}")
    if isinstance(node, Conv) and (rows // node.bands) % high and high % (rows // node.bands):
        raise Unsuitable(f"{node.name}: strips of {high} rows cross its bands")
    return {name: Need(-padding, (high - 1) * stride - padding + (kernel - 1) * dilation + 1) for name in cut}


def _window(node: Conv | Pool) -> tuple[int, int, int, int]:
    """Kernel, stride, dilation and padding before, along frequency."""
    if isinstance(node, Pool):
        return node.kernel[0], node.stride[0], 1, 0
    return node.weight.shape[2], node.stride[0], node.dilation[0], node.padding[0]


def resolve(graph: IntegerGraph, stretch: Stretch, known: Iterable[str]) -> Cut:
    """What a stretch runs and keeps, given the tensors that exist as a whole before it.

    Raises:
        Unsuitable: it cannot be cut.
    """
    wanted = [name for name in outputs(graph, stretch.first, stretch.end) if name not in stretch.dropped]
    known = set(known)
    nodes = _required(graph, stretch, wanted, known)
    before, loop, after = _in_order(graph, nodes)
    inside = {graph.nodes[index].output for index in loop if not is_reduction(graph.nodes[index], graph)}
    leads: dict[str, int] = {}
    readers: dict[str, list[tuple[int, Need]]] = {}
    for index in reversed(loop):
        node = graph.nodes[index]
        lead = 0 if is_reduction(node, graph) else leads.get(node.output, 0)
        for name, need in needs(node, graph, stretch.strips).items():
            rows = frequencies(graph[name]) // stretch.strips
            readers.setdefault(name, []).append((lead, need))
            leads[name] = max(leads.get(name, 0), lead + max(0, -(-need.high // rows) - 1))
    windows = {}
    for name in [*inside, *readers]:
        rows, lead = frequencies(graph[name]) // stretch.strips, leads.get(name, 0)
        uses = readers.get(name, [])
        height = max(((lead + 1 - other) * rows - need.low for other, need in uses), default=rows)
        windows[name] = Window(rows, max(height, rows), lead)
    whole = tuple(name for name in readers if name not in inside)
    stored = tuple(name for name in wanted if name in inside)
    return Cut(stretch, before, loop, after, windows, stored, whole)


def outputs(graph: IntegerGraph, first: int, end: int) -> list[str]:
    """Tensors that nodes `first` to `end` write and that others, or the caller, read."""
    read = {name for node in graph.nodes[end:] for name in node.inputs} | {graph.output}
    return [node.output for node in graph.nodes[first:end] if node.output in read]


def _required(graph: IntegerGraph, stretch: Stretch, wanted: list[str], known: set[str]) -> list[int]:
    """Nodes that have to run for `wanted`, sorted; those before the stretch are run again."""
    producer = {node.output: index for index, node in enumerate(graph.nodes)}
    found: set[int] = set()
    open_names = list(wanted)
    while open_names:
        name = open_names.pop()
        if name in known or graph[name].data is not None:
            continue
        index = producer[name]
        if index not in found:
            found.add(index)
            open_names += graph.nodes[index].inputs
    return sorted(found)


def _in_order(graph: IntegerGraph, nodes: list[int]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Nodes on whole small tensors before the strips, nodes in strips, nodes that wait for a mean over frequency."""
    before: list[int] = []
    loop: list[int] = []
    after: list[int] = []
    late: set[str] = set()  # tensors that exist only after the strips
    for index in nodes:
        node = graph.nodes[index]
        tall = any(frequencies(graph[name]) > 1 for name in (*node.inputs, node.output))
        waits = any(name in late for name in node.inputs)
        if not tall:
            (after if waits else before).append(index)
        elif waits:
            raise Unsuitable(f"{node.name} waits for a mean over frequency")
        else:
            loop.append(index)
        if waits or (tall and is_reduction(node, graph)):
            late.add(node.output)
    return tuple(before), tuple(loop), tuple(after)


def strip_of(tensor: QTensor, rows: int, name: str) -> QTensor:
    """`rows` rows of a tensor, as a tensor of its own called `name`."""
    c, _, t = shape3(tensor)
    return QTensor(name, (1, c, rows, t), tensor.scale, tensor.zero_point)
