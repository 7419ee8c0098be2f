"""The graphs inside an .onnx file: the model's own, the bodies of its loops and branches, and how often those run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

# Operators of ONNX's own that run graphs, by the attribute that holds each, and what it is called here
_PARTS = {"If": {"then_branch": "then", "else_branch": "else"}, "Loop": {"body": "body"}, "Scan": {"body": "body"}}
_FIRST_SCAN = 9  # the opset from which a Scan has no batch
_ENDLESS = 2**31  # as many steps mean that the condition decides

Constant = Callable[[str], "np.ndarray[Any, Any] | None"]


def body_parts(node: onnx.NodeProto) -> dict[str, str]:
    """The attributes of `node` that hold bodies which are known to run, and the part that each plays."""
    return _PARTS.get(node.op_type, {}) if node.domain in ("", "ai.onnx") else {}


def bodies_of(node: onnx.NodeProto) -> dict[str, onnx.GraphProto]:
    """The bodies of a loop or a branch by their part; empty for any other operator."""
    parts = body_parts(node)
    return {parts[item.name]: item.g for item in node.attribute if item.name in parts and item.HasField("g")}


def scopes(graph: onnx.GraphProto, path: str = "") -> Iterator[tuple[str, onnx.GraphProto]]:
    """`graph` and every body in it, each with its path, which is '' for `graph` itself."""
    yield path, graph
    for number, node in enumerate(graph.node):
        for part, body in bodies_of(node).items():
            yield from scopes(body, body_path(path, number, part))


def body_path(path: str, number: int, part: str) -> str:
    """The path of a body of node `number` in the graph at `path`."""
    return f"{path}{number}.{part}/"


def loop_trips(node: onnx.NodeProto, body: onnx.GraphProto, outside: Constant, inside: Constant) -> int | None:
    """How often a Loop runs its body; None where data decides.

    Args:
        outside, inside: the value of a constant by its name around the loop and in its body, None for what is none.
    """
    given = [*node.input, "", ""][:2]
    most, start = outside(given[0]), outside(given[1])
    if most is None or most.size != 1 or (given[1] and (start is None or not start.all())):
        return None
    if len(body.output) < 1 or len(body.input) < 2:
        return None
    goes_on = inside(body.output[0].name)
    if not (goes_on is not None and goes_on.all()) and not passes(body, 1, 0):
        return None
    steps = int(most.ravel()[0])
    return max(0, steps) if steps < _ENDLESS else None


def scan_trips(node: onnx.NodeProto, side: Callable[[str, int], int], opset: int) -> int | None:
    """How often a Scan runs its body: the length of what it goes along; None where that is open.

    Args:
        side: the length of a tensor along an axis, below 1 where it is not known.
    """
    ints = {item.name: item.i for item in node.attribute}
    axes = next((list(item.ints) for item in node.attribute if item.name == "scan_input_axes"), [])
    count = ints.get("num_scan_inputs", 0)
    if opset < _FIRST_SCAN or not 1 <= count <= len(node.input):
        return None
    steps = side(node.input[len(node.input) - count], axes[0] if axes else 0)
    return steps if steps > 0 else None


def sequences(graph: onnx.GraphProto) -> Iterator[str]:
    """What recurrent layers and Scans of `graph` and its bodies go along, where that may be the first axis."""
    for _, inner in scopes(graph):
        for node in inner.node:
            ints = {item.name: item.i for item in node.attribute}
            if node.op_type in ("LSTM", "GRU", "RNN") and node.input and not ints.get("layout", 0):
                yield node.input[0]
            elif node.op_type == "Scan":
                yield from node.input[max(0, len(node.input) - ints.get("num_scan_inputs", 0)) :]


def passes(body: onnx.GraphProto, place: int, output: int) -> bool:
    """Whether output `output` of a body is its input `place` as it came."""
    if not (0 <= place < len(body.input) and 0 <= output < len(body.output)):
        return False
    copies = {node.output[0]: node.input[0] for node in body.node if _copies(node)}
    name = body.output[output].name
    for _ in range(len(copies)):  # no longer than the longest chain
        if name not in copies:
            break
        name = copies[name]
    return bool(name == body.input[place].name)


def _copies(node: onnx.NodeProto) -> bool:
    return node.op_type == "Identity" and len(node.input) == 1 and len(node.output) == 1
