"""A model of the instructions that a piece of work takes on a Cortex-M4, to compare plans with each other.

The numbers are rounded from counts under emulation, c = 80 at 89 % zeros, gcc 12 -O3: 4.1 per multiply-accumulate of
a windowed convolution; 200 per row and 28 per value of a depth-wise one; 5 per weight and pixel of a pruned point-wise
one and 20 per value, pixels that do not fill a block of eight at half the speed; 1.2 per byte copied. What a plan takes
in truth is what `bench` counts; benchmarks/ram.py puts the two side by side.
"""

from __future__ import annotations

import math

import numpy as np

from edgeasc.export.c.extent import shape3
from edgeasc.export.c.program import Program
from edgeasc.export.c.schedule import Block, Draft, Piece, Schedule
from edgeasc.graph.model import Conv, MaxPool, Mean, Node, QTensor, ResNorm

CALL = 60.0
PER_MAC, PER_WEIGHT_PIXEL, PER_DENSE_WEIGHT_PIXEL, PER_VALUE = 4.1, 5.0, 2.0, 20.0
ROW, PER_ROW_VALUE = 200.0, 28.0
PIXELS = 8
ELEMENTWISE, MEAN, POOL, RESNORM = 7.0, 5.0, 54.0, 45.0
COPIED, RUN = 1.2, 15.0


def work(piece: Piece, program: Program, draft: Draft | Schedule) -> float:
    """Instructions of a piece, over all its strips."""
    times = draft.loops[piece.loop].strips if piece.loop >= 0 else 1
    if piece.kind == "node":
        node = piece.nodes[0]
        tensors = draft.tensors
        dense = program.steps[piece.layer].storage == "dense"
        return times * (CALL + _node(node, tensors[node.inputs[0]], tensors[node.output], dense))
    if piece.block is None:
        return CALL
    return times * (CALL + _move(piece.kind, piece.block))


def _node(node: Node, source: QTensor, output: QTensor, dense: bool) -> float:
    channels, rows, frames = shape3(output)
    values, read = math.prod(shape3(output)), math.prod(shape3(source))
    if isinstance(node, Conv):
        return _conv(node, (channels, rows, frames), dense)
    if isinstance(node, Mean):
        return MEAN * read + PER_VALUE * values
    if isinstance(node, MaxPool):
        return POOL * values
    return (RESNORM if isinstance(node, ResNorm) else ELEMENTWISE) * values


def _conv(node: Conv, output: tuple[int, int, int], dense: bool) -> float:
    channels, rows, frames = output
    values = channels * rows * frames
    if node.depthwise:
        return channels * rows * ROW + PER_ROW_VALUE * values
    used = node.weight.size if dense else int(np.count_nonzero(node.weight))
    if node.weight.shape[2:] != (1, 1):
        return PER_MAC * node.weight[0].size * values
    each = PER_DENSE_WEIGHT_PIXEL if dense else PER_WEIGHT_PIXEL
    pixels = rows * frames
    whole, rest = divmod(pixels // node.bands, PIXELS)
    return node.bands * used * each * PIXELS * (whole + rest / 2) + PER_VALUE * values + channels * CALL


def _move(kind: str, block: Block) -> float:
    channels, rows, frames = block.shape
    fresh = channels * rows * frames
    if kind == "sums":
        return MEAN * fresh + RUN * channels * rows
    if kind == "roll":
        return COPIED * channels * block.planes[1] + 2 * RUN * channels
    return COPIED * fresh + RUN * channels
