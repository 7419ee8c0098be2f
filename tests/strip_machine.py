"""Runs a schedule with the numpy kernels in one flat arena, where the C would have its tensors.

The arena begins with garbage, so that a row that nobody wrote, or that somebody overwrote, shows in the result.
"""

from dataclasses import replace

import numpy as np

from edgeasc.export.c.extent import shape3
from edgeasc.export.c.lower import lower
from edgeasc.export.c.memory import lay_out
from edgeasc.export.c.schedule import schedule
from edgeasc.export.c.strip_calls import in_strips
from edgeasc.graph.kernels import reduce
from edgeasc.graph.kernels.arrays import requantizer
from edgeasc.graph.reference import prepare


def run_in_arena(graph, plan, values, program=None):
    """Int8 outputs [n] of one int8 input, and the bytes of the arena."""
    made = schedule(graph, plan)
    layout = lay_out(in_strips(program or lower(graph), graph, plan))
    machine = Machine(graph, made, layout)
    return machine.run(values), layout.arena_bytes


class Machine:
    def __init__(self, graph, made, layout):
        self.graph, self.made, self.offsets = graph, made, layout.offsets
        self.inner = replace(graph, tensors=made.tensors)
        self.arena = np.random.default_rng(0).integers(-128, 128, layout.arena_bytes, dtype=np.int8)
        self.kernels = {}

    def run(self, values):
        at = self.offsets[self.graph.input]
        self.arena[at : at + values.size] = values.ravel()
        pieces = list(self.made.pieces)
        while pieces:
            loop = pieces[0].loop
            body = [piece for piece in pieces if piece.loop == loop] if loop >= 0 else pieces[:1]
            assert pieces[: len(body)] == body
            del pieces[: len(body)]
            if loop < 0:
                self.step(body[0], 0)
                continue
            strips, lead = self.made.loops[loop].strips, self.made.loops[loop].lead
            for i in range(-lead, strips):
                for piece in body:
                    if i + piece.lead >= 0 and (piece.beyond or i + piece.lead < strips):
                        self.step(piece, i + piece.lead)
        at = self.offsets[self.graph.output]
        return self.arena[at : at + self.graph[self.graph.output].size].copy()

    def kernel(self, node):
        if id(node) not in self.kernels:
            self.kernels[id(node)] = prepare(node, self.inner)
        return self.kernels[id(node)]

    def rows(self, place, index, shape, plane):
        """The bytes of a block as [channels, rows * frames], a view into the arena."""
        at = self.offsets[place.tensor] + place.start + place.step * index
        end = at + (shape[0] - 1) * plane + shape[1] * shape[2]
        assert at >= 0 and end <= len(self.arena)
        strides = (plane, 1)
        return np.lib.stride_tricks.as_strided(self.arena[at:], (shape[0], shape[1] * shape[2]), strides)

    def tensor(self, name, place, index):
        """An int8 input of a node, [1, ...]."""
        tensor = self.made.tensors[name]
        if tensor.data is not None:
            return tensor.data
        shape = shape3(tensor)
        plane = getattr(tensor, "plane", 0) or shape[1] * shape[2]
        return self.rows(place, index, shape, plane).copy().reshape(tensor.shape)

    def step(self, piece, index):
        if piece.kind == "node":
            node = piece.nodes[index // piece.every if len(piece.nodes) > 1 else 0]
            kernel = self.kernel(node)
            inputs = [self.tensor(n, p, index) for n, p in zip(node.inputs, piece.reads, strict=True)]
            result = kernel(*inputs)
            at = self.offsets[piece.writes.tensor]
            self.arena[at : at + result.size] = result.ravel()
            return
        (source,) = piece.reads
        if piece.kind == "mean":
            (node,) = piece.nodes
            output = self.graph[node.output]
            p = reduce.mean_parameters(self.graph[node.inputs[0]], output, node.axes, node.keep, self.graph.form)
            at = self.offsets[source.tensor]
            sums = self.arena[at : at + 4 * output.size].view(np.int32).astype(np.int64)
            result = requantizer(p.form)(sums - p.input_zero_point * p.count, p.multiplier, p.shift)
            result = (result + p.output_zero_point).clip(-128, 127)
            at = self.offsets[piece.writes.tensor]
            self.arena[at : at + output.size] = result
            return
        shape, planes = piece.block.shape, piece.block.planes
        if piece.kind == "roll":
            name = piece.writes.tensor
            channels, height, frames = shape3(self.made.tensors[name])
            window = self.rows(piece.writes, 0, (channels, height, frames), height * frames)
            fresh = shape[1] * frames
            kept = window[:, fresh:].copy()
            window[:, : kept.shape[1]] = kept if index else piece.zero
            inside = index < self.made.loops[piece.loop].strips
            window[:, kept.shape[1] :] = self.rows(source, index, shape, planes[0]) if inside else piece.zero
            return
        block = self.rows(source, index, shape, planes[0]).copy()
        if piece.kind == "copy":
            self.rows(piece.writes, index, shape, planes[1])[:] = block
            return
        (node,) = piece.nodes
        channels, _, frames = shape3(self.graph[node.output])
        found = block.reshape(shape).astype(np.int32).sum(axis=1)
        found = found.sum(axis=0, keepdims=True) if channels == 1 else found
        found = found.sum(axis=1, keepdims=True) if frames == 1 else found
        at = self.offsets[piece.writes.tensor]
        sums = self.arena[at : at + 4 * found.size].view(np.int32)
        sums[:] = found.ravel() + (sums if index else 0)
