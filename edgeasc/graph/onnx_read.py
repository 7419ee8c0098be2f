"""Quantised ONNX in QDQ form -> IntegerGraph, whoever wrote the file.

The file is cut at its QuantizeLinear nodes; what lies between the DequantizeLinear inputs and one QuantizeLinear is a
region, and each region must be one of the operators of `graph.model` (`graph.onnx_regions`). Anything else is refused
with the name of the node.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.files import read_bytes
from edgeasc.graph.model import ISLANDS, AvgPool, Form, IntegerGraph, Node, QTensor
from edgeasc.graph.onnx_region import HALVES_AWAY, Region
from edgeasc.graph.onnx_regions import match_region
from edgeasc.graph.shapes import output_shape

if TYPE_CHECKING:
    import onnx

KNOWN_DOMAINS = ("", "ai.onnx", "com.microsoft")  # the last has operators of the same name that do the same
OPSET_OF_SOFTMAX = 13  # from which on its default axis is the last
MAX_ELEMENTS = 2**28  # of one tensor; a small audio network has far less, a hostile file may claim anything


def read_onnx(source: Path | bytes) -> IntegerGraph:
    """The integer graph in a quantised ONNX file.

    Raises:
        BadInput: not ONNX, external data, not quantised, or an operator that the integer graph does not have.
    """
    path = source if isinstance(source, Path) else None
    payload = read_bytes(source, "ONNX") if isinstance(source, Path) else source
    try:
        return _Reader(parse_onnx(payload)).graph()
    except BadInput as error:
        raise BadInput("ONNX", error.why, path) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise BadInput("ONNX", f"malformed graph ({error})", path) from None


def parse_onnx(payload: bytes) -> onnx.ModelProto:
    """The parsed protocol buffer, without looking at the graph.

    Raises:
        BadInput: not an ONNX model, or one that keeps its tensors in other files.
    """
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(payload)
    except (DecodeError, ValueError) as error:
        raise BadInput("ONNX", f"not an ONNX file ({error})") from None
    if not model.graph.node:
        raise BadInput("ONNX", "not an ONNX file, or one without operators")
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise BadInput("ONNX", f"tensor {tensor.name!r} is kept in another file; store it inside the model")
    return model


class _Reader:
    """Walks the nodes once in their order, turning every QuantizeLinear into a tensor and its region into a node."""

    def __init__(self, model: onnx.ModelProto) -> None:
        from onnx import numpy_helper

        self.model = model
        self.constants: dict[str, NDArray[np.generic]] = {}
        for initializer in model.graph.initializer:
            self.constants[initializer.name] = numpy_helper.to_array(initializer)
        for node in model.graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self.constants[node.output[0]] = numpy_helper.to_array(attribute.t)
        self.producers = self.unique_producers()
        self.tensors: dict[str, QTensor] = {}
        self.reals: dict[str, str] = {}  # dequantised name -> int8 tensor's name
        self.integers: dict[str, str] = {}  # the same, where the integers themselves are taken for reals
        weighted = ("Conv", "PRelu")  # whose second input is no tensor of the graph, however small
        self.taps = {n.input[1] for n in model.graph.node if n.op_type in weighted and len(n.input) > 1}
        self.weights: dict[str, tuple[NDArray[np.generic], NDArray[np.float32], int]] = {}
        self.nodes: list[Node] = []

    def unique_producers(self) -> dict[str, onnx.NodeProto]:
        """The node that makes each value; operators of other vendors are others, whatever they are called."""
        found: dict[str, onnx.NodeProto] = {}
        for node in self.model.graph.node:
            if node.domain not in KNOWN_DOMAINS:
                raise BadInput("ONNX", f"{node.op_type} {node.name!r} of domain {node.domain!r} is unknown")
            for output in filter(None, node.output):
                if output in found:
                    raise BadInput("ONNX", f"{output!r} is made by two operators")
                found[output] = node
        return found

    def settle_softmax(self) -> None:
        """Write down the axis that Softmax has by default before opset 13, which is not the last."""
        from onnx import helper

        versions = [entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")]
        for node in self.model.graph.node:
            old = node.op_type == "Softmax" and min(versions, default=OPSET_OF_SOFTMAX) < OPSET_OF_SOFTMAX
            if old and not any(attribute.name == "axis" for attribute in node.attribute):
                node.attribute.append(helper.make_attribute("axis", 1))

    def graph(self) -> IntegerGraph:
        self.settle_softmax()
        source = self.input()
        for node in self.model.graph.node:
            if node.op_type == "DequantizeLinear":
                self.dequantize(node)
            elif node.op_type == "QuantizeLinear":
                self.quantize(node)
        result = self.output()
        metadata = {entry.key: entry.value for entry in self.model.metadata_props}
        form = self.form(metadata.pop("edgeasc.form", None))
        used = {name for node in self.nodes for name in (*node.inputs, node.output)} | {source, result}
        tensors = {name: tensor for name, tensor in self.tensors.items() if name in used}
        return IntegerGraph(form, source, result, tensors, tuple(self.nodes), metadata)

    def form(self, declared: str | None) -> Form:
        islands = any(isinstance(node, ISLANDS) for node in self.nodes)
        if declared not in (None, "int8", "island") or (declared == "int8" and islands):
            raise BadInput("ONNX", f"the file calls itself form {declared!r} and is not")
        return "island" if islands or declared == "island" else "int8"

    def input(self) -> str:
        """The graph's int8 input, or the QuantizeLinear output that a float input goes into."""
        names = [value for value in self.model.graph.input if value.name not in self.constants]
        if len(names) != 1:
            raise BadInput("ONNX", f"{len(names)} inputs; edgeasc takes networks with one")
        self.source, self.source_type = names[0].name, names[0].type.tensor_type.elem_type
        dims = names[0].type.tensor_type.shape.dim
        shape = (1, *(int(dim.dim_value) for dim in dims[1:]))
        if len(shape) != 4 or min(shape) < 1 or np.prod(shape, dtype=object) > MAX_ELEMENTS:
            raise BadInput("ONNX", f"input {self.source!r} has shape {shape}, not [batch, 1, n_mels, n_frames]")
        self.source_shape = shape
        for node in self.model.graph.node:
            if self.source in node.input and node.op_type in ("DequantizeLinear", "QuantizeLinear"):
                name = self.source if node.op_type == "DequantizeLinear" else node.output[0]
                self.add_tensor(name, shape, node)
                return name
        raise BadInput("ONNX", f"input {self.source!r} is not quantised; edgeasc reads QDQ files")

    def output(self) -> str:
        if len(self.model.graph.output) != 1:
            raise BadInput("ONNX", f"{len(self.model.graph.output)} outputs; edgeasc takes networks with one")
        name = self.model.graph.output[0].name
        name = self.reals.get(name, name)
        if name not in self.tensors:
            raise BadInput("ONNX", f"output {name!r} is not a quantised tensor")
        return name

    def grid(self, node: onnx.NodeProto) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        """Scales, int8 zero points and axis of a (De)QuantizeLinear node; uint8 is shifted to int8."""
        scale = np.asarray(self.constants[node.input[1]], np.float32)
        stored = self.zero_point(node)
        if stored.dtype not in (np.int8, np.uint8, np.int32):
            raise BadInput("ONNX", f"{node.name or node.output[0]!r} quantises to {stored.dtype}; int8 is needed")
        if not np.all(np.isfinite(scale)) or np.any(scale <= 0):
            raise BadInput("ONNX", f"{node.name or node.output[0]!r} has a scale that is not positive")
        shift = 128 if stored.dtype == np.uint8 else 0
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        return scale, stored.astype(np.int64) - shift, axis

    def zero_point(self, node: onnx.NodeProto) -> NDArray[np.generic]:
        """As stored; left out, it is 0 in the type of what is dequantised, or of what the quantiser says it makes."""
        from onnx import helper

        if len(node.input) > 2 and node.input[2]:
            return self.constants[node.input[2]]
        if node.op_type == "QuantizeLinear":
            named = next((a.i for a in node.attribute if a.name == "output_dtype"), 0)
            return np.zeros((), helper.tensor_dtype_to_np_dtype(named) if named else np.uint8)
        source = node.input[0]
        if source in self.constants:
            return np.zeros((), self.constants[source].dtype)
        if source in self.producers:
            return np.zeros((), self.zero_point(self.producers[source]).dtype)
        return np.zeros((), helper.tensor_dtype_to_np_dtype(self.source_type))

    def add_tensor(self, name: str, shape: tuple[int, ...], node: onnx.NodeProto, data: object = None) -> None:
        scale, zero, _ = self.grid(node)
        if scale.size != 1:
            raise BadInput("ONNX", f"activation {name!r} is quantised per channel; int8 per tensor is needed")
        if np.prod(shape, dtype=object) > MAX_ELEMENTS:
            raise BadInput("ONNX", f"tensor {name!r} would have shape {shape}")
        integers = None if data is None else np.asarray(data, np.int8)
        self.tensors.setdefault(name, QTensor(name, shape, np.float32(scale.item()), int(zero.item()), integers))

    def dequantize(self, node: onnx.NodeProto) -> None:
        source, result = node.input[0], node.output[0]
        if source in self.tensors:
            self.view_of(self.tensors[source], node)[result] = source
            return
        if source not in self.constants:
            raise BadInput("ONNX", f"{node.name or result!r} dequantises {source!r}, which no QuantizeLinear makes")
        stored = self.constants[source]
        if stored.dtype not in (np.int8, np.uint8, np.int32):
            raise BadInput("ONNX", f"constant {source!r} is {stored.dtype}; int8 is needed")
        if stored.dtype == np.uint8:
            stored = (stored.astype(np.int16) - 128).astype(np.int8)
        scale, zero, axis = self.grid(node)
        if stored.dtype == np.int32:
            if np.any(zero):
                raise BadInput("ONNX", f"constant {source!r} is int32 with a zero point; none is supported")
            self.weights[result] = (stored, scale, 0)
            return
        if np.any(zero):
            if scale.size != 1:
                raise BadInput("ONNX", f"constant {source!r} has zero points per channel; symmetric weights are needed")
        elif stored.ndim == 4 and result in self.taps:
            self.weights[result] = (stored, scale, axis)
            return
        shape = (1,) * (4 - stored.ndim) + stored.shape
        if shape[0] != 1:
            if any(node.op_type in ("Add", "Sub", "Mul") and result in node.input for node in self.model.graph.node):
                raise BadInput("ONNX", f"constant {source!r} of shape {shape} differs from clip to clip")
            self.weights[result] = (stored, scale, axis)  # of an operator that will be named, as it has no place here
            return
        self.add_tensor(source, shape, node, stored.reshape(shape))
        self.reals[result] = source

    def view_of(self, tensor: QTensor, node: onnx.NodeProto) -> dict[str, str]:
        """Whether a DequantizeLinear of `tensor` gives its real values or its integers.

        Raises:
            BadInput: neither.
        """
        scale, zero, _ = self.grid(node)
        if scale.size == 1 and (scale.item(), zero.item()) == (tensor.scale.item(), tensor.zero_point):
            return self.reals
        if scale.size == 1 and zero.item() == 0 and 1 <= scale.item() <= HALVES_AWAY:
            return self.integers
        raise BadInput("ONNX", f"{node.name or node.output[0]!r} reads {tensor.name!r} on another grid than its own")

    def quantize(self, node: onnx.NodeProto) -> None:
        if node.output[0] in self.tensors:
            return  # the quantised float input
        region = Region(node, self.producers, self.reals, self.weights, self.constants, self.integers)
        scale, zero, _ = self.grid(node)
        if scale.size != 1:
            raise BadInput("ONNX", f"activation {node.output[0]!r} is quantised per channel; int8 per tensor is needed")
        operator = match_region(region, self.tensors, np.float32(scale.item()), int(zero.item()))
        shape = output_shape(operator, [self.tensors[name].shape for name in operator.inputs])
        self.add_tensor(operator.output, shape, node)
        if isinstance(operator, AvgPool):  # the grid of its input, whatever the file's QuantizeLinear says
            source, output = self.tensors[operator.inputs[0]], self.tensors[operator.output]
            self.tensors[operator.output] = replace(output, scale=source.scale, zero_point=source.zero_point)
        self.nodes.append(operator)


def front_end_json(graph: IntegerGraph) -> dict[str, object] | None:
    """The front end embedded in the file's metadata, as a document, or None.

    Raises:
        BadInput: the metadata is not JSON.
    """
    text = graph.metadata.get("edgeasc.features")
    if text is None:
        return None
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadInput("ONNX", f"metadata 'edgeasc.features' is not JSON ({error})") from None
    return document if isinstance(document, dict) else None
