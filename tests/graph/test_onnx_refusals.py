"""ONNX files that the integer graph cannot express, or that are broken, are refused in one line."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from seeded import quantised

from edgeasc.errors import BadInput, EdgeascError
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes


@pytest.fixture(scope="module")
def good() -> bytes:
    return onnx_bytes(quantised("int8").freeze())


def changed(good: bytes, change: object) -> bytes:
    model = onnx.load_from_string(good)
    change(model)  # type: ignore[operator]
    return model.SerializeToString()


def test_an_unknown_operator_is_refused_with_its_name(good: bytes) -> None:
    def tanh(model: onnx.ModelProto) -> None:
        node = next(n for n in model.graph.node if n.op_type == "Sigmoid")
        node.op_type = "Tanh"

    with pytest.raises(BadInput, match=r"Tanh 'stage1\.0\.silu/sigmoid/float'"):
        read_onnx(changed(good, tanh))


def test_a_float_network_is_refused_as_not_quantised() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 4, 4]) for n in "xy"]
    model = helper.make_model(helper.make_graph([node], "g", value[:1], value[1:]))
    with pytest.raises(BadInput, match="not quantised"):
        read_onnx(model.SerializeToString())


def test_a_tensor_read_on_another_grid_than_its_own_is_refused(good: bytes) -> None:
    def regrid(model: onnx.ModelProto) -> None:
        grid = numpy_helper.from_array(np.float32(0.321), "other")
        model.graph.initializer.append(grid)
        readers = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] == "stem.conv"]
        readers[0].input[1] = "other"

    with pytest.raises(BadInput, match=r"reads 'stem\.conv' on another grid"):
        read_onnx(changed(good, regrid))


def test_external_data_is_refused(good: bytes) -> None:
    def external(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../secret")

    with pytest.raises(BadInput, match="kept in another file"):
        read_onnx(changed(good, external))


def test_activations_per_channel_are_refused(good: bytes) -> None:
    def per_channel(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name == "stem.conv/scale":
                tensor.CopyFrom(numpy_helper.from_array(np.ones(8, np.float32), tensor.name))

    with pytest.raises(BadInput, match="per channel"):
        read_onnx(changed(good, per_channel))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_not_positive_is_refused(good: bytes, scale: float) -> None:
    def bad(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name == "stem.conv/scale":
                tensor.CopyFrom(numpy_helper.from_array(np.float32(scale), tensor.name))

    with pytest.raises(BadInput, match="not positive"):
        read_onnx(changed(good, bad))


def test_a_huge_declared_input_is_refused(good: bytes) -> None:
    def huge(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 2**31

    with pytest.raises(BadInput, match="has shape"):
        read_onnx(changed(good, huge))


def test_bytes_that_are_no_onnx_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a protocol buffer at all")
    with pytest.raises(BadInput, match=r"model\.onnx"):
        read_onnx(path)


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_never_crash(good: bytes, data: st.DataObject) -> None:
    payload = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(payload), len(payload) // 2, len(payload) - 7]))
    try:
        read_onnx(bytes(payload[:cut]))
    except EdgeascError as error:
        assert "\n" not in str(error)
