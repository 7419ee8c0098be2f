"""Undamaged model files, built in code: our two forms, float networks, operators that run integers, rarer operators."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor
from edgeasc.graph.onnx_write import onnx_bytes


def seeds(suffix: str) -> list[bytes]:
    """The undamaged files of a format, `onnx` or `tflite`."""
    write = onnx_bytes if suffix == "onnx" else tflite_bytes
    ours = [write(dummy_graph(form)) for form in ("int8", "island")]  # type: ignore[arg-type]
    return [*ours, float_onnx(), operator_onnx(), recurrent_onnx()] if suffix == "onnx" else [*ours, float_tflite()]


def float_onnx() -> bytes:
    """Convolution, batch norm, depthwise convolution, pooling and a dense layer in float, with open batch."""
    random = np.random.default_rng(1)

    def tensor(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(0, 1, shape).astype(np.float32), name)

    constants = [tensor("w1", 8, 1, 3, 3), tensor("b1", 8), tensor("w2", 8, 1, 3, 1), tensor("w3", 8, 10)]
    constants += [tensor(f"n{index}", 8) for index in range(4)] + [tensor("b3", 10)]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1, 1, 1, 1], strides=[2, 1]),
        helper.make_node("BatchNormalization", ["c1", "n0", "n1", "n2", "n3"], ["m1"], name="norm1"),
        helper.make_node("Relu", ["m1"], ["r1"], name="relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="conv2", pads=[1, 0, 1, 0], group=8),
        helper.make_node("Add", ["c2", "r1"], ["a2"], name="add2"),
        helper.make_node("GlobalAveragePool", ["a2"], ["p2"], name="pool2"),
        helper.make_node("Flatten", ["p2"], ["f2"], name="flatten2"),
        helper.make_node("Gemm", ["f2", "w3", "b3"], ["y"], name="dense3"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 16, 12])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])
    graph = helper.make_graph(nodes, "float", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def operator_onnx() -> bytes:
    """QLinearConv and QLinearMatMul with asymmetric uint8 weights."""
    random = np.random.default_rng(2)
    arrays = {
        "s": np.float32(0.1), "z": np.uint8(3), "w": random.integers(0, 255, (4, 1, 3, 3)).astype(np.uint8),
        "m": random.integers(0, 255, (48, 10)).astype(np.uint8), "shape": np.array([1, 48], np.int64),
    }  # fmt: skip
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    nodes = [
        helper.make_node("QLinearConv", ["x", "s", "z", "w", "s", "z", "s", "z"], ["c"], name="conv", strides=[4, 4],
                         pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["c", "shape"], ["f"], name="reshape"),
        helper.make_node("QLinearMatMul", ["f", "s", "z", "m", "s", "z", "s", "z"], ["y"], name="dense"),
    ]  # fmt: skip
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 1, 16, 12])
    y = helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 10])
    graph = helper.make_graph(nodes, "operators", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def recurrent_onnx() -> bytes:
    """A recurrent layer, an Einsum, weights quantised by blocks, a Constant node and an If: what readers know less."""
    random = np.random.default_rng(4)
    arrays = {
        "w": random.normal(0, 1, (1, 32, 12)).astype(np.float32),
        "r": random.normal(0, 1, (1, 32, 8)).astype(np.float32),
        "q": random.integers(-9, 9, (8, 8)).astype(np.int8), "s": np.full((2, 8), 0.1, np.float32),
        "z": np.ones((2, 8), np.int8), "yes": np.array(True),
    }  # fmt: skip
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    inner = helper.make_graph(
        [helper.make_node("Relu", ["e"], ["kept"])], "then", [], [helper.make_empty_tensor_value_info("kept")]
    )
    value = numpy_helper.from_array(random.normal(0, 1, (8, 10)).astype(np.float32))
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r"], ["h", "last"], name="lstm", hidden_size=8),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], name="blocks", axis=0, block_size=4),
        helper.make_node("Einsum", ["last", "d"], ["e"], name="einsum", equation="nbi,ij->nbj"),
        helper.make_node("If", ["yes"], ["f"], name="if", then_branch=inner, else_branch=inner),
        helper.make_node("Constant", [], ["c"], name="constant", value=value),
        helper.make_node("MatMul", ["f", "c"], ["y"], name="dense"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [16, 1, 12])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 10])
    graph = helper.make_graph(nodes, "recurrent", [x], [y], constants)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]).SerializeToString())


def float_tflite() -> bytes:
    """A float convolution, a depthwise one with per-channel int8 weights, and a dense layer."""
    random, model = np.random.default_rng(3), Model()
    real, small = np.dtype(np.float32), np.dtype(np.int8)
    scales = np.full(8, 0.01, np.float32)
    x = model.add_tensor(Tensor("x", (1, 16, 12, 1), real))
    w1 = model.add_tensor(Tensor("w1", (8, 3, 3, 1), real, data=random.normal(0, 1, (8, 3, 3, 1)).astype(real)))
    c1 = model.add_tensor(Tensor("conv", (1, 16, 12, 8), real))
    weights = random.integers(-127, 128, (1, 3, 3, 8)).astype(small)
    w2 = model.add_tensor(Tensor("w2", weights.shape, small, scales, 0, 3, weights))
    c2 = model.add_tensor(Tensor("depthwise", (1, 16, 12, 8), real))
    w3 = model.add_tensor(
        Tensor("w3", (10, 1536), small, scales[:1], 0, 0, random.integers(-9, 9, (10, 1536)).astype(small))
    )
    y = model.add_tensor(Tensor("y", (1, 10), real))
    model.operators += [
        Operator("CONV_2D", 1, (x, w1, -1), (c1,), "Conv2DOptions", {}),
        Operator("DEPTHWISE_CONV_2D", 1, (c1, w2, -1), (c2,), "DepthwiseConv2DOptions", {}),
        Operator("FULLY_CONNECTED", 1, (c2, w3, -1), (y,), "FullyConnectedOptions", {}),
    ]
    model.inputs, model.outputs = [x], [y]
    return model.to_bytes()
