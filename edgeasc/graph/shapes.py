"""Output shapes of the graph's operators, from their inputs' shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.graph.model import Conv, Mean, Node, Pool

AXES = {"C": 1, "F": 2, "T": 3}


def output_shape(node: Node, inputs: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Shape of `node`'s output, `(1, channels, frequency, time)` or `(1, n)`.

    Raises:
        BadInput: shapes that do not fit the operator, naming the node.
    """
    try:
        shape = _output_shape(node, inputs)
    except ValueError as error:
        raise BadInput("graph", f"{node.op} {node.name!r}: {error}") from None
    if min(shape, default=0) < 1:
        raise BadInput("graph", f"{node.op} {node.name!r} would have the empty output shape {shape}")
    return shape


def _output_shape(node: Node, inputs: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    if isinstance(node, Conv):
        return _conv_shape(node, inputs[0])
    if isinstance(node, Pool):
        n, c, *sides = inputs[0]
        return (n, c, *((s - k) // d + 1 for s, k, d in zip(sides, node.kernel, node.stride, strict=True)))
    if isinstance(node, Mean):
        return mean_shape(inputs[0], node)
    return tuple(int(side) for side in np.broadcast_shapes(*inputs))


def _conv_shape(node: Conv, shape: tuple[int, ...]) -> tuple[int, ...]:
    c_out, c_in, *kernel = node.weight.shape
    n, c, *sides = shape
    if c != c_in * node.groups or c_out % node.groups:
        raise ValueError(f"{c} input channels do not fit weights {node.weight.shape} in {node.groups} groups")
    padding = (node.padding[0] + node.padding[2], node.padding[1] + node.padding[3])
    f, t = (
        (side + pad - dilation * (k - 1) - 1) // stride + 1
        for side, pad, k, stride, dilation in zip(sides, padding, kernel, node.stride, node.dilation, strict=True)
    )
    if f % node.bands:
        raise ValueError(f"{f} frequency bins cannot be cut into {node.bands} equal bands")
    return (n, c_out, f, t)


def mean_shape(shape: tuple[int, ...], node: Mean) -> tuple[int, ...]:
    """`shape` with the node's axes set to 1, or left out."""
    reduced = {AXES[axis] for axis in node.axes}
    if node.keep:
        return tuple(1 if axis in reduced else side for axis, side in enumerate(shape))
    return tuple(side for axis, side in enumerate(shape) if axis not in reduced)


def check_window(node: Node, what: str) -> None:
    """Refuse windows whose numbers no target can hold.

    Raises:
        BadInput: a kernel, stride, dilation or padding beyond 32 bits, with the layer's name.
    """
    for name in ("kernel", "stride", "dilation", "padding"):
        for number in getattr(node, name, ()):
            if abs(number) >= 2**31:
                raise BadInput(what, f"{node.name}: a {name} of {number} does not fit 32 bits")
