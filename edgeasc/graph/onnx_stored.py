"""An .onnx file as it is stored, whatever its operators: for the audit of files that are no integer graph.

Shapes come from ONNX's own shape inference, native code that runs on a stranger's file in a process of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.files import sha256
from edgeasc.graph.onnx_hidden import hidden_numbers
from edgeasc.graph.onnx_read import parse_onnx
from edgeasc.graph.onnx_scopes import bodies_of, body_parts, body_path, loop_trips, scan_trips
from edgeasc.graph.onnx_shapes import MAX_ELEMENTS, Scoped, declared_shapes, inferred_shapes
from edgeasc.graph.stored import UNKNOWN, StoredModel, StoredOperator, StoredTensor, count_elements
from edgeasc.graph.topology import in_order

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
ZeroPoints = dict[str, tuple[Array, int, int]]

_NO_ZERO_POINTS = (np.empty(0, np.int64), 0, 0)
# Where operators keep the zero points of their quantised inputs, and the axis along which there may be many
_LAST = -1
_ZERO_POINTS = {
    "DequantizeLinear": ((0, 2, 1),),
    "QLinearConv": ((3, 5, 0),),
    "QLinearMatMul": ((0, 2, 0), (3, 5, _LAST)),
    "QLinearAdd": ((0, 2, 0), (3, 5, 0)),
    "QLinearMul": ((0, 2, 0), (3, 5, 0)),
    "QGemm": ((0, 2, 0), (3, 5, 0)),
    "ConvInteger": ((1, 3, 0),),
    "MatMulInteger": ((0, 2, 0), (1, 3, _LAST)),
    "MatMulIntegerToFloat": ((0, 4, 0), (1, 5, _LAST)),
    "DynamicQuantizeMatMul": ((1, 3, _LAST),),
    "DynamicQuantizeLSTM": ((1, 9, 0), (2, 11, 0)),
    "QAttention": ((1, 7, _LAST),),
}
_ATTRIBUTES = ("transA", "equation", "axis", "block_size")  # those that counting asks for


def read_stored_onnx(payload: bytes, shapes: bool = True) -> StoredModel:
    """Tensors and operators of an .onnx file, open sides taken as -1 (the batch as 1).

    Without `shapes` nothing is inferred, and of the activations only those are known that the file declares.

    Raises:
        BadInput: not ONNX, or constants that do not fit their shapes.
        ResourceExhausted: shape inference took too long by the clock.
    """
    model = parse_onnx(payload)
    try:
        read = _Scope(model.graph, inferred_shapes(model) if shapes else declared_shapes(model.graph), _opset(model))
        return replace(
            read.model(),
            metadata={item.key: item.value for item in model.metadata_props},
            subgraphs=tuple(read.bodies),
            functions=len(model.functions),
            hidden=hidden_numbers(model),
        )
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise BadInput("ONNX", f"malformed graph ({error})") from None


def _opset(model: onnx.ModelProto) -> int:
    return next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 1)


class _Scope:
    """One graph of the file: the model's own, or the body of a loop or a branch, which sees the names around it.

    `bodies` are the sub-graphs found so far in the whole file, `captured` the activations around that are read here.
    """

    def __init__(
        self, graph: onnx.GraphProto, shapes: Scoped, opset: int, path: str = "", outer: _Scope | None = None
    ) -> None:
        from onnx import numpy_helper

        self.graph, self.shapes, self.opset, self.path, self.outer = graph, shapes, opset, path, outer
        self.bodies: list[StoredModel] = outer.bodies if outer else []
        self.captured: dict[str, None] = {}  # in order
        self.tensors: list[StoredTensor] = []
        self.index: dict[str, int] = {"": -1}
        self.sparse: dict[str, tuple[int, ...]] = {}  # name -> the whole shape
        self.constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        for item in graph.sparse_initializer:
            self.constants[item.values.name] = numpy_helper.to_array(item.values)
            self.sparse[item.values.name] = tuple(item.dims)
        for node in graph.node:
            if node.op_type == "Constant" and node.output:
                for attribute in node.attribute:
                    if attribute.HasField("sparse_tensor"):
                        self.sparse[node.output[0]] = tuple(attribute.sparse_tensor.dims)
                value = _constant(node)
                if value is not None:
                    self.constants[node.output[0]] = value
        made = {name for node in graph.node for name in node.output} | {item.name for item in graph.input}
        self.own = made | self.constants.keys()
        self.zero_points = self.find_zero_points()

    def model(self) -> StoredModel:
        """Its tensors and operators; what belongs to the whole file is left out."""
        for node in self.graph.node:  # protobuf gives text that is no UTF-8 as bytes
            if not all(isinstance(text, str) for text in (node.op_type, node.name, *node.input, *node.output)):
                raise ValueError("a name that is no text")
        operators = tuple(
            self.operator(number, node)
            for number, node in enumerate(self.graph.node)
            if node.op_type != "Constant" or node.output[0] not in self.constants
        )
        inputs = [item.name for item in self.graph.input if item.name not in self.constants]
        for name in self.constants:  # those that nothing reads are in the file all the same
            self.tensor(name)
        ends = tuple(self.tensor(name) for name in inputs), tuple(self.tensor(item.name) for item in self.graph.output)
        return in_order(StoredModel("onnx", tuple(self.tensors), operators, *ends, {}))

    def operator(self, number: int, node: onnx.NodeProto) -> StoredOperator:
        """Node `number`, the activations that its bodies read among its inputs."""
        attributes = _attributes(node)
        captured: dict[str, None] = {}
        for part, graph in bodies_of(node).items():
            body = _Scope(graph, self.shapes, self.opset, body_path(self.path, number, part), self)
            inner = body.model()
            self.bodies.append(inner)
            attributes[part] = len(self.bodies)
            captured |= body.captured
            trips = self.trips(node, body)
            if trips is not None:
                attributes["trips"] = trips
        unknown = [item for item in node.attribute if item.name not in body_parts(node)]
        return StoredOperator(
            name=node.name or (node.output[0] if node.output else node.op_type),
            op=node.op_type,
            inputs=tuple(self.tensor(name) for name in (*node.input, *captured)),
            outputs=tuple(self.tensor(name) for name in node.output if name),
            domain=node.domain,
            attributes=attributes,
            subgraphs=sum(attribute.HasField("g") or len(attribute.graphs) for attribute in unknown),
        )

    def trips(self, node: onnx.NodeProto, body: _Scope) -> int | None:
        """How often `node` runs its body; None for a branch, and where data decides."""
        if node.op_type == "Loop":
            return loop_trips(node, body.graph, self.constant, body.constant)
        return scan_trips(node, self.side, self.opset) if node.op_type == "Scan" else None

    def owner(self, name: str) -> _Scope:
        """The innermost graph around here that has `name`; this one where none has."""
        scope: _Scope | None = self
        while scope is not None and name not in scope.own:
            scope = scope.outer
        return scope or self

    def constant(self, name: str) -> Array | None:
        """The value of a constant, here or around."""
        return self.owner(name).constants.get(name)

    def side(self, name: str, axis: int) -> int:
        """Length of a tensor along `axis`, below 1 where it is open or there is none."""
        shape = self.stored(name).shape if name else ()
        return shape[axis] if -len(shape) <= axis < len(shape) else -1

    def find_zero_points(self) -> ZeroPoints:
        """Zero points, axis and block length of every quantised constant, by its name."""
        result: ZeroPoints = {}
        for node in self.graph.node:
            attributes = _attributes(node)
            for value, zero, axis in _ZERO_POINTS.get(node.op_type, ()):
                found = self.constant(node.input[zero]) if max(zero, value) < len(node.input) else None
                if found is not None:
                    zeros = found.astype(np.int64)
                    where = int(attributes.get("axis", axis)) if node.op_type == "DequantizeLinear" else axis
                    result[node.input[value]] = (zeros, where, int(attributes.get("block_size", 0)))
        return result

    def tensor(self, name: str) -> int:
        """Index of the tensor called `name`, made on first sight."""
        if name not in self.index:
            self.index[name] = len(self.tensors)
            self.tensors.append(self.stored(name))
            owner = self.owner(name)
            if owner is not self and name not in owner.constants:
                self.captured[name] = None
        return self.index[name]

    def stored(self, name: str) -> StoredTensor:
        """The tensor called `name`, wherever around here it comes from."""
        owner = self.owner(name)
        if name not in owner.constants:
            dtype, shape = self.shapes.get(owner.path, {}).get(name, (UNKNOWN, (-1,)))
            return StoredTensor(name, shape, dtype, _bits(dtype))
        value = owner.constants[name]
        shape = owner.sparse.get(name, tuple(value.shape))
        if count_elements(shape) > MAX_ELEMENTS or min(shape, default=0) < 0:
            raise ValueError(f"{name!r} of shape {shape}")
        zeros, axis, block = (self.zero_points | owner.zero_points).get(name, _NO_ZERO_POINTS)
        zeros, axis = _zeros_of(name, value, zeros, axis, block)
        dtype = str(value.dtype)
        return StoredTensor(
            name=name,
            shape=shape,
            dtype=dtype,
            bits=_bits(dtype),
            data=value.ravel() if value.dtype.kind in "fiub" or _bits(dtype) < 32 else None,
            content=sha256(np.ascontiguousarray(value).tobytes()),
            zero_points=zeros,
            axis=axis,
            storage=f"initialiser {owner.path}{name}",
            sparse=name in owner.sparse,
        )


def _zeros_of(name: str, value: Array, zeros: Array, axis: int, block: int) -> tuple[NDArray[np.int64], int]:
    """Zero points as one, one per slice of the axis, or (where they go by blocks) one per element; and the axis."""
    axis = axis % max(value.ndim, 1) if -value.ndim <= axis < max(value.ndim, 1) else axis
    if zeros.size > 1 and zeros.ndim == value.ndim and zeros.ndim > 1:
        length = block or -(-value.shape[axis] // max(zeros.shape[axis], 1))
        length = min(length, value.shape[axis])  # a file may claim any; beyond the side, repeating is of no use
        whole = np.repeat(zeros, length, axis)[tuple(slice(side) for side in value.shape)]
        if whole.shape != value.shape:
            raise ValueError(f"{name!r} of shape {value.shape} with zero points of shape {zeros.shape}")
        return whole.ravel(), axis
    if zeros.size > 1 and not (0 <= axis < value.ndim and zeros.size == value.shape[axis]):
        raise ValueError(f"{name!r} of shape {value.shape} with {zeros.size} zero points along axis {axis}")
    return zeros.ravel(), axis


def _constant(node: onnx.NodeProto) -> Array | None:
    """The value of a Constant node; None for text."""
    from onnx import numpy_helper

    for attribute in node.attribute:
        match attribute.name:
            case "value":
                return numpy_helper.to_array(attribute.t)
            case "value_float":
                return np.array(attribute.f, np.float32)
            case "sparse_value":
                return numpy_helper.to_array(attribute.sparse_tensor.values)
            case "value_int":
                return np.array(attribute.i, np.int64)
            case "value_floats":
                return np.array(attribute.floats, np.float32)
            case "value_ints":
                return np.array(attribute.ints, np.int64)
    return None


def _attributes(node: onnx.NodeProto) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for attribute in node.attribute:
        if attribute.name in _ATTRIBUTES:
            found[attribute.name] = (
                attribute.s.decode(errors="replace") if attribute.name == "equation" else attribute.i
            )
    return found


def _bits(dtype: str) -> int:
    """Bits of one element, 0 for what is no number."""
    small = {"bool": 8, "bfloat16": 16, "int4": 4, "uint4": 4, "int2": 2, "uint2": 2}
    if dtype in small:
        return small[dtype]
    if dtype.startswith("float8"):
        return 8
    try:
        kind = np.dtype(dtype)
    except TypeError:
        return 0
    return kind.itemsize * 8 if kind.kind in "fiuc" else 0
