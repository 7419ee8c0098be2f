"""One region of a QDQ graph as matchers see it: the float operators between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.model import Activation

if TYPE_CHECKING:
    import onnx

HALVES_AWAY = 1.0 + 2.0**-14  # how much larger a pool sees integers; float32 sums of a window err by far less


class Region:
    """Access to the nodes above one QuantizeLinear."""

    def __init__(
        self,
        quantize: onnx.NodeProto,
        producers: dict[str, onnx.NodeProto],
        reals: dict[str, str],
        weights: dict[str, tuple[NDArray[Any], NDArray[np.float32], int]],
        constants: dict[str, NDArray[Any]],
        integers: dict[str, str],
    ) -> None:
        self.output = quantize.output[0]
        self.top = quantize.input[0]
        self.producers, self.reals, self.weights, self.constants = producers, reals, weights, constants
        self.integers = integers  # dequantised with zero point 0 and a scale of almost 1 -> int8 tensor's name

    def node(self, value: str, *ops: str) -> onnx.NodeProto | None:
        """The node that makes `value`, if it is one of `ops`."""
        node = self.producers.get(value)
        return node if node is not None and node.op_type in ops else None

    def tensor(self, value: str) -> str | None:
        """The int8 tensor that `value` dequantises."""
        return self.reals.get(value)

    def tensors(self, node: onnx.NodeProto) -> tuple[str, ...] | None:
        """The int8 tensors behind all inputs of `node`, or None if one is something else."""
        names = [self.tensor(value) for value in node.input]
        return None if None in names else tuple(str(name) for name in names)

    def name(self, node: onnx.NodeProto) -> str:
        """The layer's name: the node's, without the `/float` that the writer adds, or else the output tensor's."""
        return node.name.removesuffix("/float") or self.output

    def without_relu(self) -> tuple[str, Activation]:
        relu = self.node(self.top, "Relu")
        return (relu.input[0], "relu") if relu is not None else (self.top, "none")


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The node's attributes by name."""
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def whole_numbers(node: onnx.NodeProto, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """An attribute that is a list of integers, as long as `default` where there is one.

    Raises:
        BadInput: it is something else.
    """
    found = attributes(node).get(name, default)
    fits = isinstance(found, list | tuple) and len(found) == (len(default) or 2)
    if not fits or not all(isinstance(number, int) for number in found):
        raise BadInput("ONNX", f"{node.op_type} {node.name or node.output[0]!r} has {name} {found!r:.60}")
    return tuple(found)


def reduced_axes(region: Region, node: onnx.NodeProto) -> tuple[list[int], bool]:
    """The axes of a mean, and whether they are kept as size 1."""
    options = attributes(node)
    if node.op_type == "GlobalAveragePool":
        return [2, 3], True
    axes = options.get("axes")
    if axes is None and len(node.input) > 1:
        axes = region.constants[node.input[1]].tolist()
    if axes is not None and not axes and options.get("noop_with_empty_axes", 0):
        raise BadInput("ONNX", f"{node.op_type} {node.name!r} reduces nothing")
    return [int(axis) % 4 for axis in axes or [1, 2, 3]], options.get("keepdims", 1) == 1


def check_eps(node: onnx.NodeProto, eps: float, *others: Any) -> None:
    """Refuse a norm that may divide by nothing.

    Raises:
        BadInput: an epsilon that is not positive, or a number that is not finite.
    """
    if not eps > 0 or not all(np.all(np.isfinite(values)) for values in (eps, *others)):
        raise BadInput("ONNX", f"the norm {node.name or node.output[0]!r} has an epsilon of {eps:g}, or infinite gains")
