"""Transformers in TensorFlow Lite: GELU, layer norm and attention as float islands, zeros before a sequence in int8.

Layouts are NHWC: a sequence `(1, C, 1, T)` is `(1, 1, T, C)`, its channels last, where a norm and a head want them.
"""

from __future__ import annotations

import math

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.export.tflite.islands import enter, leave
from edgeasc.export.tflite.operators import FLOAT, Emitter
from edgeasc.graph.model import Attention, ChannelNorm, Gelu, ZeroPad


def lower_gelu(node: Gelu, emitter: Emitter) -> None:
    """GELU."""
    x = enter(node, emitter)
    result = emitter.real(f"{node.name}/result", emitter.shape(x))
    leave(node, emitter, emitter.operator("GELU", 1, [x], result, "GeluOptions", Approximate=False))


def lower_channel_norm(node: ChannelNorm, emitter: Emitter) -> None:
    """Two-pass statistics over the last axis, then gain and offset."""

    def real(part: str, shape: tuple[int, ...]) -> int:
        return emitter.real(f"{node.name}/{part}", shape)

    x = enter(node, emitter)
    full = emitter.shape(x)
    single = (*full[:3], 1)
    mean = emitter.mean(x, (3,), True, real("mean", single))
    centred = emitter.sub([x, mean], real("centred", full))
    square = emitter.mul([centred, centred], real("square", full))
    variance = emitter.mean(square, (3,), True, real("variance", single))
    eps = emitter.constant(f"{node.name}/eps", np.array([node.eps], dtype=FLOAT))
    inverse = emitter.unary("RSQRT", emitter.add([variance, eps], real("floored", single)), real("inverse", single))
    normal = emitter.mul([centred, inverse], real("normal", full))
    gain = emitter.constant(f"{node.name}/weight", node.gain.astype(FLOAT))
    offset = emitter.constant(f"{node.name}/bias", node.offset.astype(FLOAT))
    scaled = emitter.mul([normal, gain], real("scaled", full))
    leave(node, emitter, emitter.add([scaled, offset], real("result", full)))


def lower_attention(node: Attention, emitter: Emitter) -> None:
    """Heads apart by RESHAPE and TRANSPOSE, BATCH_MATMUL, SOFTMAX, BATCH_MATMUL, and together again."""
    _, channels, _, tokens = emitter.graph[node.output].shape
    width = channels // node.heads
    split, turned = (1, tokens, node.heads, width), (1, node.heads, tokens, width)

    def operator(code: str, inputs: list[int], part: str, shape: tuple[int, ...], options: str, **fields: bool) -> int:
        return emitter.operator(code, 1, inputs, emitter.real(f"{node.name}/{part}", shape), options, **fields)

    sides = emitter.constant(f"{node.name}/split", np.array(split, np.int32))
    whole = emitter.constant(f"{node.name}/whole", np.array((1, 1, tokens, channels), np.int32))
    order = emitter.constant(f"{node.name}/order", np.array((0, 2, 1, 3), np.int32))
    heads = []
    for place, part in enumerate(("queries", "keys", "values")):
        value = operator("RESHAPE", [enter(node, emitter, place), sides], f"{part}/split", split, "ReshapeOptions")
        heads.append(operator("TRANSPOSE", [value, order], part, turned, "TransposeOptions"))
    factor = emitter.constant(f"{node.name}/factor", np.array([1.0 / math.sqrt(width)], dtype=FLOAT))
    queries = emitter.mul([heads[0], factor], emitter.real(f"{node.name}/scaled", turned))
    square = (1, node.heads, tokens, tokens)
    scores = operator("BATCH_MATMUL", [queries, heads[1]], "scores", square, "BatchMatMulOptions", AdjY=True)
    shares = emitter.real(f"{node.name}/shares", square)
    emitter.operator("SOFTMAX", 1, [scores], shares, "SoftmaxOptions", Beta=1.0)
    mixed = operator("BATCH_MATMUL", [shares, heads[2]], "mixed", turned, "BatchMatMulOptions", AdjY=False)
    back = operator("TRANSPOSE", [mixed, order], "back", split, "TransposeOptions")
    leave(node, emitter, operator("RESHAPE", [back, whole], "result", (1, 1, tokens, channels), "ReshapeOptions"))


def lower_zero_pad(node: ZeroPad, emitter: Emitter) -> None:
    """PAD along time, whose filling in int8 is the zero point."""
    source, output = emitter.graph[node.inputs[0]], emitter.graph[node.output]
    if source.scale != output.scale or source.zero_point != output.zero_point:
        raise BadInput("tflite", f"{node.name}: padding cannot change the scale")
    index = emitter.source(node.inputs[0])
    amounts = emitter.constant(f"{node.name}/amounts", np.array([[0, 0], [0, 0], node.padding, [0, 0]], np.int32))
    emitter.operator("PAD", 2, [index, amounts], emitter.output(node.output, node.name), "PadOptions")
