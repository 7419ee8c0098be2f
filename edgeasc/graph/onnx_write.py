"""IntegerGraph -> quantised ONNX in QDQ form, the file that is the waist of edgeasc.

Every int8 tensor is a QuantizeLinear output that bears the tensor's name, followed by its DequantizeLinear; operators
run in between on floats, average pooling on the integers themselves (`pooled`). Layer names are module paths. The bytes
depend on the graph alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.bands import bias_reals
from edgeasc.graph.model import (
    Add,
    AvgPool,
    Conv,
    IntegerGraph,
    LeakyRelu,
    Logistic,
    MaxPool,
    Mean,
    Mul,
    Node,
    Pad,
    PRelu,
    Regroup,
    ResNorm,
    Rsqrt,
    Silu,
    Slice,
    Sub,
)
from edgeasc.graph.onnx_region import HALVES_AWAY
from edgeasc.graph.onnx_write_transformer import write_transformer
from edgeasc.graph.shapes import AXES

if TYPE_CHECKING:
    import onnx

OPSET = 18
IR_VERSION = 9  # the oldest that knows opset 18 well; old runtimes read it


def onnx_bytes(graph: IntegerGraph) -> bytes:
    """The ONNX file of `graph`: int8 input `[batch, 1, n_mels, n_frames]`, float32 logits `[batch, n_classes]`.

    Raises:
        BadInput: layers of one name, which would share constants.
    """
    return _Writer(graph).model().SerializeToString(deterministic=True)


class _Writer:
    """Collects nodes and initialisers; one method per operator."""

    def __init__(self, graph: IntegerGraph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.values: set[str] = {graph.input}
        self.initializers: dict[str, onnx.TensorProto] = {}

    def model(self) -> onnx.ModelProto:
        from onnx import TensorProto, helper

        graph = self.graph
        for tensor in graph.tensors.values():
            if tensor.data is not None:
                self.constant(tensor.name, tensor.data)
                self.dequantize(tensor.name)
        self.dequantize(graph.input)
        for node in graph.nodes:
            self.quantize(node, self.operator(node))
        source, result = graph[graph.input], graph[graph.output]
        body = helper.make_graph(
            self.nodes,
            "edgeasc",
            [helper.make_tensor_value_info(source.name, TensorProto.INT8, ["batch", *source.shape[1:]])],
            [helper.make_tensor_value_info(real(result.name), TensorProto.FLOAT, ["batch", *result.shape[1:]])],
            list(self.initializers.values()),
        )
        model = helper.make_model(
            body,
            producer_name="edgeasc",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, {"edgeasc.form": graph.form, **graph.metadata})
        return model

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        from onnx import numpy_helper

        made = numpy_helper.from_array(np.asarray(value, order="C"), name)
        if name in self.values or self.initializers.setdefault(name, made) != made:
            raise BadInput("ONNX", f"two layers or tensors would both make {name!r}; give them names of their own")
        return name

    def emit(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        if name in self.values or name in self.initializers:
            raise BadInput("ONNX", f"two layers or tensors would both make {name!r}; give them names of their own")
        self.values.add(name)
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def parameters(self, name: str) -> list[str]:
        """Names of a tensor's scale and zero point."""
        tensor = self.graph[name]
        return [
            self.constant(f"{name}/scale", np.asarray(tensor.scale, np.float32)),
            self.constant(f"{name}/zero_point", np.asarray(tensor.zero_point, np.int8)),
        ]

    def dequantize(self, name: str) -> str:
        return self.emit("DequantizeLinear", real(name), [name, *self.parameters(name)])

    def quantize(self, node: Node, value: str) -> None:
        grid = self.integer_grid(1.0) if isinstance(node, AvgPool) else self.parameters(node.output)
        self.emit("QuantizeLinear", node.output, [value, *grid])
        self.dequantize(node.output)

    def operator(self, node: Node) -> str:
        """Emit the float operators of `node`; the name of their result."""
        name, inputs = f"{node.name}/float", [real(i) for i in node.inputs]
        match node:
            case Conv():
                return self.conv(node)
            case Add():
                return self.activated(node, self.emit("Add", name, inputs))
            case Sub() | Mul():
                return self.emit(type(node).__name__, name, inputs)
            case Mean():
                return self.mean(name, inputs[0], [AXES[a] for a in node.axes], node.keep)
            case MaxPool():
                return self.emit("MaxPool", name, inputs, kernel_shape=list(node.kernel), strides=list(node.stride))
            case AvgPool():
                return self.pooled(node, name)
            case Pad():
                amounts = np.array([0, 0, 0, node.before, 0, 0, 0, node.after], np.int64)
                return self.emit("Pad", name, [*inputs, self.constant(f"{node.name}.pads", amounts)], mode="reflect")
            case Slice():
                parts = {"starts": node.start, "ends": node.stop, "axes": AXES[node.axis]}
                where = [self.constant(f"{node.name}.{k}", np.array([v], np.int64)) for k, v in parts.items()]
                return self.emit("Slice", name, [*inputs, *where])
            case Regroup():
                shape = np.array([0, *self.graph[node.output].shape[1:3], 0], np.int64)  # 0: as it is
                return self.emit("Reshape", name, [*inputs, self.constant(f"{node.name}.shape", shape)])
            case LeakyRelu():
                return self.emit("LeakyRelu", name, inputs, alpha=float(np.float32(node.slope)))
            case PRelu():
                return self.emit("PRelu", name, [*inputs, self.slope(node)])
            case Logistic():
                return self.emit("Sigmoid", name, inputs)
            case Rsqrt():
                return self.rsqrt(name, inputs[0])
            case Silu():
                return self.emit("Mul", name, [inputs[0], self.emit("Sigmoid", f"{name}/sigmoid", inputs)])
            case ResNorm():
                return self.resnorm(node, name, inputs[0])
        value = write_transformer(node, name, inputs, self.graph[node.output], self)
        if value is None:
            raise AssertionError(f"no ONNX form for {node.op}")
        return value

    def integer_grid(self, scale: float) -> list[str]:
        """Names of a scale for integers taken as they are, and of zero point 0."""
        return [
            self.constant(f"integers/scale/{scale!r}", np.asarray(scale, np.float32)),
            self.constant("integers/zero_point", np.asarray(0, np.int8)),
        ]

    def pooled(self, node: AvgPool, name: str) -> str:
        """The mean of integers, half away from zero as in TensorFlow Lite.

        On the tensor's own grid a quarter of the means of four are exact halves, left to the last bit of a float; on
        the integers, seen larger by HALVES_AWAY, each has the one answer that all runtimes give.
        """
        (source,) = node.inputs
        seen = self.emit("DequantizeLinear", f"{node.name}/integers", [source, *self.integer_grid(HALVES_AWAY)])
        options = {"kernel_shape": list(node.kernel), "strides": list(node.stride)}
        value = self.emit("AveragePool", name, [seen], **options)
        if node.activation == "none":
            return value
        low = self.constant(f"{node.name}.zero", np.asarray(self.graph[source].zero_point, np.float32))
        return self.emit("Clip", f"{node.name}/relu", [value, low])

    def activated(self, node: Conv | Add, value: str) -> str:
        return value if node.activation == "none" else self.emit("Relu", f"{node.name}/relu", [value])

    def mean(self, name: str, value: str, axes: list[int], keep: bool) -> str:
        axes_name = self.constant(f"axes/{'_'.join(map(str, axes))}", np.asarray(axes, np.int64))
        return self.emit("ReduceMean", name, [value, axes_name], keepdims=int(keep))

    def rsqrt(self, name: str, value: str) -> str:
        return self.emit("Reciprocal", name, [self.emit("Sqrt", f"{name}/sqrt", [value])])

    def conv(self, node: Conv) -> str:
        attributes: dict[str, Any] = {
            "strides": list(node.stride),
            "pads": list(node.padding),
            "dilations": list(node.dilation),
            "group": node.groups,
            "kernel_shape": list(node.weight.shape[2:]),
        }
        source = self.graph[node.inputs[0]]
        scale = node.scale[0] if node.bands == 1 else _power_of_two(node.scale)
        weight = self.weight(node, scale)
        if node.bands == 1:
            bias = self.plain_bias(node, source.scale)
            value = self.emit("Conv", f"{node.name}/float", [real(source.name), weight, bias], **attributes)
            return self.activated(node, value)
        value = self.emit("Conv", f"{node.name}/float", [real(source.name), weight], **attributes)
        height = self.graph[node.output].shape[2] // node.bands
        gain = (node.scale / scale * node.sign).astype(np.float32)
        offset = bias_reals(node.bias, source.scale, node.scale)
        value = self.emit("Mul", f"{node.name}/scaled", [value, self.per_bin(f"{node.name}.gain", gain, height)])
        value = self.emit("Add", f"{node.name}/shifted", [value, self.per_bin(f"{node.name}.offset", offset, height)])
        return self.activated(node, value)

    def weight(self, node: Conv, scale: NDArray[np.float32]) -> str:
        sign = node.sign[0] if node.bands == 1 else np.ones_like(node.sign[0])
        stored = self.constant(f"{node.name}.weight", node.weight * sign[:, None, None, None])
        scales = self.constant(f"{stored}/scale", scale.astype(np.float32))
        zero = self.constant(f"{stored}/zero_point", np.zeros(len(scale), np.int8))
        return self.emit("DequantizeLinear", real(stored), [stored, scales, zero], axis=0)

    def slope(self, node: PRelu) -> str:
        stored = self.constant(f"{node.name}.slope", node.slope.reshape(1, -1, 1, 1))
        scale = self.constant(f"{stored}/scale", np.asarray(node.slope_scale, np.float32))
        zero = self.constant(f"{stored}/zero_point", np.zeros((), np.int8))
        return self.emit("DequantizeLinear", real(stored), [stored, scale, zero])

    def plain_bias(self, node: Conv, input_scale: np.float32) -> str:
        stored = self.constant(f"{node.name}.bias", node.bias[0])
        grid = (float(input_scale) * node.scale[0].astype(np.float64)).astype(np.float32)
        return self.emit("DequantizeLinear", real(stored), [stored, self.constant(f"{stored}/scale", grid)], axis=0)

    def per_bin(self, name: str, values: NDArray[np.floating], height: int) -> str:
        """[bands, C] values as a constant [1, C, F, 1], equal within each band."""
        return self.constant(name, np.repeat(values.T, height, axis=1)[None, :, :, None].astype(np.float32))

    def resnorm(self, node: ResNorm, name: str, value: str) -> str:
        mean = self.mean(f"{name}/mean", value, [1, 3], True)
        centred = self.emit("Sub", f"{name}/centred", [value, mean])
        variance = self.mean(f"{name}/variance", self.emit("Mul", f"{name}/square", [centred] * 2), [1, 3], True)
        eps = self.constant(f"{node.name}.eps", np.asarray(node.eps, np.float32))
        inverse = self.rsqrt(f"{name}/inverse", self.emit("Add", f"{name}/floored", [variance, eps]))
        normal = self.emit("Mul", f"{name}/normal", [centred, inverse])
        lam = self.constant(f"{node.name}.lam", np.asarray(node.lam, np.float32))
        return self.emit("Add", name, [self.emit("Mul", f"{name}/shortcut", [value, lam]), normal])


def real(name: str) -> str:
    """Name of the dequantised twin of tensor `name`."""
    return f"{name}/real"


def _power_of_two(scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """Per channel the largest power of two below the band scales [bands, C], so that `scale / power` is exact."""
    return np.exp2(np.floor(np.log2(scale.max(axis=0)))).astype(np.float32)
