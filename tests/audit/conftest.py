"""Artefacts to audit: the dummy network in both forms and formats, and a run folder with an inventory."""

import json
from pathlib import Path

import pytest

from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.onnx_write import onnx_bytes


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with int8.onnx, int8.tflite, island.onnx and island.tflite."""
    folder = tmp_path_factory.mktemp("artefacts")
    for form in ("int8", "island"):
        graph = dummy_graph(form)  # type: ignore[arg-type]
        (folder / f"{form}.onnx").write_bytes(onnx_bytes(graph))
        (folder / f"{form}.tflite").write_bytes(tflite_bytes(graph))
    return folder


@pytest.fixture()
def large_run(tmp_path: Path) -> Path:
    """A compressed run whose inventory is that of BC-ResNet-Mod, c = 80, at 89 % (the paper's numbers)."""
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(dummy_graph()))
    tensors = [
        {"name": "conv", "kind": "conv", "total": 300_320, "kept": 33_035, "nonzero": 32_990},
        {"name": "norm", "kind": "norm", "total": 14_640, "kept": 14_640, "nonzero": 14_640},
        {"name": "last.bias", "kind": "bias", "total": 10, "kept": 10, "nonzero": 10},
    ]
    (tmp_path / "inventory.json").write_text(json.dumps({"schema": 1, "tensors": tensors}))
    return tmp_path
