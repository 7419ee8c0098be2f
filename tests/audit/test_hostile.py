"""Files from strangers: refused in one way, never a crash, and their names cannot take over a terminal."""

from pathlib import Path

import numpy as np
import pytest

from edgeasc.audit import audit
from edgeasc.audit.report import report_blocks
from edgeasc.errors import BadInput, EdgeascError
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor
from edgeasc.tables import as_markdown, as_text


@pytest.mark.parametrize("name", ["int8.tflite", "island.tflite", "int8.onnx", "island.onnx"])
def test_a_damaged_file_is_counted_or_refused(artefacts: Path, tmp_path: Path, name: str) -> None:
    payload, path = (artefacts / name).read_bytes(), tmp_path / name
    rng, refused = np.random.default_rng(0), 0
    for _ in range(100):
        data = bytearray(payload)
        for place in rng.integers(len(data), size=6):
            data[place] = int(rng.integers(256))
        path.write_bytes(bytes(data[: int(rng.integers(len(data) // 2, len(data)))] if rng.random() < 0.3 else data))
        try:
            as_text(report_blocks(audit(path, arena=False)))
        except EdgeascError as error:
            assert error.exit_code in (3, 5)
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"hello", b"PK\x03\x04" + b"\x00" * 60])
@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_what_is_no_model_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        audit(path)


@pytest.mark.parametrize("name", ["missing.onnx", "model.h5", "."])
def test_what_cannot_be_audited_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.h5").write_bytes(b"hdf")
    with pytest.raises(BadInput):
        audit(tmp_path / name)


def test_names_in_a_file_cannot_control_the_terminal_or_the_page(tmp_path: Path) -> None:
    hostile = "\x1b[2J\nfake: PASS | <script>alert(1)</script>"
    model = Model()
    source = model.add_tensor(Tensor("in", (1, 4), np.dtype(np.int8), np.float32(1)))
    weight = model.add_tensor(Tensor("w", (4, 4), np.dtype(np.int8), np.float32(1), 0, 0, np.ones((4, 4), np.int8)))
    result = model.add_tensor(Tensor(hostile, (1, 4), np.dtype(np.int8), np.float32(1)))
    model.operators.append(Operator("FULLY_CONNECTED", 4, (source, weight, -1), (result,), "FullyConnectedOptions", {}))
    model.inputs, model.outputs = [source], [result]
    path = tmp_path / "hostile.tflite"
    path.write_bytes(model.to_bytes())
    blocks = report_blocks(audit(path, arena=False))
    text, page = as_text(blocks), as_markdown(blocks)
    assert "\x1b" not in text + page
    assert "<script>" not in page
    assert "\nfake" not in text + page
