"""The islands of a transformer as ONNX operators of opset 18, in the shape in which torch writes them."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.model import Attention, ChannelNorm, Gelu, Node, QTensor, ZeroPad


class Writing(Protocol):
    """What these operators need of the writer."""

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Keep a constant; its name."""
        ...

    def emit(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """Append an operator; the name of its output."""
        ...

    def mean(self, name: str, value: str, axes: list[int], keep: bool) -> str:
        """Append a mean; the name of its output."""
        ...


def write_transformer(node: Node, name: str, inputs: list[str], output: QTensor, writing: Writing) -> str | None:
    """Emit the float operators of `node` on the values `inputs`; the name of their result, None for another node."""
    match node:
        case Gelu():
            return _gelu(name, inputs[0], writing)
        case ChannelNorm():
            return _channel_norm(node, name, inputs[0], writing)
        case Attention():
            return _attention(node, name, inputs, output, writing)
        case ZeroPad():
            amounts = np.array([0, 0, 0, node.padding[0], 0, 0, 0, node.padding[1]], np.int64)
            return writing.emit("Pad", name, [*inputs, writing.constant(f"{node.name}.pads", amounts)], mode="constant")
    return None


def _gelu(name: str, value: str, writing: Writing) -> str:
    def number(of: str, real: float) -> str:
        return writing.constant(of, np.asarray(real, np.float32))

    divided = writing.emit("Div", f"{name}/divided", [value, number("gelu/sqrt_2", math.sqrt(2.0))])
    raised = [writing.emit("Erf", f"{name}/erf", [divided]), number("gelu/one", 1.0)]
    product = writing.emit("Mul", f"{name}/product", [value, writing.emit("Add", f"{name}/raised", raised)])
    return writing.emit("Mul", name, [product, number("gelu/half", 0.5)])


def _channel_norm(node: ChannelNorm, name: str, value: str, writing: Writing) -> str:
    mean = writing.mean(f"{name}/mean", value, [1], True)
    centred = writing.emit("Sub", f"{name}/centred", [value, mean])
    square = writing.emit("Mul", f"{name}/square", [centred, centred])
    variance = writing.mean(f"{name}/variance", square, [1], True)
    eps = writing.constant(f"{node.name}.eps", np.asarray(node.eps, np.float32))
    root = writing.emit("Sqrt", f"{name}/root", [writing.emit("Add", f"{name}/floored", [variance, eps])])
    normal = writing.emit("Div", f"{name}/normal", [centred, root])
    gain, offset = (
        writing.constant(f"{node.name}.{part}", values.astype(np.float32).reshape(1, -1, 1, 1))
        for part, values in (("gain", node.gain), ("offset", node.offset))
    )
    return writing.emit("Add", name, [writing.emit("Mul", f"{name}/scaled", [normal, gain]), offset])


def _attention(node: Attention, name: str, inputs: list[str], output: QTensor, writing: Writing) -> str:
    _, channels, _, tokens = output.shape
    width = channels // node.heads
    split = writing.constant(f"{node.name}.heads", np.array([0, node.heads, width, tokens], np.int64))
    whole = writing.constant(f"{node.name}.whole", np.array([0, channels, 1, tokens], np.int64))
    queries, keys, values = (
        writing.emit("Reshape", f"{name}/{part}", [value, split])
        for part, value in zip(("queries", "keys", "values"), inputs, strict=True)
    )
    turned, mixing = (
        writing.emit("Transpose", f"{value}/turned", [value], perm=[0, 1, 3, 2]) for value in (queries, values)
    )
    scores = writing.emit("MatMul", f"{name}/scores", [turned, keys])
    factor = writing.constant(f"{node.name}.factor", np.asarray(1.0 / math.sqrt(width), np.float32))
    shares = writing.emit(
        "Softmax", f"{name}/shares", [writing.emit("Mul", f"{name}/scaled", [scores, factor])], axis=3
    )
    mixed = writing.emit("MatMul", f"{name}/mixed", [shares, mixing])
    return writing.emit("Reshape", name, [writing.emit("Transpose", f"{name}/back", [mixed], perm=[0, 1, 3, 2]), whole])
