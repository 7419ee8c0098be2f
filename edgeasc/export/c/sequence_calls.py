"""Kernel calls of operators of networks on sequences: data on the move, and rectifiers with a slope per channel.

Tensors are planar, so that a slice is one run of bytes per row, and regrouping none at all: in place nothing is moved.
"""

from __future__ import annotations

import numpy as np

from edgeasc.export.c.extent import shape3
from edgeasc.export.c.program import Array, Step
from edgeasc.graph.kernels import rectify
from edgeasc.graph.kernels.arrays import INT8_MIN
from edgeasc.graph.model import IntegerGraph, Node, Pad, PRelu, Regroup, Slice, ZeroPad


def pad(node: Pad, graph: IntegerGraph, name: str) -> Step:
    """Mirrored frames."""
    c, f, t = shape3(graph[node.inputs[0]])
    return _step(node, "mirror", "ea_mirror", f"@0, {c * f}, {t}, {node.before}, {node.after}, @out")


def zero_pad(node: ZeroPad, graph: IntegerGraph, name: str) -> Step:
    """Zeros around every row."""
    source = graph[node.inputs[0]]
    c, f, t = shape3(source)
    before, after = node.padding
    call = f"@0, {c * f}, {t}, {before}, {after}, {source.zero_point}, @out"
    return _step(node, "zero_pad", "ea_zero_pad", call)


def cut(node: Slice, graph: IntegerGraph, name: str) -> Step:
    """Channels, or frames of every row; no byte moves to a higher place than its own, so that it may work in place."""
    c, f, t = shape3(graph[node.inputs[0]])
    wide = node.stop - node.start
    if node.axis == "C":
        call = f"@0 + {node.start * f * t}, 0, @out, 0, 1, {wide * f * t}"
    else:
        call = f"@0 + {node.start}, {t}, @out, {wide}, {c * f}, {wide}"
    return _step(node, "copy", "ea_copy", call, in_place=(0,))


def regroup(node: Regroup, graph: IntegerGraph, name: str) -> Step:
    """The same bytes in the same order."""
    return _step(node, "copy", "ea_copy", f"@0, 0, @out, 0, 1, {graph[node.output].size}", in_place=(0,))


def prelu(node: PRelu, graph: IntegerGraph, name: str) -> Step:
    """Slopes as an array of their own."""
    source, output = graph[node.inputs[0]], graph[node.output]
    p = rectify.prelu_parameters(node, source, output, graph.form)
    c, f, t = shape3(source)
    above, below = (
        f"(ea_scale){{{multiplier}, {shift}, {p.output_zero_point}, {INT8_MIN}}}"
        for multiplier, shift in zip(p.multipliers, p.shifts, strict=True)
    )
    step = int(node.slope.size > 1)
    call = f"@0, {p.input_zero_point}, w_{name}, {step}, {above}, {below}, @out, {c}, {f * t}"
    slopes = Array(f"w_{name}", "int8_t", np.ascontiguousarray(node.slope), "weights")
    return _step(node, "prelu", "ea_prelu", call, (slopes,), (0,))


def _step(
    node: Node, kernel: str, function: str, call: str, arrays: tuple[Array, ...] = (), in_place: tuple[int, ...] = ()
) -> Step:
    return Step(
        node.name, node.op, kernel, function, node.inputs, node.output, call, arrays=arrays, in_place=in_place
    )  # fmt: skip
