"""Recordings to scenes: crops cover the recording, probabilities are averaged, refusals name the file."""

import wave
from pathlib import Path

import numpy as np
import pytest

from edgeasc.errors import BadInput
from edgeasc.export.dummy import dummy_graph
from edgeasc.features.logmel import log_mel
from edgeasc.features.quantize import quantize
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.reference import Reference
from edgeasc.runtime.predict import even_crops, predict_files, softmax
from edgeasc.specs import LogMel

SPEC = LogMel(n_fft=512, win_length=512, hop_length=400, n_mels=16)  # the dummy's 12 frames are 0.275 s
LABELS = [f"scene {index}" for index in range(10)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    graph = dummy_graph()
    graph.metadata.update(
        {
            "edgeasc.features": SPEC.model_dump_json(),
            "edgeasc.labels": str(LABELS).replace("'", '"'),
            "edgeasc.clip_seconds": "0.275",
        }
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_bytes(graph))
    return path


def recording(path: Path, seconds: float, seed: int = 0) -> Path:
    """Noise with a rising level as 16-bit WAV."""
    n = round(seconds * 16_000)
    samples = np.random.default_rng(seed).normal(0, 1, n) * np.geomspace(10, 8_000, n)
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(16_000)
        stream.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
    return path


def by_hand(path: Path, crops: int) -> np.ndarray:
    """Mean probabilities of the integer reference on evenly spaced crops."""
    with wave.open(str(path)) as stream:
        waveform = np.frombuffer(stream.readframes(stream.getnframes()), "<i2").astype(np.float32) / 32768
    features = log_mel(waveform, SPEC)
    graph = dummy_graph()
    source = graph[graph.input]
    windows = even_crops(features, 12, crops, SPEC.silence)
    logits = Reference(graph).logits(quantize(windows, float(source.scale), source.zero_point))
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).mean(axis=0)


@pytest.mark.parametrize(("seconds", "crops"), [(0.1, 1), (0.275, 1), (0.6, 3), (2.0, 7)])
def test_probabilities_are_the_mean_over_crops_that_cover_the_recording(
    model: Path, tmp_path: Path, seconds: float, crops: int
) -> None:
    path = recording(tmp_path / "a.wav", seconds)
    (found,) = predict_files(model, [path], runtime="reference")
    assert found["crops"] == crops and found["seconds"] == pytest.approx(seconds)
    expected = by_hand(path, crops)
    np.testing.assert_allclose(list(found["probabilities"].values()), expected, atol=1e-6)
    assert found["label"] == LABELS[int(expected.argmax())] and list(found["probabilities"]) == LABELS
    assert found["probability"] == max(found["probabilities"].values())


def test_the_number_of_crops_can_be_asked_for(model: Path, tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", 1.0)
    (found,) = predict_files(model, [path], runtime="reference", crops=2)
    np.testing.assert_allclose(list(found["probabilities"].values()), by_hand(path, 2), atol=1e-6)


def test_several_recordings_keep_their_order(model: Path, tmp_path: Path) -> None:
    paths = [recording(tmp_path / f"{seed}.wav", 0.3, seed) for seed in (3, 1, 2)]
    assert [found["path"] for found in predict_files(model, paths, runtime="reference")] == [str(p) for p in paths]


def test_a_model_without_front_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bare.onnx").write_bytes(onnx_bytes(dummy_graph()))
    with pytest.raises(BadInput, match=r"bare\.onnx.*nothing about its front end"):
        predict_files(tmp_path / "bare.onnx", [recording(tmp_path / "a.wav", 0.3)], runtime="reference")


def test_a_front_end_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    graph = dummy_graph()
    graph.metadata["edgeasc.features"] = SPEC.model_copy(update={"n_mels": 20}).model_dump_json()
    (tmp_path / "odd.onnx").write_bytes(onnx_bytes(graph))
    with pytest.raises(BadInput, match="takes 16 mels, its front end makes 20"):
        predict_files(tmp_path / "odd.onnx", [recording(tmp_path / "a.wav", 0.3)], runtime="reference")


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    graph = dummy_graph()
    graph.metadata.update({"edgeasc.features": SPEC.model_dump_json(), "edgeasc.labels": '["park", "tram"]'})
    (tmp_path / "odd.onnx").write_bytes(onnx_bytes(graph))
    with pytest.raises(BadInput, match="names 2 classes and gives 10 logits"):
        predict_files(tmp_path / "odd.onnx", [recording(tmp_path / "a.wav", 0.3)], runtime="reference")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all"])
def test_a_recording_that_cannot_be_read_is_refused_by_name(model: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(BadInput, match=r"bad\.wav"):
        predict_files(model, [tmp_path / "bad.wav"], runtime="reference")


def test_crops_reach_from_the_first_to_the_last_frame() -> None:
    features = np.arange(10, dtype=np.float32)[None]  # [1 mel, 10 frames]
    windows = even_crops(features, 4, 3, -1.0)
    np.testing.assert_array_equal(windows[:, 0, 0], [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]])
    np.testing.assert_array_equal(even_crops(features[:, :2], 4, 1, -1.0)[0, 0, 0], [0, 1, -1, -1])


def test_softmax_does_not_overflow() -> None:
    probabilities = softmax(np.float32([[1000, 0], [-1000, -1000]]))
    np.testing.assert_allclose(probabilities, [[1, 0], [0.5, 0.5]])
