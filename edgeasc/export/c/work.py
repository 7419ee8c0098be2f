"""A model of the instructions that a piece of work takes on a Cortex-M4, to compare plans with each other.

Point-wise layers are reckoned by the model of `choice`. The other numbers are rounded from counts under emulation,
c = 80 at 89 % zeros, gcc 12 -O3: 1.6 per multiply-accumulate of a windowed convolution; 450 per channel, 115 per row
and 9.5 per value of a depth-wise one; 80 per channel and 6.5 per value of a sum or product; 1.2 per byte copied. What
is reckoned per channel is spent again for every strip. What a plan takes in truth is what `bench` counts;
benchmarks/ram.py puts the two side by side.
"""

from __future__ import annotations

import math

import numpy as np

from edgeasc.export.c.choice import BLOCK, COSTS, Pixels
from edgeasc.export.c.extent import shape3
from edgeasc.export.c.pieces import Block, Draft, Piece, Schedule
from edgeasc.export.c.program import Program, Storage
from edgeasc.graph.model import Conv, MaxPool, Mean, Node, QTensor, ResNorm

CALL = 60.0
PER_MAC, PER_VALUE = 1.6, 20.0
CHANNEL, ROW, PER_ROW_VALUE = 450.0, 115.0, 9.5
ELEMENTWISE, MEAN, POOL, RESNORM = 6.5, 2.6, 13.0, 45.0
RUN_OF_VALUES, SUMMED = 80.0, 7.5
COPIED, RUN = 1.2, 15.0


def work(piece: Piece, program: Program, draft: Draft | Schedule) -> float:
    """Instructions of a piece, over all its strips."""
    times = draft.loops[piece.loop].strips if piece.loop >= 0 else 1
    if piece.kind == "node":
        node = piece.nodes[0]
        tensors = draft.tensors
        storage = program.steps[piece.layer].storage
        return times * (CALL + _node(node, tensors[node.inputs[0]], tensors[node.output], storage))
    if piece.block is None:
        return CALL
    return times * (CALL + _move(piece.kind, piece.block))


def _node(node: Node, source: QTensor, output: QTensor, storage: Storage) -> float:
    channels, rows, frames = shape3(output)
    values, read = math.prod(shape3(output)), math.prod(shape3(source))
    if isinstance(node, Conv):
        return _conv(node, (channels, rows, frames), storage)
    if isinstance(node, Mean):
        return MEAN * read + PER_VALUE * values
    if isinstance(node, MaxPool):
        return POOL * values
    return RESNORM * values if isinstance(node, ResNorm) else ELEMENTWISE * values + RUN_OF_VALUES * channels


def _conv(node: Conv, output: tuple[int, int, int], storage: Storage) -> float:
    channels, rows, frames = output
    if node.depthwise:
        return channels * (CHANNEL + rows * (ROW + PER_ROW_VALUE * frames))
    if node.weight.shape[2:] != (1, 1):
        return PER_MAC * node.weight[0].size * channels * rows * frames
    row, block, step, unpacked = COSTS[storage]
    blocks = Pixels(rows * frames, node.bands).blocks(BLOCK[storage])
    used = float(node.weight.size) if storage == "dense" else float(np.count_nonzero(node.weight))
    return channels * (row * node.bands + block * blocks) + step * used * blocks + unpacked * 2 * used


def _move(kind: str, block: Block) -> float:
    channels, rows, frames = block.shape
    fresh = channels * rows * frames
    if kind == "sums":
        return SUMMED * fresh + RUN * channels * rows
    if kind == "roll":
        return COPIED * channels * block.planes[1] + 2 * RUN * channels
    return COPIED * fresh + RUN * channels
