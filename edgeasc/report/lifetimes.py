"""Where activations would lie in memory while the network runs: the picture behind 'peak RAM'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeasc.graph.model import IntegerGraph


@dataclass(frozen=True)
class Block:
    """One activation: its bytes, the first and last step that need it, and its offset in the plan."""

    name: str
    bytes: int
    first: int
    last: int
    offset: int = 0

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.offset + self.bytes

    def meets(self, other: Block) -> bool:
        """Whether both exist at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class MemoryPlan:
    """All activations with their places; `steps` are the operators' names in the order they run."""

    steps: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def live(self) -> tuple[int, ...]:
        """Bytes that exist at every step: no plan of this order can do with less than their maximum."""
        return tuple(
            sum(block.bytes for block in self.blocks if block.first <= step <= block.last)
            for step in range(len(self.steps))
        )

    @property
    def height(self) -> int:
        """Bytes of the plan."""
        return max((block.end for block in self.blocks), default=0)


def plan_memory(graph: IntegerGraph) -> MemoryPlan:
    """Lifetimes of the activations of `graph`, placed by decreasing size at the lowest place that is free.

    The greedy-by-size strategy of arXiv:2001.03288, section 5, as TFLM's planner follows it; alignment left out.
    """
    first = {graph.input: 0} | {node.output: step for step, node in enumerate(graph.nodes)}
    last = dict(first)
    for step, node in enumerate(graph.nodes):
        last |= {name: step for name in node.inputs if name in first}
    last[graph.output] = len(graph.nodes) - 1
    blocks = [Block(name, graph[name].size, first[name], last[name]) for name in first]
    return MemoryPlan(tuple(node.name for node in graph.nodes), place(blocks))


def place(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """`blocks` with offsets at which no two that exist together overlap, in order of their first step."""
    placed: list[Block] = []
    for block in sorted(blocks, key=lambda item: (-item.bytes, item.first)):
        offset = 0
        for other in sorted((item for item in placed if item.meets(block)), key=lambda item: item.offset):
            if offset + block.bytes <= other.offset:
                break
            offset = max(offset, other.end)
        placed.append(replace(block, offset=offset))
    return tuple(sorted(placed, key=lambda item: (item.first, item.offset)))
