"""Output shapes of the graph's operators, from their inputs' shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.graph.model import (
    Add,
    Attention,
    ChannelNorm,
    Conv,
    Mean,
    Moved,
    Mul,
    Node,
    Pad,
    Pool,
    PRelu,
    Regroup,
    ResNorm,
    Slice,
    Sub,
    ZeroPad,
)

AXES = {"C": 1, "F": 2, "T": 3}
ON_FOUR_AXES = (Conv, Pool, Mean, Moved, ZeroPad, PRelu, ResNorm, ChannelNorm, Attention)


def output_shape(node: Node, inputs: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Shape of `node`'s output, `(1, channels, frequency, time)` or `(1, n)`.

    Raises:
        BadInput: shapes that do not fit the operator, naming the node.
    """
    try:
        _check_inputs(node, inputs)
        shape = _output_shape(node, inputs)
    except ValueError as error:
        raise BadInput("graph", f"{node.op} {node.name!r}: {error}") from None
    if min(shape, default=0) < 1:
        raise BadInput("graph", f"{node.op} {node.name!r} would have the empty output shape {shape}")
    return shape


def _check_inputs(node: Node, inputs: Sequence[tuple[int, ...]]) -> None:
    """Their number, their ranks, and windows that move."""
    wanted = 3 if isinstance(node, Attention) else 2 if isinstance(node, Add | Sub | Mul) else 1
    if len(inputs) != wanted:
        raise ValueError(f"{len(inputs)} inputs, not {wanted}")
    ranks = {len(shape) for shape in inputs}
    if len(ranks) > 1 or (isinstance(node, ON_FOUR_AXES) and ranks != {4}):
        raise ValueError(f"inputs of shape {', '.join(map(str, inputs))}")
    for name, least in (("kernel", 1), ("stride", 1), ("dilation", 1), ("padding", 0), ("groups", 1)):
        if min(np.ravel(getattr(node, name, least))) < least:
            raise ValueError(f"{name} {getattr(node, name)}")


def _output_shape(node: Node, inputs: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    if isinstance(node, Conv):
        return _conv_shape(node, inputs[0])
    if isinstance(node, Pool):
        n, c, *sides = inputs[0]
        return (n, c, *((s - k) // d + 1 for s, k, d in zip(sides, node.kernel, node.stride, strict=True)))
    if isinstance(node, Mean):
        return mean_shape(inputs[0], node)
    if isinstance(node, ZeroPad):
        return (*inputs[0][:3], inputs[0][3] + sum(node.padding))
    if isinstance(node, ChannelNorm) and not node.gain.shape == node.offset.shape == inputs[0][1:2]:
        raise ValueError(f"{len(node.gain)} gains and {len(node.offset)} offsets for an input {inputs[0]}")
    if isinstance(node, Attention):
        return _attention_shape(node, inputs)
    if isinstance(node, Moved):
        return _moved_shape(node, inputs[0])
    if isinstance(node, PRelu) and len(node.slope) not in (1, inputs[0][1]):
        raise ValueError(f"{len(node.slope)} slopes for {inputs[0][1]} channels")
    return tuple(int(side) for side in np.broadcast_shapes(*inputs))


def _attention_shape(node: Attention, inputs: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    queries = inputs[0]
    if len(inputs) != 3 or len(set(inputs)) != 1 or len(queries) != 4 or queries[2] != 1:
        raise ValueError(f"queries, keys and values {tuple(inputs)} are not three times (1, C, 1, T)")
    if node.heads < 1 or queries[1] % node.heads:
        raise ValueError(f"{queries[1]} channels do not divide by {node.heads} heads")
    return queries


def _moved_shape(node: Moved, shape: tuple[int, ...]) -> tuple[int, ...]:
    n, c, f, t = shape
    if isinstance(node, Pad):
        if not 0 <= node.before < t or not 0 <= node.after < t:
            raise ValueError(f"{t} frames cannot be mirrored by {node.before} before and {node.after} after")
        return (n, c, f, node.before + t + node.after)
    if isinstance(node, Slice):
        if not 0 <= node.start < node.stop <= shape[AXES[node.axis]]:
            raise ValueError(f"{node.start} to {node.stop} of {shape[AXES[node.axis]]} along {node.axis}")
        return tuple(node.stop - node.start if axis == AXES[node.axis] else side for axis, side in enumerate(shape))
    assert isinstance(node, Regroup)
    if node.channels < 1 or c * f % node.channels:
        raise ValueError(f"{c} channels of {f} frequencies cannot be shared out to {node.channels} channels")
    return (n, node.channels, c * f // node.channels, t)


def _conv_shape(node: Conv, shape: tuple[int, ...]) -> tuple[int, ...]:
    c_out, c_in, *kernel = node.weight.shape
    n, c, *sides = shape
    if c != c_in * node.groups or c_out % node.groups:
        raise ValueError(f"{c} input channels do not fit weights {node.weight.shape} in {node.groups} groups")
    if node.bias.shape[1:] != (c_out,):
        raise ValueError(f"{node.bias.shape[-1]} biases for {c_out} channels")
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
