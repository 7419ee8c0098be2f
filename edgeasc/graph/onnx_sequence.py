"""Regions of networks on sequences: rectifiers with a slope, and operators that hand integers on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeasc.errors import BadInput
from edgeasc.graph.model import LeakyRelu, Node, Pad, PRelu, QTensor, Regroup, Slice
from edgeasc.graph.onnx_region import Region, attributes

if TYPE_CHECKING:
    import onnx


def _leaky_relu(region: Region) -> Node | None:
    node = region.node(region.top, "LeakyRelu")
    inputs = region.tensors(node) if node is not None else None
    if node is None or inputs is None:
        return None
    slope = float(attributes(node).get("alpha", 0.01))
    return LeakyRelu(region.name(node), inputs, region.output, slope=slope)


def _prelu(region: Region) -> Node | None:
    node = region.node(region.top, "PRelu")
    source = region.tensor(node.input[0]) if node is not None else None
    if node is None or source is None:
        return None
    slope, scale, _ = region.weights.get(node.input[1], (np.zeros(0), np.zeros(0, np.float32), 0))
    per_channel = slope.ndim == 4 and slope.size == slope.shape[1]
    if slope.dtype != np.int8 or scale.size != 1 or not per_channel or slope.min(initial=0) < -127:
        why = "symmetric int8 [1, C, 1, 1] of one scale are needed, in [-127, 127]"
        raise BadInput("ONNX", f"the slopes of PRelu {node.name!r}: {why}")
    return PRelu(
        region.name(node), (source,), region.output,
        slope=slope.astype(np.int8).ravel(), slope_scale=np.float32(scale.item()),
    )  # fmt: skip


SEQUENCE_MATCHERS = (_leaky_relu, _prelu)


def match_moved(region: Region, tensors: dict[str, QTensor]) -> Node | None:
    """The operator that hands integers on, if `region` is one.

    Raises:
        BadInput: padding, slicing or reshaping that the integer graph does not have.
    """
    node = region.node(region.top, "Pad", "Slice", "Reshape")
    source = region.tensor(node.input[0]) if node is not None else None
    if node is None or source is None:
        return None
    ends = region.name(node), (source,), region.output
    shape = tensors[source].shape
    if node.op_type == "Pad":
        return _pad(node, region, ends)
    return _slice(node, region, ends, shape) if node.op_type == "Slice" else _regroup(node, region, ends, shape)


Ends = tuple[str, tuple[str], str]


def _numbers(node: onnx.NodeProto, place: int, region: Region) -> list[int] | None:
    """A constant input as integers; None where it is left out.

    Raises:
        BadInput: it is no constant.
    """
    if len(node.input) <= place or not node.input[place]:
        return None
    found = region.constants.get(node.input[place])
    if found is None:
        raise BadInput("ONNX", f"{node.op_type} {node.name!r} takes {node.input[place]!r}, which is no constant")
    return [int(value) for value in np.ravel(found)]


def _pad(node: onnx.NodeProto, region: Region, ends: Ends) -> Node:
    amounts, options = _numbers(node, 1, region), attributes(node)
    if options.get("mode", b"constant") != b"reflect" or amounts is None or len(node.input) > 3:
        raise BadInput("ONNX", f"Pad {node.name!r}: only mirrored padding (mode reflect) along time is supported")
    if len(amounts) != 8 or any(amounts[place] for place in (0, 1, 2, 4, 5, 6)):
        raise BadInput("ONNX", f"Pad {node.name!r} pads more than time")
    return Pad(*ends, before=amounts[3], after=amounts[7])


def _slice(node: onnx.NodeProto, region: Region, ends: Ends, shape: tuple[int, ...]) -> Node:
    starts, stops, axes, steps = (_numbers(node, place, region) for place in (1, 2, 3, 4))
    if starts is None or stops is None or axes is None or len(axes) != 1 or axes[0] % 4 not in (1, 3):
        raise BadInput("ONNX", f"Slice {node.name!r} is not of channels or of time alone")
    if len(starts) != 1 or len(stops) != 1 or (steps or [1]) != [1]:
        raise BadInput("ONNX", f"Slice {node.name!r} leaves places out")
    start, stop, _ = slice(starts[0], stops[0]).indices(shape[axes[0] % 4])
    return Slice(*ends, axis="C" if axes[0] % 4 == 1 else "T", start=start, stop=stop)


def _regroup(node: onnx.NodeProto, region: Region, ends: Ends, shape: tuple[int, ...]) -> Node:
    sides, options = _numbers(node, 1, region), attributes(node)
    batch, channels, frequencies, frames = shape
    if sides is not None and len(sides) == 4 and not options.get("allowzero", 0):
        wanted = [have if side == 0 else side for side, have in zip(sides, shape, strict=True)]
        elements = channels * frequencies * frames
        known = abs(int(np.prod(wanted, dtype=object)))
        if wanted.count(-1) == 1 and known and elements % known == 0:
            wanted[wanted.index(-1)] = elements // known
        fits = wanted[1] > 0 and wanted[1] * wanted[2] == channels * frequencies
        if wanted[0] == batch and wanted[3] == frames and fits:
            return Regroup(*ends, channels=wanted[1])
    raise BadInput("ONNX", f"Reshape {node.name!r} does more than share out channels and frequencies anew")
