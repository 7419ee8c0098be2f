"""Graphs that cannot be: each is refused with exit code 3 in one line, or counted for what it can be."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from expected_counts import audited
from onnx import TensorProto
from onnx_file import onnx_file
from tflite_file import Op, T, tflite_file

from edgeasc.audit import audit
from edgeasc.cli import main
from edgeasc.errors import BadInput

DENSE = "FullyConnectedOptions"


def refused(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line says of the file, on one line and with exit code 3."""
    assert main(["audit", str(path), "--no-arena", "--quiet"]) == 3
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    return captured.err


def tflite_at(folder: Path, tensors: list[T], operators: list[Op], inputs: list[str], outputs: list[str]) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(tflite_file(tensors, operators, inputs, outputs))
    return path


def onnx_at(folder: Path, payload: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(payload)
    return path


def test_a_tflite_buffer_beyond_the_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = T("w", (4, 4), "int8", np.ones((4, 4)), 0.1)
    tensors = [T("x", (1, 4)), weight, T("y", (1, 4))]
    path = tflite_at(tmp_path, tensors, [Op("FULLY_CONNECTED", ["x", "w"], ["y"], DENSE)], ["x"], ["y"])
    payload = path.read_bytes()
    length, ones = (16).to_bytes(4, "little"), bytes([1] * 16)
    assert payload.count(length + ones) == 1
    path.write_bytes(payload.replace(length + ones, (1 << 30).to_bytes(4, "little") + ones))
    assert "ends behind the file" in refused(path, capsys)


def test_a_tflite_buffer_that_is_too_small_for_its_shape_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = T("w", (4, 400), "int8", np.ones((4, 4)), 0.1)
    tensors = [T("x", (1, 400)), weight, T("y", (1, 4))]
    path = tflite_at(tmp_path, tensors, [Op("FULLY_CONNECTED", ["x", "w"], ["y"], DENSE)], ["x"], ["y"])
    assert "16 bytes for 1600 elements" in refused(path, capsys)


@pytest.mark.parametrize("side", [2**31 - 1, 2**29])
def test_a_tflite_tensor_of_billions_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], side: int) -> None:
    path = tflite_at(tmp_path, [T("x", (1, side)), T("y", (1, 4))], [Op("RELU", ["x"], ["y"])], ["x"], ["y"])
    assert "of shape" in refused(path, capsys)


def test_an_input_without_elements_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tflite_at(tmp_path, [T("x", (1, 0, 4)), T("y", (1, 4))], [Op("RELU", ["x"], ["y"])], ["x"], ["y"])
    assert "holds nothing" in refused(path, capsys)


def test_a_tflite_cycle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = [T("x", (1, 4)), T("a", (1, 4)), T("b", (1, 4)), T("y", (1, 4))]
    operators = [Op("ADD", ["x", "b"], ["a"]), Op("RELU", ["a"], ["b"]), Op("RELU", ["a"], ["y"])]
    assert "a cycle" in refused(tflite_at(tmp_path, tensors, operators, ["x"], ["y"]), capsys)


def test_an_onnx_cycle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    payload = onnx_file("float[1,4] x => float[1,4] y", "a = Add(x, b) b = Relu(a) y = Relu(b)", {}, 17)
    line = refused(onnx_at(tmp_path, payload), capsys)
    assert "cycle" in line or "shapes do not fit" in line


def test_operators_in_an_order_that_cannot_run_are_sorted_and_that_is_said(tmp_path: Path) -> None:
    tensors = [T("x", (1, 4)), T("a", (1, 4)), T("y", (1, 4))]
    operators = [Op("RELU", ["a"], ["y"]), Op("RELU6", ["x"], ["a"])]
    model = audit(tflite_at(tmp_path, tensors, operators, ["x"], ["y"]), arena=False).models[0]
    assert [layer.op for layer in model.layers] == ["RELU6", "RELU"]
    assert any("not stored in an order" in note for note in model.notes)


@pytest.mark.parametrize("side", [2**31, 2**40, 0])
def test_an_onnx_input_of_billions_or_of_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], side: int
) -> None:
    payload = onnx_file(f"float[1,{side}] x => float[1,{side}] y", "y = Relu(x)", {}, 17)
    assert "shape" in refused(onnx_at(tmp_path, payload), capsys)


def external(location: str, offset: int = 0, length: int = 64) -> bytes:
    """A matrix product whose 4 x 4 weights are said to lie in `location`."""
    model = onnx.load_from_string(onnx_file("float[1,4] x => float[1,4] y", "y = MatMul(x, w)", {}, 17))
    weight = model.graph.initializer.add(name="w", dims=[4, 4], data_type=TensorProto.FLOAT)
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": str(offset), "length": str(length)}.items():
        weight.external_data.add(key=key, value=value)
    return model.SerializeToString()


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "sub/../../secret.bin", "", ".", "a\0b"])
def test_external_data_outside_the_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], location: str
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    folder = tmp_path / "model"
    folder.mkdir()
    assert "not in the model's folder" in refused(onnx_at(folder, external(location)), capsys)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    folder = tmp_path / "model"
    folder.mkdir()
    try:
        (folder / "weights.bin").symlink_to(tmp_path / "secret.bin")
    except OSError:
        pytest.skip("this system lets nobody make links")
    assert "not in the model's folder" in refused(onnx_at(folder, external("weights.bin")), capsys)


@pytest.mark.parametrize(("offset", "length"), [(8, 64), (-8, 64), (0, 65), (0, -1), (2**70, 64)])
def test_external_data_beyond_its_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], offset: int, length: int
) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(64))
    assert "of 64 bytes" in refused(onnx_at(tmp_path, external("weights.bin", offset, length)), capsys)


def test_external_data_in_the_folder_is_read_and_its_file_counts(tmp_path: Path) -> None:
    values = np.arange(16, dtype=np.float32)
    (tmp_path / "weights.bin").write_bytes(bytes(8) + values.tobytes())
    path = onnx_at(tmp_path, external("weights.bin", 8))
    model = audit(path, arena=False).models[0]
    assert (model.parameters.total, model.parameters.nonzero) == (16, 15)
    assert model.file_bytes == path.stat().st_size + 8 + 64


def test_a_zero_dimension_inside_the_network_is_counted_as_nothing(tmp_path: Path) -> None:
    tensors = [T("x", (1, 4)), T("e", (0, 4)), T("y", (1, 4))]
    payload = tflite_file(tensors, [Op("CONCATENATION", ["x", "e"], ["y"])], ["x"], ["y"])
    assert audited(tmp_path, payload, ".tflite").peak_activation_bytes == 8


def test_a_rule_file_with_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    from edgeasc.audit.rules import read_rule
    from edgeasc.errors import UsageError

    (tmp_path / "my.toml").write_text('title = "t"\nlimit_byte = 3\n')
    with pytest.raises(UsageError, match="limit_bytes"):
        read_rule(str(tmp_path / "my.toml"))


def test_a_rule_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    from edgeasc.audit.rules import read_rule

    with pytest.raises(BadInput):
        read_rule(str(tmp_path / "none.toml"))
