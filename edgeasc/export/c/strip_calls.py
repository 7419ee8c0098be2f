"""Kernel calls of a network that runs in strips: from the pieces of a schedule to the steps of a program."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.export.c.extent import Strided, shape3
from edgeasc.export.c.lower import layer_name, lower_layer
from edgeasc.export.c.pieces import Piece, Schedule
from edgeasc.export.c.program import COPY, Array, Program, Step, Storage
from edgeasc.export.c.schedule import schedule
from edgeasc.export.c.strips import Plan, Unsuitable
from edgeasc.graph.kernels import reduce
from edgeasc.graph.kernels.arrays import INT8_MIN
from edgeasc.graph.model import IntegerGraph, Mean


def in_strips(program: Program, graph: IntegerGraph, plan: Plan) -> Program:
    """`program`, which computes `graph`, with the stretches of `plan` in strips. It gives the same integers.

    Raises:
        BadInput: the plan does not fit the graph.
    """
    try:
        made = schedule(graph, plan)
    except Unsuitable as error:
        raise BadInput("C export", f"the plan for RAM does not fit the network: {error}") from None
    inner = replace(graph, tensors=made.tensors)
    shared = {array.name: array for array in program.arrays}
    steps = []
    for piece in made.pieces:
        if piece.kind == "node" and piece.loop < 0:
            steps.append(program.steps[piece.layer])
        else:
            steps.append(_step(piece, inner, made, shared, program.steps[piece.layer].storage))
    return replace(
        program,
        steps=tuple(steps),
        sizes=made.sizes,
        loops=made.loops,
    )


def _step(piece: Piece, graph: IntegerGraph, made: Schedule, shared: dict[str, Array], storage: Storage) -> Step:
    """One piece as a step, in its loop."""
    if piece.kind == "node":
        step = _node(piece, graph, made, shared, storage)
    else:
        make = {"copy": _copy, "roll": _roll, "sums": _sums, "mean": _mean}[piece.kind]
        step = make(piece, graph, made, shared)
    reads = tuple(place.tensor for place in piece.reads)
    shifts = tuple((place.start, place.step if piece.kind != "roll" else 0) for place in piece.reads)
    return replace(
        step,
        reads=reads,
        writes=piece.writes.tensor,
        in_place=(),
        layer=piece.layer,
        over=piece.over,
        loop=piece.loop,
        lead=piece.lead,
        beyond=piece.beyond,
        shifts=(*shifts, (piece.writes.start, piece.writes.step)),
        carried=piece.kind in ("roll", "sums") or piece.writes.step > 0,
    )


def _node(piece: Piece, graph: IntegerGraph, made: Schedule, shared: dict[str, Array], storage: Storage) -> Step:
    """A node on a strip, its weights stored as for the whole layer.

    Where bands need constants of their own, the strip's number chooses their record.
    """
    name = layer_name(piece.layer, made.graph.nodes[piece.layer])
    if len(piece.nodes) == 1:
        step = _shared(lower_layer(piece.nodes[0], graph, name, storage), shared)
        for index, source in enumerate(piece.nodes[0].inputs):
            if isinstance(graph[source], Strided) and not re.search(rf"@{index}, \(ea_strides\)", step.call):
                raise ValueError(f"{name}: {step.function} does not read rows of a larger tensor")
        return step
    names = [f"{name}_{len(piece.nodes)}_{index}" for index in range(len(piece.nodes))]
    steps = []
    for node, own in zip(piece.nodes, names, strict=True):
        step = lower_layer(node, graph, own, storage)
        for array in step.arrays:
            if array.role in ("weights", "indices"):
                step = _renamed(step, array, array.name.replace(own, name))
        steps.append(_shared(step, shared))
    table = f"p_{name}_{len(names)}"
    records = ", ".join(f"&r_{own}" for own in names)
    call, count = re.subn(rf"&r_{names[0]}\b", f"{table}[@i / {piece.every}]", steps[0].call)
    if count != 1:
        raise ValueError(f"{name}: no record to choose in {steps[0].call}")
    return replace(
        steps[0],
        call=call,
        before=(
            *(line for step in steps for line in step.before),
            f"static const ea_requant *const {table}[{len(names)}] = {{{records}}};",
        ),
        arrays=tuple({array.name: array for step in steps for array in step.arrays}.values()),
    )


def _shared(step: Step, shared: dict[str, Array]) -> Step:
    """The step with arrays that others have too under the same name, and others under names of their own."""
    for array in step.arrays:
        name, other = array.name, shared.get(array.name)
        while other is not None and not (other.ctype == array.ctype and np.array_equal(other.values, array.values)):
            name += "s"
            other = shared.get(name)
        if name != array.name:
            step = _renamed(step, array, name)
        shared.setdefault(name, replace(array, name=name))
    return step


def _renamed(step: Step, array: Array, name: str) -> Step:
    word = re.compile(rf"\b{array.name}\b")
    return replace(
        step,
        call=word.sub(name, step.call),
        before=tuple(word.sub(name, line) for line in step.before),
        arrays=tuple(replace(other, name=name) if other is array else other for other in step.arrays),
    )


def _move(piece: Piece, made: Schedule, function: str, call: str) -> Step:
    name = made.graph.nodes[piece.layer].name
    return Step(name, COPY, "copy", function, (), "", call)


def _copy(piece: Piece, graph: IntegerGraph, made: Schedule, shared: dict[str, Array]) -> Step:
    block = piece.block
    assert block is not None
    channels, rows, frames = block.shape
    call = f"@0, {block.planes[0]}, @out, {block.planes[1]}, {channels}, {rows * frames}"
    return _move(piece, made, "ea_copy", call)


def _roll(piece: Piece, graph: IntegerGraph, made: Schedule, shared: dict[str, Array]) -> Step:
    block = piece.block
    assert block is not None
    (strip,) = piece.reads
    channels, rows, frames = block.shape
    height = shape3(graph[piece.writes.tensor])[1]
    window = f"(ea_shape){{{channels}, {height}, {frames}}}"
    strips = made.loops[piece.loop].strips
    call = f"@0, {block.planes[0]}, {strip.step}, {rows}, @i, {strips}, {piece.zero}, @out, {window}"
    return _move(piece, made, "ea_roll", call)


def _sums(piece: Piece, graph: IntegerGraph, made: Schedule, shared: dict[str, Array]) -> Step:
    block = piece.block
    assert block is not None
    (node,) = piece.nodes
    channels, rows, frames = block.shape
    out = shape3(graph[node.output])
    shape = f"(ea_shape){{{channels}, {rows}, {frames}}}"
    call = f"@0, {block.planes[0]}, {shape}, @i, @out, {out[0]}, {out[2]}"
    return Step(node.name, node.op, "sums", "ea_sums", (), "", call)


def _mean(piece: Piece, graph: IntegerGraph, made: Schedule, shared: dict[str, Array]) -> Step:
    (node,) = piece.nodes
    assert isinstance(node, Mean)
    source, output = graph[node.inputs[0]], graph[node.output]
    p = reduce.mean_parameters(source, output, node.axes, node.keep, graph.form)
    scale = f"(ea_scale){{{p.multiplier}, {p.shift}, {p.output_zero_point}, {INT8_MIN}}}"
    call = f"@0, {p.input_zero_point * p.count}, {scale}, @out, {output.size}"
    return Step(node.name, node.op, "sums", "ea_mean_of_sums", (), "", call)
