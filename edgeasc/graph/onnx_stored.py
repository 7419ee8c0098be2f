"""An .onnx file as it is stored, whatever its operators: for the audit of files that are no integer graph.

Shapes come from ONNX's own shape inference, native code that runs on a stranger's file in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeasc.errors import BadInput, ResourceExhausted
from edgeasc.files import sha256
from edgeasc.graph.onnx_read import parse_onnx
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor, count_elements

if TYPE_CHECKING:
    import onnx

INFERENCE_SECONDS = 60
MAX_ELEMENTS = 2**31
# Operators whose constants are scale and zero point of their first input, not parameters: constant index by position
_ZERO_POINT = {"QuantizeLinear": (0, 2), "DequantizeLinear": (0, 2), "QLinearConv": (3, 5), "QLinearMatMul": (3, 5)}


def read_stored_onnx(payload: bytes, shapes: bool = True) -> StoredModel:
    """Tensors and operators of an .onnx file, open sides taken as -1 (the batch as 1).

    Without `shapes` nothing is inferred, and of the activations only those are known that the file declares.

    Raises:
        BadInput: not ONNX, or constants that do not fit their shapes.
        ResourceExhausted: shape inference died or took too long.
    """
    model = parse_onnx(payload)
    try:
        return _Reader(model, _shapes(model) if shapes else declared_shapes(model.graph)).model()
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise BadInput("ONNX", f"malformed graph ({error})") from None


class _Reader:
    def __init__(self, model: onnx.ModelProto, shapes: dict[str, tuple[str, tuple[int, ...]]]) -> None:
        from onnx import numpy_helper

        self.proto, self.shapes = model, shapes
        self.tensors: list[StoredTensor] = []
        self.index: dict[str, int] = {"": -1}
        self.constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        for node in model.graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.name == "value":
                    self.constants[node.output[0]] = numpy_helper.to_array(attribute.t)

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
            )
            for node in graph.node
            if node.op_type != "Constant"
        ]
        inputs = [item.name for item in graph.input if item.name not in self.constants]
        return StoredModel(
            format="onnx",
            inputs=tuple(self.tensor(name, zero_points) for name in inputs),
            outputs=tuple(self.tensor(item.name, zero_points) for item in graph.output),
            tensors=tuple(self.tensors),
            operators=tuple(operators),
            metadata={item.key: item.value for item in self.proto.metadata_props},
            other_subgraphs=sum(attribute.HasField("g") for node in graph.node for attribute in node.attribute),
        )

    def zero_points(self) -> dict[str, tuple[np.ndarray[Any, Any], int]]:
        """Zero point and axis of every quantised constant, by its name."""
        result = {}
        for node in self.proto.graph.node:
            value, zero = _ZERO_POINT.get(node.op_type, (0, len(node.input)))
            if zero < len(node.input) and node.input[zero] in self.constants:
                default = 0 if node.op_type.startswith("QLinear") else 1
                axis = next((a.i for a in node.attribute if a.name == "axis"), default)
                result[node.input[value]] = (self.constants[node.input[zero]].ravel().astype(np.int64), axis)
        return result

    def tensor(self, name: str, zero_points: dict[str, tuple[np.ndarray[Any, Any], int]]) -> int:
        """Index of the tensor called `name`, made on first sight."""
        if name not in self.index:
            self.index[name] = len(self.tensors)
            self.tensors.append(self.stored(name, zero_points))
        return self.index[name]

    def stored(self, name: str, zero_points: dict[str, tuple[np.ndarray[Any, Any], int]]) -> StoredTensor:
        if name not in self.constants:
            dtype, shape = self.shapes.get(name, ("unknown", (-1,)))
            return StoredTensor(name, shape, dtype, _bits(dtype))
        value = self.constants[name]
        zero, axis = zero_points.get(name, (np.empty(0, np.int64), 0))
        if len(zero) > 1 and not (-value.ndim <= axis < value.ndim and len(zero) == value.shape[axis]):
            raise ValueError(f"{name!r} of shape {value.shape} with {len(zero)} zero points along axis {axis}")
        dtype = str(value.dtype)
        return StoredTensor(
            name=name,
            shape=tuple(value.shape),
            dtype=dtype,
            bits=_bits(dtype),
            data=value.ravel() if value.dtype.kind in "fiub" or _bits(dtype) < 32 else None,
            content=sha256(np.ascontiguousarray(value).tobytes()),
            zero_points=zero,
            axis=axis % max(value.ndim, 1),
        )


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


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[str, tuple[int, ...]]]:
    """dtype and shape of every tensor that inference knows, from a child process."""
    import edgeasc

    home = str(Path(edgeasc.__file__).parents[1])
    program = f"import sys; sys.path.insert(0, {home!r}); from edgeasc.graph.onnx_stored import infer; infer()"
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
    if done.returncode < 0:
        raise ResourceExhausted("ONNX", f"shape inference died with signal {-done.returncode}")
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise BadInput("ONNX", f"shapes do not fit together ({lines[-1][:200]})")
    found = {name: (dtype, tuple(shape)) for name, (dtype, shape) in json.loads(done.stdout).items()}
    for name, (_, shape) in found.items():
        if count_elements(shape) > MAX_ELEMENTS or min(shape, default=0) < -1:
            raise BadInput("ONNX", f"tensor {name!r} of shape {shape}")
    return found


def infer() -> None:
    """The child: a model on stdin, `{tensor: [dtype, shape]}` on stdout."""
    import onnx
    from onnx import shape_inference

    model = onnx.ModelProto()
    model.ParseFromString(sys.stdin.buffer.read())
    for item in model.graph.input:
        dims = item.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_value = 1
    for item in (*model.graph.output, *model.graph.value_info):  # found anew, with a batch of 1
        item.type.tensor_type.ClearField("shape")
    graph = shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True).graph
    sys.stdout.write(json.dumps(declared_shapes(graph)))


def declared_shapes(graph: onnx.GraphProto) -> dict[str, tuple[str, tuple[int, ...]]]:
    """dtype and shape of every tensor for which the graph itself says both; an open side is -1."""
    from onnx import helper

    found = {}
    for item in (*graph.input, *graph.output, *graph.value_info):
        kind = item.type.tensor_type
        if kind.elem_type and kind.HasField("shape"):
            dtype = str(helper.tensor_dtype_to_np_dtype(kind.elem_type))
            found[item.name] = (dtype, tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim))
    return found
