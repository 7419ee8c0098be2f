"""Pieces of work: nodes on whole tensors or on strips, copies, and where in the arena's tensors they read and write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edgeasc.export.c.program import Loop
from edgeasc.graph.model import IntegerGraph, Node, QTensor

Kind = Literal["node", "copy", "roll", "sums", "mean"]


@dataclass(frozen=True)
class Place:
    """Where a tensor's bytes begin: `start`, and `step` further for every strip."""

    tensor: str
    start: int = 0
    step: int = 0


@dataclass(frozen=True)
class Block:
    """`rows` rows of every channel, at places whose channels lie `planes` bytes apart, input and output."""

    shape: tuple[int, int, int]  # channels, rows, frames
    planes: tuple[int, int]


@dataclass(frozen=True)
class Piece:
    """One piece of work.

    Attributes:
        kind: a `node`; a `copy` of a block; a `roll` of a window by a block; running `sums` over rows; their `mean`.
        node: of layer `layer`; on strips one for every band that needs constants of its own, of which strip i takes
            `nodes[i // every]`.
        reads, writes: places. block: what copy, roll and sums move.
        loop, lead: the loop it is in, if any, and strips by which it is ahead there. beyond: runs after the last
            strip too. zero: what a roll puts outside the tensor. over: tensors that `writes` may overwrite.
    """

    kind: Kind
    nodes: tuple[Node, ...]
    layer: int
    reads: tuple[Place, ...]
    writes: Place
    block: Block | None = None
    loop: int = -1
    lead: int = 0
    every: int = 1
    beyond: bool = False
    zero: int = 0
    over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """`tensors` describe all that pieces' nodes name, strips and windows included; `sizes` are bytes in the arena."""

    graph: IntegerGraph
    pieces: tuple[Piece, ...]
    loops: tuple[Loop, ...]
    tensors: dict[str, QTensor]
    sizes: dict[str, int]


@dataclass
class Draft:
    """A schedule in the making; `whole` are the tensors that exist as a whole."""

    graph: IntegerGraph
    pieces: list[Piece] = field(default_factory=list)
    loops: list[Loop] = field(default_factory=list)
    tensors: dict[str, QTensor] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
