"""Seeded networks as files, exported once."""

from pathlib import Path

import pytest

from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.dummy import dummy_graph
from edgeasc.graph.onnx_write import onnx_bytes

METADATA = {
    "edgeasc.features": '{"n_fft": 512, "win_length": 512, "hop_length": 400, "n_mels": 16}',
    "edgeasc.labels": '["airport", "bus", "metro", "park", "tram", "mall", "square", "street", "station", "café"]',
    "edgeasc.clip_seconds": "0.275",
}


@pytest.fixture(scope="session")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    graph = dummy_graph()
    graph.metadata.update(METADATA)
    path = tmp_path_factory.mktemp("source") / "dummy.onnx"
    path.write_bytes(onnx_bytes(graph))
    return path


@pytest.fixture(scope="session")
def exported(onnx_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exports") / "dummy"
    export_artefacts(onnx_file, out)
    return out
