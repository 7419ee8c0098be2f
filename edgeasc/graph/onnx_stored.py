"""An .onnx file as it is stored, whatever its operators: for the audit of files that are no integer graph.

Shapes come from ONNX's own shape inference, native code that runs on a stranger's file in a process of its own.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput, ResourceExhausted
from edgeasc.files import sha256
from edgeasc.graph.onnx_read import parse_onnx
from edgeasc.graph.stored import UNKNOWN, StoredModel, StoredOperator, StoredTensor, count_elements
from edgeasc.graph.topology import in_order

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
Shapes = dict[str, tuple[str, tuple[int, ...]]]
ZeroPoints = dict[str, tuple[Array, int, int]]

INFERENCE_SECONDS = 60  # of the clock, which may be that of a busy machine
INFERENCE_CPU_SECONDS = 5  # of the processor: longer, and the file is to blame
_OUT_OF_TIME = getattr(signal, "SIGXCPU", 0)  # not on Windows, where the clock ends it
MAX_ELEMENTS = 2**28  # of one tensor; an audio network has far less, a hostile file may claim anything
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
TABLE = 16  # whole numbers that still are a shape or axes
BLOB = 256  # bytes of text that still are a name or a setting
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
        return _Reader(model, _shapes(model) if shapes else declared_shapes(model.graph)).model()
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise BadInput("ONNX", f"malformed graph ({error})") from None


class _Reader:
    def __init__(self, model: onnx.ModelProto, shapes: Shapes) -> None:
        from onnx import numpy_helper

        self.proto, self.shapes = model, shapes
        self.tensors: list[StoredTensor] = []
        self.index: dict[str, int] = {"": -1}
        self.sparse: dict[str, tuple[int, ...]] = {}  # name -> the whole shape
        self.constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        for item in model.graph.sparse_initializer:
            self.constants[item.values.name] = numpy_helper.to_array(item.values)
            self.sparse[item.values.name] = tuple(item.dims)
        for node in model.graph.node:
            if node.op_type == "Constant" and node.output:
                for attribute in node.attribute:
                    if attribute.HasField("sparse_tensor"):
                        self.sparse[node.output[0]] = tuple(attribute.sparse_tensor.dims)
                value = _constant(node)
                if value is not None:
                    self.constants[node.output[0]] = value

    def model(self) -> StoredModel:
        graph = self.proto.graph
        for node in graph.node:  # protobuf gives text that is no UTF-8 as bytes
            if not all(isinstance(text, str) for text in (node.op_type, node.name, *node.input, *node.output)):
                raise ValueError("a name that is no text")
        zero_points = self.zero_points()
        operators = [
            StoredOperator(
                name=node.name or (node.output[0] if node.output else node.op_type),
                op=node.op_type,
                inputs=tuple(self.tensor(name, zero_points) for name in node.input),
                outputs=tuple(self.tensor(name, zero_points) for name in node.output if name),
                domain=node.domain,
                attributes=_attributes(node),
                subgraphs=sum(attribute.HasField("g") or len(attribute.graphs) for attribute in node.attribute),
            )
            for node in graph.node
            if node.op_type != "Constant" or node.output[0] not in self.constants
        ]
        inputs = [item.name for item in graph.input if item.name not in self.constants]
        for name in self.constants:  # those that nothing reads are in the file all the same
            self.tensor(name, zero_points)
        return in_order(self.stored_model(inputs, operators, zero_points))

    def stored_model(self, inputs: list[str], operators: list[StoredOperator], zero_points: ZeroPoints) -> StoredModel:
        graph = self.proto.graph
        return StoredModel(
            format="onnx",
            inputs=tuple(self.tensor(name, zero_points) for name in inputs),
            outputs=tuple(self.tensor(item.name, zero_points) for item in graph.output),
            tensors=tuple(self.tensors),
            operators=tuple(operators),
            metadata={item.key: item.value for item in self.proto.metadata_props},
            functions=len(self.proto.functions),
            hidden=hidden_numbers(self.proto),
        )

    def zero_points(self) -> ZeroPoints:
        """Zero points, axis and block length of every quantised constant, by its name."""
        result: ZeroPoints = {}
        for node in self.proto.graph.node:
            attributes = _attributes(node)
            for value, zero, axis in _ZERO_POINTS.get(node.op_type, ()):
                if zero < len(node.input) and value < len(node.input) and node.input[zero] in self.constants:
                    zeros = self.constants[node.input[zero]].astype(np.int64)
                    where = int(attributes.get("axis", axis)) if node.op_type == "DequantizeLinear" else axis
                    result[node.input[value]] = (zeros, where, int(attributes.get("block_size", 0)))
        return result

    def tensor(self, name: str, zero_points: ZeroPoints) -> int:
        """Index of the tensor called `name`, made on first sight."""
        if name not in self.index:
            self.index[name] = len(self.tensors)
            self.tensors.append(self.stored(name, zero_points))
        return self.index[name]

    def stored(self, name: str, zero_points: ZeroPoints) -> StoredTensor:
        if name not in self.constants:
            dtype, shape = self.shapes.get(name, (UNKNOWN, (-1,)))
            return StoredTensor(name, shape, dtype, _bits(dtype))
        value = self.constants[name]
        shape = self.sparse.get(name, tuple(value.shape))
        if count_elements(shape) > MAX_ELEMENTS or min(shape, default=0) < 0:
            raise ValueError(f"{name!r} of shape {shape}")
        zeros, axis, block = zero_points.get(name, (np.empty(0, np.int64), 0, 0))
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
            storage=f"initialiser {name}",
            sparse=name in self.sparse,
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


def hidden_numbers(model: onnx.ModelProto) -> int:
    """How many numbers lie in bodies of loops, branches and functions and in attributes, which nobody counts."""
    found = 0
    waiting = [(node, False) for node in model.graph.node]
    waiting += [(node, True) for function in model.functions for node in function.node]
    while waiting:
        node, inside = waiting.pop()
        known = node.domain in ("", "ai.onnx")
        constant = node.op_type == "Constant" and known
        for attribute in node.attribute:
            if inside or not constant:
                found += _numbers_in(attribute, lists=constant or not known)
            for graph in (attribute.g, *attribute.graphs):
                values = [*graph.initializer, *(item.values for item in graph.sparse_initializer)]
                found += sum(map(_weights_of, values))
                waiting += [(inner, True) for inner in graph.node]
    return found


def _numbers_in(attribute: onnx.AttributeProto, lists: bool) -> int:
    """Numbers in an attribute itself; `lists` of numbers are settings where an operator of ONNX's own has them."""
    sparse = [*([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []), *attribute.sparse_tensors]
    found = sum(map(_weights_of, (attribute.t, *attribute.tensors, *(item.values for item in sparse))))
    if lists:
        found += len(attribute.floats) if len(attribute.floats) > 1 else 0
        found += len(attribute.ints) if len(attribute.ints) > TABLE else 0
        found += sum(len(text) for text in (attribute.s, *attribute.strings) if len(text) > BLOB)
    return found


def _weights_of(tensor: onnx.TensorProto) -> int:
    """Elements of a tensor that may be weights: a single number is none, nor are a few whole ones, such as a shape."""
    size = count_elements(tuple(tensor.dims))
    whole = tensor.data_type in (tensor.INT64, tensor.INT32, tensor.UINT64, tensor.UINT32, tensor.BOOL, tensor.STRING)
    return size if tensor.data_type and size > (TABLE if whole else 1) else 0


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


def _shapes(model: onnx.ModelProto) -> Shapes:
    """dtype and shape of every tensor that inference knows, from a child process."""
    import edgeasc

    home = str(Path(edgeasc.__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {home!r}); from edgeasc.graph.onnx_stored import infer; "
    program += f"infer({INFERENCE_CPU_SECONDS})"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", program],
            input=model.SerializeToString(),
            capture_output=True,
            timeout=INFERENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ResourceExhausted("ONNX", f"shape inference took more than {INFERENCE_SECONDS} s") from None
    if done.returncode and done.returncode == -_OUT_OF_TIME:
        raise BadInput("ONNX", f"shape inference has no end within {INFERENCE_CPU_SECONDS} s of the processor")
    if done.returncode < 0:
        raise BadInput("ONNX", f"shape inference does not survive it (signal {-done.returncode})")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise BadInput("ONNX", f"shapes do not fit together ({lines[-1][:200]})")
    found = {name: (dtype, tuple(shape)) for name, (dtype, shape) in json.loads(done.stdout).items()}
    for name, (_, shape) in found.items():
        if count_elements(shape) > MAX_ELEMENTS or min(shape, default=0) < -1:
            raise BadInput("ONNX", f"tensor {name!r} of shape {shape}")
    return found


def _limit_processor(seconds: int) -> None:
    """End this process when a file makes it compute for too long; where systems have no such limit, the clock does."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def infer(seconds: int) -> None:
    """The child: a model on stdin, `{tensor: [dtype, shape]}` on stdout."""
    _limit_processor(seconds)
    import onnx
    from onnx import shape_inference

    from edgeasc.graph.onnx_stand_ins import put_stand_ins

    model = onnx.ModelProto()
    model.ParseFromString(sys.stdin.buffer.read())
    for item in model.graph.input:
        dims = item.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
    declared = declared_shapes(model.graph)
    for item in (*model.graph.output, *model.graph.value_info):  # found anew, with a batch of 1
        item.type.tensor_type.ClearField("shape")
    put_stand_ins(model)
    graph = shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True).graph
    sys.stdout.write(json.dumps(_best(declared_shapes(graph), declared)))


def _best(inferred: Shapes, declared: Shapes) -> Shapes:
    """What inference found; where that leaves sides open, what the file declared, with a batch of 1."""
    best = dict(inferred)
    for name, (dtype, shape) in declared.items():
        if name not in inferred or (min(inferred[name][1], default=0) < 0 and min(shape[1:], default=0) >= 0):
            best[name] = (dtype, (1, *shape[1:]) if shape[:1] == (-1,) else shape)
    return best


def declared_shapes(graph: onnx.GraphProto) -> Shapes:
    """dtype and shape of every tensor for which the graph itself says both; an open side is -1."""
    from onnx import helper

    found = {}
    for item in (*graph.input, *graph.output, *graph.value_info):
        kind = item.type.tensor_type
        if kind.elem_type and kind.HasField("shape"):
            dtype = str(helper.tensor_dtype_to_np_dtype(kind.elem_type))
            found[item.name] = (dtype, tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim))
    return found
