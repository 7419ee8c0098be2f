"""Quantised ONNX files that almost say what the integer graph has are read as the standard has it, or refused."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_file import onnx_file

from edgeasc.errors import BadInput
from edgeasc.graph import simulate
from edgeasc.graph.model import Conv
from edgeasc.graph.onnx_read import read_onnx

C, T = 6, 7
GRIDS = {
    "sx": np.float32(0.03), "zx": np.int8(-5), "sy": np.float32(0.025), "zy": np.int8(7),
    "zu": np.uint8(0), "sw": np.full(C, 0.01, np.float32), "w": np.arange(-18, 18, dtype=np.int8).reshape(C, C, 1, 1),
    "zw": np.zeros(C, np.int8),
}  # fmt: skip
REAL, END = "real = DequantizeLinear(x, sx, zx)", "y = QuantizeLinear(result, sy, zy) out = DequantizeLinear(y, sy, zy)"


def region(nodes: str, constants: dict[str, object] | None = None, opset: int = 18, begin: str = REAL) -> bytes:
    """A file that computes `nodes` from the dequantised input `real` to `result`."""
    signature = f"int8[batch,{C},1,{T}] x => float out"
    return onnx_file(signature, f"{begin} {nodes} {END}", {**GRIDS, **(constants or {})}, opset)


def clips(n: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, size=(n, C, 1, T), dtype=np.int8)


def runtime(payload: bytes, values: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = onnx.load_from_string(payload)
    model.ir_version = 9  # what this runtime still reads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": values})[0])


def assert_computed_right(payload: bytes) -> None:
    graph = read_onnx(payload)
    theirs, step = runtime(payload, clips()), float(graph[graph.output].scale)
    assert np.abs(theirs.ravel() - simulate.logits(graph, clips()).ravel()).max() < 1.01 * step


CONV = """weight = DequantizeLinear<axis=0>(w, sw, zw) bias = DequantizeLinear<axis=0>(b, sb)
    result = Conv(real, weight, bias)"""


@pytest.mark.parametrize("factor", [1.0, 3.0, 0.01])
def test_a_bias_on_a_grid_of_its_own_is_brought_to_that_of_the_accumulators(factor: float) -> None:
    bias = {"b": np.array([40, -3, 0, 900, 7, -500], np.int32), "sb": (0.03 * factor * GRIDS["sw"]).astype(np.float32)}
    payload = region(CONV, bias)
    assert_computed_right(payload)
    (node,) = read_onnx(payload).nodes
    assert isinstance(node, Conv)
    np.testing.assert_array_equal(node.bias[0], np.rint(bias["b"] * factor))


@pytest.mark.parametrize(
    "bias",
    [
        {"b": np.ones(2 * C, np.int32), "sb": np.full(2 * C, 3e-4, np.float32)},
        {"b": np.ones(0, np.int32), "sb": np.ones(0, np.float32)},
        {"b": np.ones((C, C, 1, 1), np.int8), "sb": np.float32(3e-4)},
        {"b": np.ones(C, np.int8), "sb": np.float32(3e-4)},
    ],
    ids=["too many", "none", "weights", "int8"],
)
def test_a_bias_that_does_not_fit_its_convolution_is_refused(bias: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        read_onnx(region(CONV, bias))


def test_without_a_zero_point_int8_is_taken_from_zero() -> None:
    payload = region("result = LeakyRelu<alpha=0.5>(real)", begin="real = DequantizeLinear(x, sx)")
    assert read_onnx(payload)["x"].zero_point == 0
    assert_computed_right(payload)


def test_without_a_zero_point_a_quantiser_makes_uint8() -> None:
    nodes = """a = QuantizeLinear(real, sy) b = DequantizeLinear(a, sy) relu = Relu(b)
        result = Add(b, relu)"""
    with pytest.raises(BadInput):  # Add of a tensor and of its own rectified self is no operator
        read_onnx(region(nodes))
    payload = region("sum = Add(real, real) a = QuantizeLinear(sum, sy) b = DequantizeLinear(a, sy) result = Add(b, b)")
    assert read_onnx(payload)["a"].zero_point == -128
    assert_computed_right(payload)


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_constants_wider_than_a_byte_are_refused(kind: type) -> None:
    nodes = "more = DequantizeLinear(k, sx) result = Add(real, more)"
    with pytest.raises(BadInput, match="int8 is needed"):
        read_onnx(region(nodes, {"k": np.full((1, C, 1, 1), 300, kind)}, opset=21))


@pytest.mark.parametrize("grid", [(1 / 255, -128), (1 / 128, 0)])
def test_a_sigmoid_on_another_grid_than_the_integer_runtimes_is_refused(grid: tuple[float, int]) -> None:
    with pytest.raises(BadInput, match=r"Sigmoid 'y'.*1/256"):
        read_onnx(region("result = Sigmoid(real)", {"sy": np.float32(grid[0]), "zy": np.int8(grid[1])}))


@pytest.mark.parametrize("shape", [(C,), (1, C), (1, C, 1, 1), ()])
def test_a_constant_beside_pooled_channels_is_refused_where_its_axes_are_others(shape: tuple[int, ...]) -> None:
    nodes = """m = ReduceMean<keepdims=0>(real, axes) a = QuantizeLinear(m, sx, zx) b = DequantizeLinear(a, sx, zx)
        more = DequantizeLinear(k, sx, zy) result = Add(b, more)"""
    constants = {"axes": np.array([2, 3]), "k": np.ones(shape, np.int8)}
    with pytest.raises(BadInput, match=r"add 'y': inputs of shape"):
        read_onnx(region(nodes, constants))


NORM = """mean = ReduceMean(real, axes) c = Sub(real, mean) square = Pow({power}) var = ReduceMean(square, axes)
    f = Add(var, eps) root = Sqrt(f) n = Div(c, root) s = Mul(n, gain) result = Add(s, offset)"""
PARTS = {
    "axes": np.array([1]), "two": np.float32(2), "eps": np.float32(1e-5),
    "gain": np.ones((1, C, 1, 1), np.float32), "offset": np.zeros((1, C, 1, 1), np.float32),
}  # fmt: skip


def test_a_norm_by_the_power_of_two_is_read_and_two_to_the_power_is_refused() -> None:
    assert_computed_right(region(NORM.format(power="c, two"), PARTS))
    with pytest.raises(BadInput, match="Pow"):
        read_onnx(region(NORM.format(power="two, c"), PARTS))


@pytest.mark.parametrize("change", [{"eps": np.float32(0)}, {"eps": np.float32(-1)}, {"eps": np.float32(np.nan)},
                                    {"gain": np.full((1, C, 1, 1), np.inf, np.float32)}])  # fmt: skip
def test_a_norm_that_may_divide_by_nothing_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="epsilon"):
        read_onnx(region(NORM.format(power="c, two"), {**PARTS, **change}))


ATTENTION = """q = Reshape(real, split) k = Reshape(real, split) v = Reshape(real, split)
    qt = Transpose<perm=[0,1,3,2]>(q) vt = Transpose<perm=[0,1,3,2]>(v) scores = MatMul(qt, k)
    scaled = Mul(scores, factor) shares = {softmax}(scaled) mixed = MatMul(shares, vt)
    back = Transpose<perm=[0,1,3,2]>(mixed) result = Reshape(back, whole)"""
HEADS = {
    "split": np.array([0, 2, 3, T]), "whole": np.array([0, C, 1, T]), "factor": np.float32(1 / np.sqrt(3)),
}  # fmt: skip


def test_softmax_by_default_over_all_but_the_batch_is_no_attention() -> None:
    assert_computed_right(region(ATTENTION.format(softmax="Softmax"), HEADS))
    assert_computed_right(region(ATTENTION.format(softmax="Softmax<axis=3>"), HEADS, opset=12))
    with pytest.raises(BadInput):
        read_onnx(region(ATTENTION.format(softmax="Softmax"), HEADS, opset=12))


def test_an_operator_of_another_vendor_is_another_operator() -> None:
    model = onnx.load_from_string(region("result = LeakyRelu<alpha=0.5>(real)"))
    model.graph.node[1].domain = "com.microsoft.nchwc"
    with pytest.raises(BadInput, match=r"com\.microsoft\.nchwc"):
        read_onnx(model.SerializeToString())


def test_a_value_made_twice_is_refused() -> None:
    model = onnx.load_from_string(region("result = LeakyRelu<alpha=0.5>(real)"))
    model.graph.node.insert(2, model.graph.node[1])
    with pytest.raises(BadInput, match="'result' is made by two operators"):
        read_onnx(model.SerializeToString())


@pytest.mark.parametrize(
    "nodes",
    [
        "result = AveragePool<kernel_shape=[-2,1]>(real)",
        "result = MaxPool<kernel_shape=[1,2], strides=[0,1]>(real)",
        "result = MaxPool<kernel_shape=[1,2], strides=[1.5,1.0]>(real)",
        "result = Add(real)",
        "wr = DequantizeLinear<axis=0>(w, sw, zw) result = Conv<strides=[0,1]>(real, wr)",
        "wr = DequantizeLinear<axis=0>(w, sw, zw) result = Conv<group=0>(real, wr)",
        "wr = DequantizeLinear<axis=0>(w, sw, zw) result = Conv<pads=[0,-1,0,0]>(real, wr)",
        "wr = DequantizeLinear<axis=0>(w, sw, zw) result = Conv<dilations=[1,0]>(real, wr)",
        "result = LeakyRelu<alpha=0.5>(real, real)",
        "result = Pad<mode=\"reflect\">(real)",
        "result = ReduceMean<keepdims=1, noop_with_empty_axes=1>(real, none)",
    ],
)  # fmt: skip
def test_windows_and_inputs_that_cannot_be_are_refused(nodes: str) -> None:
    with pytest.raises(BadInput):
        read_onnx(region(nodes, {"none": np.zeros(0, np.int64)}))
