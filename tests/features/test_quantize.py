"""Features to int8: rounding, clipping, and the bound that theory gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeasc.errors import BadInput
from edgeasc.features.quantize import dequantize, quantize


def test_ties_go_to_even() -> None:
    ties = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    assert quantize(ties, 1.0, 0).tolist() == [-2, -2, 0, 0, 2, 2]


def test_values_outside_the_range_clip() -> None:
    assert quantize(np.array([-1e30, 1e30, -np.inf, np.inf], np.float32), 0.1, 5).tolist() == [-128, 127, -128, 127]


def test_overflowing_quotients_clip_without_a_warning() -> None:
    assert quantize(np.array([3e38, -3e38], np.float32), 1e-3, 0).tolist() == [127, -128]


def test_nan_is_refused() -> None:
    with pytest.raises(BadInput, match="NaN"):
        quantize(np.array([0.0, np.nan], np.float32), 1.0, 0)


@given(
    scale=st.floats(1e-3, 10.0),
    zero_point=st.integers(-128, 127),
    place=st.floats(0.0, 1.0),
)
def test_error_inside_the_range_is_at_most_half_a_step(scale: float, zero_point: int, place: float) -> None:
    scale = float(np.float32(scale))
    low, high = (-128 - zero_point) * scale, (127 - zero_point) * scale
    value = np.array([low + place * (high - low)], np.float32)
    back = dequantize(quantize(value, scale, zero_point), scale, zero_point)
    slack = 256 * scale * np.finfo(np.float32).eps  # rounding of the division and of the product
    assert abs(back[0] - value[0]) <= scale / 2 + slack


@given(st.integers(-128, 127), st.floats(1e-3, 10.0), st.integers(-128, 127))
def test_every_integer_survives_the_round_trip(q: int, scale: float, zero_point: int) -> None:
    scale = float(np.float32(scale))
    there = dequantize(np.array([q], np.int8), scale, zero_point)
    assert quantize(there, scale, zero_point)[0] == q


def test_equals_onnx_quantizelinear() -> None:
    onnx_reference = pytest.importorskip("onnx.reference")
    from onnx import TensorProto, helper

    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(n, t, sh) for n, t, sh in [("x", 1, [None]), ("s", 1, []), ("z", 3, [])]],
        [helper.make_tensor_value_info("y", TensorProto.INT8, [None])],
    )
    session = onnx_reference.ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
    values = np.random.default_rng(0).normal(-6.0, 4.0, 4000).astype(np.float32)
    scale, zero_point = np.float32(0.0789), np.int8(37)
    (expected,) = session.run(None, {"x": values, "s": scale, "z": zero_point})
    assert np.array_equal(quantize(values, float(scale), int(zero_point)), expected)
