"""Parity inputs from recordings, for networks that bring none."""

import wave
from pathlib import Path

import numpy as np
import pytest

from edgeasc.errors import BadInput
from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.parity import read_parity
from edgeasc.export.recordings import recorded_inputs
from edgeasc.graph.onnx_read import read_onnx


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of three recordings, 0.8 s each."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for scene in ("park", "tram"):
        (root / scene).mkdir()
        for index in range(3):
            samples = random.normal(0, 1, 12_800) * np.geomspace(800, 8_000, 12_800)
            with wave.open(str(root / scene / f"{index}.wav"), "wb") as stream:
                stream.setnchannels(1)
                stream.setsampwidth(2)
                stream.setframerate(16_000)
                stream.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
    return root


def test_few_recordings_give_as_many_inputs_as_asked_for(onnx_file: Path, data: Path) -> None:
    inputs = recorded_inputs(read_onnx(onnx_file), data, 20)
    assert inputs.inputs.shape == (20, 1, 16, 12) and inputs.inputs.dtype == np.int8 and inputs.origin == "clips"
    assert len(np.unique(inputs.inputs.reshape(20, -1), axis=0)) == 20


def test_of_many_recordings_some_are_taken(onnx_file: Path, data: Path) -> None:
    assert len(recorded_inputs(read_onnx(onnx_file), data, 4).inputs) == 4


def test_an_export_on_recordings_says_so(onnx_file: Path, data: Path, tmp_path: Path) -> None:
    documents = export_artefacts(onnx_file, tmp_path / "out", data=data, clips=30, tflite=False)
    assert (documents["parity"]["inputs"], documents["parity"]["clips"]) == ("clips", 30)
    assert read_parity(tmp_path / "out" / "parity.safetensors").origin == "clips"


def test_a_network_without_front_end_cannot_hear(data: Path) -> None:
    with pytest.raises(BadInput, match="nothing about its front end"):
        recorded_inputs(dummy_graph(), data, 5)
