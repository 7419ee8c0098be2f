"""Regions of transformers: GELU, layer norm over channels, attention, and zeros before a sequence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.model import Attention, ChannelNorm, Gelu, Node, QTensor, ZeroPad
from edgeasc.graph.onnx_region import Region, attributes, check_eps, reduced_axes

if TYPE_CHECKING:
    import onnx

SWAPPED = [0, 1, 3, 2]  # the last two axes
CHANNELS_LAST, CHANNELS_BACK = [0, 2, 3, 1], [0, 3, 1, 2]


def _gelu(region: Region) -> Node | None:
    """`x * (1 + erf(x / sqrt(2))) * 0.5`, the factors in any order, or the operator of opset 20."""
    whole = region.node(region.top, "Gelu")
    if whole is not None:
        source = region.tensor(whole.input[0])
        exact = attributes(whole).get("approximate", b"none") == b"none"
        return None if source is None or not exact else Gelu(region.name(whole), (source,), region.output)
    top = region.node(region.top, "Mul")
    factors = _factors(region, region.top)
    roots = [value for value in factors if region.node(value, "Add") is not None]
    numbers = [_number(region, value) for value in factors if value in region.constants]
    sources = [value for value in factors if region.tensor(value) is not None]
    if top is None or len(factors) != 3 or len(roots) != 1 or len(sources) != 1 or numbers != [0.5]:
        return None
    if not _is_one_plus_erf(region, roots[0], sources[0]):
        return None
    return Gelu(region.name(top), (str(region.tensor(sources[0])),), region.output)


def _factors(region: Region, value: str) -> list[str]:
    """What is multiplied to make `value`, through at most two products."""
    product = region.node(value, "Mul")
    if product is None:
        return [value]
    found: list[str] = []
    for part in product.input:
        inner = region.node(part, "Mul")
        found += list(inner.input) if inner is not None else [part]
    return found


def _is_one_plus_erf(region: Region, value: str, source: str) -> bool:
    add = region.node(value, "Add")
    terms = list(add.input) if add is not None else []
    erf = next((node for node in (region.node(term, "Erf") for term in terms) if node is not None), None)
    ones = [term for term in terms if _number(region, term) == 1.0]
    scaled = region.node(erf.input[0], "Div", "Mul") if erf is not None else None
    if scaled is None or len(ones) != 1 or scaled.input[0] != source:
        return False
    number = _number(region, scaled.input[1])
    wanted = math.sqrt(2.0) if scaled.op_type == "Div" else math.sqrt(0.5)
    return number is not None and abs(number - wanted) < 1e-6


def _number(region: Region, value: str) -> float | None:
    """The one number of a constant."""
    found = region.constants.get(value)
    return float(found.item()) if found is not None and found.size == 1 else None


def _channel_norm(region: Region) -> Node | None:
    """`(x - mean) / sqrt(mean((x - mean)^2) + eps) * gain + offset`, means over channels."""
    add = region.node(region.top, "Add")
    scaled = region.node(add.input[0], "Mul") if add is not None else None
    if add is None or scaled is None:
        return None
    gain, offset = _per_channel(region, scaled.input[1]), _per_channel(region, add.input[1])
    normal = region.node(scaled.input[0], "Div")
    centred = region.node(normal.input[0], "Sub") if normal is not None else None
    root = region.node(normal.input[1], "Sqrt") if normal is not None else None
    floored = region.node(root.input[0], "Add") if root is not None else None
    if gain is None or offset is None or normal is None or centred is None or floored is None:
        return None
    mean, variance = region.node(centred.input[1], "ReduceMean"), region.node(floored.input[0], "ReduceMean")
    square = region.node(variance.input[0], "Mul", "Pow") if variance is not None else None
    eps, source = _number(region, floored.input[1]), region.tensor(centred.input[0])
    if mean is None or variance is None or square is None or eps is None or source is None:
        return None
    over_channels = all(reduced_axes(region, node) == ([1], True) for node in (mean, variance))
    if mean.input[0] != centred.input[0] or not _is_square(region, square, normal.input[0]) or not over_channels:
        return None
    check_eps(add, eps, gain, offset)
    return ChannelNorm(region.name(add), (source,), region.output, gain, offset, eps=eps)


def _is_square(region: Region, node: onnx.NodeProto, value: str) -> bool:
    first, second = node.input[:2]
    return first == value and (second == value if node.op_type == "Mul" else _number(region, second) == 2.0)


def _layer_normalization(region: Region) -> Node | None:
    """The operator of opset 17 on the last axis, channels brought there and back by transpositions."""
    back = region.node(region.top, "Transpose")
    norm = region.node(back.input[0], "LayerNormalization") if back is not None else None
    there = region.node(norm.input[0], "Transpose") if norm is not None else None
    source = region.tensor(there.input[0]) if there is not None else None
    if back is None or norm is None or there is None or source is None or len(norm.input) < 2:
        return None
    turned = (attributes(there).get("perm"), attributes(back).get("perm")) == (CHANNELS_LAST, CHANNELS_BACK)
    options, gain = attributes(norm), region.constants.get(norm.input[1])
    if not turned or options.get("axis", -1) not in (-1, 3) or gain is None or gain.ndim != 1:
        return None
    offset = region.constants.get(norm.input[2]) if len(norm.input) > 2 and norm.input[2] else np.zeros_like(gain)
    if offset is None or offset.shape != gain.shape:
        return None
    ends = region.name(norm), (source,), region.output
    eps = float(np.float32(options.get("epsilon", 1e-5)))
    check_eps(norm, eps, gain, offset)
    return ChannelNorm(*ends, gain.astype(np.float32), offset.astype(np.float32), eps=eps)


def _per_channel(region: Region, value: str) -> NDArray[np.float32] | None:
    """A constant [1, C, 1, 1] or [C, 1, 1] as [C]."""
    found = region.constants.get(value)
    if found is None or found.ndim not in (3, 4) or found.size != found.shape[-3]:
        return None
    return np.asarray(found, np.float32).ravel()


def match_attention(region: Region, tensors: dict[str, QTensor]) -> Node | None:
    """`softmax(q k^T / sqrt(width)) v` on `[B, heads, width, T]`, the split and the joined channels around it."""
    whole = region.node(region.top, "Reshape")
    back = _swapped(region, whole.input[0]) if whole is not None else None
    mixed = region.node(back, "MatMul") if back is not None else None
    shares = region.node(mixed.input[0], "Softmax") if mixed is not None else None
    scaled = region.node(shares.input[0], "Mul", "Div") if shares is not None else None
    scores = region.node(scaled.input[0], "MatMul") if scaled is not None else None
    if whole is None or mixed is None or shares is None or scaled is None or scores is None:
        return None
    values, queries = _swapped(region, mixed.input[1]), _swapped(region, scores.input[0])
    parts = [_split(region, value) for value in (queries, scores.input[1], values)]
    if attributes(shares).get("axis", -1) not in (-1, 3) or any(part is None for part in parts):
        return None
    sources, shapes = zip(*(part for part in parts if part is not None), strict=True)
    heads, width, tokens = shapes[0]
    number, joined = _number(region, scaled.input[1]), region.constants.get(whole.input[1])
    factor = math.sqrt(width) if scaled.op_type == "Div" else 1.0 / math.sqrt(width)
    if len(set(shapes)) != 1 or number is None or abs(number - factor) > 1e-6 * factor or joined is None:
        return None
    wanted = (heads * width, 1, tokens)
    if tuple(joined.tolist()[1:]) != wanted or any(tensors[source].shape[1:] != wanted for source in sources):
        return None
    return Attention(region.name(whole), sources, region.output, heads=heads)


def _swapped(region: Region, value: str) -> str | None:
    """What `value` is with its last two axes exchanged."""
    turn = region.node(value, "Transpose")
    return turn.input[0] if turn is not None and attributes(turn).get("perm") == SWAPPED else None


def _split(region: Region, value: str | None) -> tuple[str, tuple[int, int, int]] | None:
    """The int8 tensor whose channels `value` has split into heads, and heads, width and tokens."""
    reshape = region.node(value, "Reshape") if value is not None else None
    source = region.tensor(reshape.input[0]) if reshape is not None else None
    shape = region.constants.get(reshape.input[1]) if reshape is not None else None
    if source is None or shape is None or shape.size != 4 or min(shape.tolist()[1:]) < 1:
        return None
    _, heads, width, tokens = (int(side) for side in shape)
    return source, (heads, width, tokens)


def _zero_pad(region: Region) -> Node | None:
    """Constant padding with zeros along time; any other is left to `onnx_sequence`, which knows why it is refused."""
    node = region.node(region.top, "Pad")
    source = region.tensor(node.input[0]) if node is not None else None
    if node is None or source is None or attributes(node).get("mode", b"constant") != b"constant":
        return None
    amounts = region.constants.get(node.input[1]) if len(node.input) > 1 else None
    zero = len(node.input) < 3 or not node.input[2] or _number(region, node.input[2]) == 0.0
    if amounts is None or amounts.shape != (8,) or len(node.input) > 3 or not zero:
        return None
    before, after = int(amounts[3]), int(amounts[7])
    alone = not np.any(amounts[[0, 1, 2, 4, 5, 6]]) and min(before, after) >= 0
    return ZeroPad(region.name(node), (source,), region.output, (before, after)) if alone else None


TRANSFORMER_MATCHERS = (_gelu, _channel_norm, _layer_normalization, _zero_pad)
