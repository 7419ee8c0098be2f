"""`verify` believes nothing: every byte, count and rung is derived again."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgeasc.errors import BadInput
from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.parity import read_parity, write_parity
from edgeasc.export.verify import VerificationFailed, verify_folder
from edgeasc.files import sha256


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy that may be tampered with."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def change_manifest(folder: Path, change) -> None:
    document = json.loads((folder / "manifest.json").read_text())
    change(document)
    (folder / "manifest.json").write_text(json.dumps(document))


def rehash(folder: Path) -> None:
    """Give the manifest the digests of the files as they are now: a forger who knows the format."""

    def change(document: dict) -> None:
        for entry in document["files"]:
            payload = (folder / entry["name"]).read_bytes()
            entry.update(bytes=len(payload), sha256=sha256(payload))

    change_manifest(folder, change)


def failed(folder: Path) -> list[str]:
    with pytest.raises(VerificationFailed) as caught:
        verify_folder(folder)
    assert caught.value.exit_code == 1
    return [check["name"] for check in caught.value.document["checks"] if not check["passed"]]


def test_an_export_verifies(exported: Path) -> None:
    document = verify_folder(exported)
    assert document["passed"] and document["parity"]["passed"] and document["notes"] == []
    names = {check["name"] for check in document["checks"]}
    assert {"model.tflite sha256", "macs counted", "nonzero counted", "labels in the tflite file"} <= names


@pytest.mark.parametrize("name", ["model.onnx", "model.tflite", "parity.json", "parity.safetensors"])
@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_one_flipped_bit_is_found(folder: Path, name: str, place: float) -> None:
    payload = bytearray((folder / name).read_bytes())
    payload[int(place * len(payload)) if place != -1 else -1] ^= 4
    (folder / name).write_bytes(payload)
    assert failed(folder) == [f"{name} sha256"]


def test_a_truncated_file_is_found(folder: Path) -> None:
    payload = (folder / "model.tflite").read_bytes()
    (folder / "model.tflite").write_bytes(payload[:-16])
    assert failed(folder) == ["model.tflite bytes", "model.tflite sha256"]


def test_a_missing_file_is_found(folder: Path) -> None:
    (folder / "model.tflite").unlink()
    assert failed(folder) == ["model.tflite"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_is_not_a_file(folder: Path, exported: Path) -> None:
    (folder / "model.tflite").unlink()
    (folder / "model.tflite").symlink_to(exported / "model.tflite")
    assert failed(folder) == ["model.tflite"]


@pytest.mark.parametrize("key", ["parameters", "nonzero", "nonzero_bytes", "macs"])
def test_a_wrong_count_is_found(folder: Path, key: str) -> None:
    change_manifest(folder, lambda document: document["counts"].update({key: document["counts"][key] + 1}))
    assert failed(folder) == [f"{key} counted"]


def test_swapped_labels_are_found(folder: Path) -> None:
    change_manifest(folder, lambda document: document["labels"].reverse())
    assert failed(folder) == ["labels in the onnx file", "labels in the tflite file"]


def test_another_front_end_is_found(folder: Path) -> None:
    change_manifest(folder, lambda document: document["features"].update(hop_length=320))
    assert "features digest" in failed(folder)


@pytest.mark.needs("onnxruntime", "ai_edge_litert")
def test_a_tflite_of_another_network_is_found_by_parity(folder: Path, tmp_path: Path) -> None:
    from edgeasc.export.dummy import dummy_graph
    from edgeasc.export.tflite import tflite_bytes
    from edgeasc.graph.onnx_read import read_onnx

    other = dummy_graph(seed=2)
    other.metadata.update(read_onnx(folder / "model.onnx").metadata)
    (folder / "model.tflite").write_bytes(tflite_bytes(other))
    rehash(folder)
    with pytest.raises(VerificationFailed, match=r"parity: .*missed") as caught:
        verify_folder(folder)
    assert all(check["passed"] for check in caught.value.document["checks"])
    missed = {rung["name"] for rung in caught.value.document["parity"]["rungs"] if rung["passed"] is False}
    assert missed and "onnxruntime" not in missed


def test_forged_logits_are_found(folder: Path) -> None:
    import dataclasses

    inputs = read_parity(folder / "parity.safetensors")
    assert inputs.reference is not None
    write_parity(
        folder / "parity.safetensors", dataclasses.replace(inputs, reference=inputs.reference + np.float32(0.012))
    )
    rehash(folder)
    with pytest.raises(VerificationFailed, match="numpy reference missed equal integers"):
        verify_folder(folder)


def test_a_stranger_s_file_beside_is_a_note(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    assert verify_folder(folder)["notes"] == ["notes.txt is not in the manifest"]


def test_a_folder_of_tflite_alone_is_judged_by_its_stored_logits(onnx_file: Path, tmp_path: Path) -> None:
    export_artefacts(onnx_file, tmp_path / "out", onnx=False)
    document = verify_folder(tmp_path / "out")
    assert document["passed"] and "tflm" in {rung["name"] for rung in document["parity"]["rungs"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"schema": 1}',
        "[" * 100_000,
    ],
)
def test_a_malformed_manifest_is_bad_input(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BadInput, match=r"manifest\.json"):
        verify_folder(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "", "manifest.json", "con\n"])
def test_a_manifest_that_names_other_places_is_bad_input(folder: Path, name: str) -> None:
    change_manifest(folder, lambda document: document["files"][0].update(name=name))
    with pytest.raises(BadInput, match="manifest"):
        verify_folder(folder)


@pytest.mark.parametrize("change", [{"schema": 2}, {"form": "fp16"}, {"extra": 1}, {"files": []}, {"counts": None}])
def test_a_manifest_of_another_shape_is_bad_input(folder: Path, change: dict) -> None:
    change_manifest(folder, lambda document: document.update(change))
    with pytest.raises(BadInput, match="manifest"):
        verify_folder(folder)


def test_no_folder_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        verify_folder(tmp_path / "gone")
