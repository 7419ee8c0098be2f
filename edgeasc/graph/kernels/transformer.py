"""The islands of a transformer, layer norm over channels and attention, as float64 computations without a doubt.

Sums run over integers, which float64 holds exactly in any order: those of layer norm, those of q k^T, and those of
softmax times v, whose exponentials are rounded to 2^-30 first. What is left are single operations on single values, so
that the result does not depend on how a library sums. It is rounded to the output's grid half away from zero, as
TensorFlow Lite's QUANTIZE does behind the same computation in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.kernels.arrays import half_away
from edgeasc.graph.model import Attention, ChannelNorm, QTensor

Int8 = NDArray[np.int8]
Real = NDArray[np.float64]
FRACTION = 2.0**30  # one, among the exponentials
MAX_TOKENS = 2**14  # of which sums of exponentials times int8 differences stay below 2^53
MOST_SCORES = 2**21  # at once, of the 2^28 that a head of MAX_TOKENS has
MAX_CHANNELS = 2**20  # whose sums of squares times their number stay below 2^63


@dataclass(frozen=True)
class ChannelNormParameters:
    """Gains and offsets in output steps [1, C, 1, 1], and eps on the grid of the integer variance."""

    gain: Real
    offset: Real
    epsilon: float  # eps * (C / input scale)^2
    zero_point: int


def channel_norm_parameters(node: ChannelNorm, source: QTensor, output: QTensor) -> ChannelNormParameters:
    """The constants of `channel_norm`.

    Raises:
        BadInput: more channels than the integer sums hold.
    """
    channels = source.shape[1]
    if channels > MAX_CHANNELS:
        raise BadInput("graph", f"{node.name}: a norm over {channels} channels, at most {MAX_CHANNELS} fit the sums")
    gain, offset = (
        values.astype(np.float64).reshape(1, -1, 1, 1) / float(output.scale) for values in (node.gain, node.offset)
    )
    return ChannelNormParameters(gain, offset, node.eps * (channels / float(source.scale)) ** 2, output.zero_point)


def channel_norm(values: NDArray[Any], parameters: ChannelNormParameters) -> Int8:
    """`(x - mean) / sqrt(var + eps) * gain + offset` over the channels of int8 values `[B, C, F, T]`.

    With n channels, S1 = sum q and V = n * sum q^2 - S1^2 in integers it is (n*q - S1) / sqrt(V + eps * n^2 / s^2):
    the zero point cancels, and channels that are all equal give the offset exactly.
    """
    wide, count = values.astype(np.int64), values.shape[1]
    total = wide.sum(axis=1, keepdims=True)
    spread = count * (wide * wide).sum(axis=1, keepdims=True) - total * total
    normal = (count * wide - total) / np.sqrt(spread + parameters.epsilon)
    return half_away(normal * parameters.gain + parameters.offset, parameters.zero_point).astype(np.int8)


@dataclass(frozen=True)
class AttentionParameters:
    """Heads, the zero points of q, k, v, one product's worth in the exponent, one step of v in output steps."""

    heads: int
    zero_points: tuple[int, int, int]
    exponent: float
    value: float
    output_zero_point: int


def attention_parameters(
    node: Attention, inputs: tuple[QTensor, QTensor, QTensor], output: QTensor
) -> AttentionParameters:
    """The constants of `attention` for queries, keys and values `inputs`.

    Raises:
        BadInput: more tokens than the integer sums hold.
    """
    queries, keys, values = inputs
    if keys.shape[3] > MAX_TOKENS:
        raise BadInput(
            "graph", f"{node.name}: attention over {keys.shape[3]} tokens, at most {MAX_TOKENS} fit the sums"
        )
    width = queries.shape[1] // node.heads
    return AttentionParameters(
        node.heads,
        (queries.zero_point, keys.zero_point, values.zero_point),
        float(queries.scale) * float(keys.scale) / np.sqrt(width),
        float(values.scale) / float(output.scale),
        output.zero_point,
    )


def attention(queries: NDArray[Any], keys: NDArray[Any], values: NDArray[Any], parameters: AttentionParameters) -> Int8:
    """`softmax(q k^T / sqrt(width)) v` in every head, for int8 values `[B, C, 1, T]`."""
    p = parameters
    q, k, v = (
        _heads(tensor, p.heads, zero) for tensor, zero in zip((queries, keys, values), p.zero_points, strict=True)
    )
    rounded = np.empty(q.shape, np.int8)
    for rows in query_rows(q.shape[:3]):
        scores = np.matmul(q[:, :, rows], k.swapaxes(2, 3))
        powers = np.rint(np.exp((scores - scores.max(axis=3, keepdims=True)) * p.exponent) * FRACTION)
        mixed = np.matmul(powers, v) / powers.sum(axis=3, keepdims=True)
        rounded[:, :, rows] = half_away(mixed * p.value, p.output_zero_point).astype(np.int8)
    return np.ascontiguousarray(rounded.swapaxes(2, 3)).reshape(values.shape)


def query_rows(sides: tuple[int, ...], most: int = MOST_SCORES) -> Iterator[slice]:
    """The queries of `sides` (batch, heads, tokens), some at a time: their scores with all keys are at most `most`."""
    batch, heads, tokens = sides
    step = max(1, most // (batch * heads * tokens))
    return (slice(at, at + step) for at in range(0, tokens, step))


def _heads(tensor: NDArray[Any], heads: int, zero_point: int) -> Real:
    """`[B, C, 1, T]` as differences from the zero point `[B, heads, T, C / heads]`."""
    batch, channels, _, tokens = tensor.shape
    split = tensor.reshape(batch, heads, channels // heads, tokens).swapaxes(2, 3)
    return split.astype(np.float64) - zero_point
