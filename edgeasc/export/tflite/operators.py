"""How TensorFlow Lite spells single operators: names, versions, options, layout.

Logical shapes `(1, C, F, T)` become NHWC `(1, F, T, C)`. Versions are the smallest that define the operator for its
types (tensorflow/lite/tools/versioning); `MINIMUM_RUNTIME` says which release first knew each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor
from edgeasc.graph.model import IntegerGraph, QTensor

INT8, INT32, FLOAT = np.dtype(np.int8), np.dtype(np.int32), np.dtype(np.float32)
NHWC = (0, 2, 3, 1)
NHWC_AXIS = {"C": 3, "F": 1, "T": 2}
SAME, VALID = 0, 1
NO_ACTIVATION, RELU = 0, 1
ACTIVATIONS = {"none": NO_ACTIVATION, "relu": RELU}

MINIMUM_RUNTIME = {
    ("ADD", 1): "1.5.0",
    ("ADD", 2): "1.14.0",
    ("BATCH_MATMUL", 1): "2.3.0",
    ("CONCATENATION", 2): "1.14.0",
    ("CONV_2D", 3): "1.14.0",
    ("DEPTHWISE_CONV_2D", 3): "1.14.0",
    ("DEQUANTIZE", 2): "1.14.0",
    ("GELU", 1): "2.9.0",
    ("LEAKY_RELU", 1): "1.13.1",
    ("LOGISTIC", 1): "1.14.0",
    ("LOGISTIC", 2): "1.14.0",
    ("MAX_POOL_2D", 2): "1.14.0",
    ("AVERAGE_POOL_2D", 2): "1.14.0",
    ("MEAN", 1): "1.6.0",
    ("MEAN", 2): "1.14.0",
    ("MIRROR_PAD", 2): "2.3.0",
    ("MUL", 1): "1.5.0",
    ("MUL", 2): "1.14.0",
    ("MUL", 3): "1.15.0",
    ("PAD", 2): "1.14.0",
    ("PRELU", 1): "1.8.0",
    ("QUANTIZE", 1): "1.14.0",
    ("RESHAPE", 1): "1.5.0",
    ("RSQRT", 1): "1.10.0",
    ("RSQRT", 2): "2.5.0",
    ("SLICE", 2): "1.14.0",
    ("SOFTMAX", 1): "1.5.0",
    ("TRANSPOSE", 1): "1.6.0",
    ("TRANSPOSE", 2): "1.14.0",
    ("SUB", 1): "1.6.0",
    ("SUB", 2): "1.14.0",
}


def minimum_runtime(operators: list[Operator]) -> str:
    """The oldest release of TensorFlow Lite that knows every operator."""
    needed = [MINIMUM_RUNTIME[operator.code, operator.version] for operator in operators]
    return max(needed, key=lambda version: tuple(int(part) for part in version.split(".")), default="1.5.0")


def nhwc_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """`(1, C, F, T)` as `(1, F, T, C)`; other ranks as they are."""
    return tuple(shape[axis] for axis in NHWC) if len(shape) == 4 else shape


def nhwc(values: NDArray[Any]) -> NDArray[Any]:
    """An array `(1, C, F, T)` in NHWC; other ranks as they are."""
    return np.ascontiguousarray(values.transpose(NHWC)) if values.ndim == 4 else values


class Emitter:
    """A model under construction: tensors by name of the graph, operators appended in order."""

    def __init__(self, graph: IntegerGraph) -> None:
        self.graph = graph
        self.model = Model()
        self.index: dict[str, int] = {}
        self.names: set[str] = set()

    def _add(self, tensor: Tensor) -> int:
        if tensor.name in self.names:
            raise BadInput("tflite", f"two tensors would be called {tensor.name!r}")
        self.names.add(tensor.name)
        return self.model.add_tensor(tensor)

    def quantised(self, name: str, shape: tuple[int, ...], like: QTensor) -> int:
        """An int8 activation of NHWC `shape` with scale and zero point of `like`."""
        return self._add(Tensor(name, shape, INT8, np.asarray(like.scale), like.zero_point))

    def constant(
        self,
        name: str,
        data: NDArray[Any],
        scale: NDArray[np.float32] | None = None,
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        """A constant tensor, already in the layout of the file."""
        return self._add(Tensor(name, data.shape, data.dtype, scale, zero_point, axis, data))

    def real(self, name: str, shape: tuple[int, ...]) -> int:
        """A float32 activation (inside an island)."""
        return self._add(Tensor(name, shape, FLOAT))

    def source(self, name: str) -> int:
        """The index of a graph tensor that was produced before; a constant of the graph is added on first use."""
        if name not in self.index:
            tensor = self.graph[name]
            if tensor.data is None:
                raise BadInput("tflite", f"tensor {name!r} is used before it is computed")
            self.index[name] = self.constant(name, nhwc(tensor.data), np.asarray(tensor.scale), tensor.zero_point)
        return self.index[name]

    def output(self, tensor_name: str, node_name: str) -> int:
        """The tensor that a node writes, called like the node."""
        tensor = self.graph[tensor_name]
        self.index[tensor_name] = self.quantised(node_name, nhwc_shape(tensor.shape), tensor)
        return self.index[tensor_name]

    def operator(
        self,
        code: str,
        version: int,
        inputs: list[int],
        output: int,
        options_table: str | None = None,
        **options: int | bool | float,
    ) -> int:
        """Append an operator; the index of its output."""
        self.model.operators.append(Operator(code, version, tuple(inputs), (output,), options_table, dict(options)))
        return output

    def shape(self, index: int) -> tuple[int, ...]:
        """Shape of a tensor of the file."""
        return self.model.tensors[index].shape

    def add(self, inputs: list[int], output: int, activation: int = NO_ACTIVATION) -> int:
        """ADD of two tensors, broadcast."""
        version = 2 if self._is_int8(output) else 1
        # The schema's default of this field, true, would matter to 16-bit tensors only.
        options = {"FusedActivationFunction": activation, "PotScaleInt16": False}
        return self.operator("ADD", version, inputs, output, "AddOptions", **options)

    def sub(self, inputs: list[int], output: int) -> int:
        """SUB of two tensors, broadcast."""
        version = 2 if self._is_int8(output) else 1
        options = {"FusedActivationFunction": NO_ACTIVATION, "PotScaleInt16": False}
        return self.operator("SUB", version, inputs, output, "SubOptions", **options)

    def mul(self, inputs: list[int], output: int) -> int:
        """MUL of two tensors, broadcast; version 3 where the multiplier is one or more."""
        version = 1
        if self._is_int8(output):
            first, second, result = (self._scale(index) for index in (*inputs, output))
            version = 3 if first * second / result >= 1.0 else 2
        return self.operator("MUL", version, inputs, output, "MulOptions", FusedActivationFunction=NO_ACTIVATION)

    def mean(self, source: int, axes: tuple[int, ...], keep: bool, output: int) -> int:
        """MEAN over NHWC `axes`."""
        values = np.array(axes, dtype=np.int32)
        where = self.shared_constant("axes" + "".join(str(axis) for axis in axes), values)
        version = 2 if self._is_int8(output) else 1
        return self.operator("MEAN", version, [source, where], output, "ReducerOptions", KeepDims=keep)

    def unary(self, code: str, source: int, output: int) -> int:
        """LOGISTIC or RSQRT."""
        return self.operator(code, 2 if self._is_int8(output) else 1, [source], output)

    def shared_constant(self, name: str, data: NDArray[Any]) -> int:
        """A small unquantised constant that several operators use under one name."""
        key = f"/{name}"
        if key not in self.index:
            self.index[key] = self.constant(name, data)
        return self.index[key]

    def _is_int8(self, index: int) -> bool:
        return self.model.tensors[index].dtype == INT8

    def _scale(self, index: int) -> float:
        scale = self.model.tensors[index].scale
        assert scale is not None
        return float(scale)
