"""Exported folders are whole, described, and the same every time; a missed rung leaves nothing."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from edgeasc.errors import BadInput, MissingDependency, ResourceExhausted, UsageError
from edgeasc.export.artefacts import export_artefacts, read_source
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.parity import ParityFailed, read_parity
from edgeasc.graph.model import Conv
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.tflite_read import read_metadata
from edgeasc.runtime.runner import load_runner
from edgeasc.specs import LogMel

FILES = {"manifest.json", "model.onnx", "model.tflite", "parity.json", "parity.safetensors"}


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_the_manifest_has_the_digest_of_every_file(exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    found = digests(exported)
    assert set(found) == FILES
    assert {entry["name"]: entry["sha256"] for entry in manifest["files"]} == {
        name: digest for name, digest in found.items() if name != "manifest.json"
    }


def test_the_manifest_describes_the_network(exported: Path, onnx_file: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["schema"] == 1 and manifest["form"] == "int8" and manifest["converter"] == "direct"
    assert manifest["features_digest"] == LogMel(**manifest["features"]).digest
    assert manifest["labels"][-1] == "café" and manifest["clip_seconds"] == 0.275
    assert manifest["input"] == {"shape": [1, 1, 16, 12], "scale": pytest.approx(0.06), "zero_point": 20}
    assert manifest["source_sha256"] == hashlib.sha256(onnx_file.read_bytes()).hexdigest()
    assert {"python", "numpy", "edgeasc"} <= set(manifest["versions"])


def test_counts_are_those_of_the_convolutions(exported: Path, onnx_file: Path) -> None:
    counts = json.loads((exported / "manifest.json").read_text())["counts"]
    graph = read_onnx(onnx_file)
    convs = [node for node in graph.nodes if isinstance(node, Conv)]
    weights, biases = sum(c.weight.size for c in convs), sum(c.bias.size for c in convs)
    nonzero = sum(np.count_nonzero(c.weight) for c in convs), sum(np.count_nonzero(c.bias) for c in convs)
    assert counts["parameters"] == weights + biases and counts["nonzero"] == sum(nonzero)
    assert counts["nonzero_bytes"] == nonzero[0] + 4 * nonzero[1]
    assert counts["macs"] == sum(graph[c.output].size * c.weight[0].size for c in convs)


def test_the_onnx_goes_out_as_it_came(exported: Path, onnx_file: Path) -> None:
    assert (exported / "model.onnx").read_bytes() == onnx_file.read_bytes()


def test_front_end_and_labels_are_in_the_tflite_too(exported: Path, onnx_file: Path) -> None:
    said, meant = read_metadata((exported / "model.tflite").read_bytes()), read_onnx(onnx_file).metadata
    for key in ("edgeasc.features", "edgeasc.labels", "edgeasc.clip_seconds"):
        assert said[key] == meant[key]
    assert said["edgeasc.form"] == "int8" and said["edgeasc.version"]


def test_the_stored_inputs_carry_both_judges(exported: Path) -> None:
    inputs = read_parity(exported / "parity.safetensors")
    assert len(inputs.inputs) == 200 and inputs.origin == "random" and inputs.fake_quantised_by == "numpy"
    assert inputs.reference is not None and inputs.fake_quantised is not None


def test_the_same_export_gives_the_same_bytes(exported: Path, onnx_file: Path, tmp_path: Path) -> None:
    export_artefacts(onnx_file, tmp_path / "again")
    assert digests(tmp_path / "again") == digests(exported)


def test_an_earlier_export_is_replaced_and_nothing_stays_beside(onnx_file: Path, tmp_path: Path) -> None:
    export_artefacts(onnx_file, tmp_path / "out", tflite=False)
    assert not (tmp_path / "out" / "model.tflite").exists()
    export_artefacts(onnx_file, tmp_path / "out", onnx=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES - {"model.onnx"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_something_else_is_not_touched(onnx_file: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(UsageError, match=r"holds no manifest\.json"):
        export_artefacts(onnx_file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_nothing_chosen_is_refused(onnx_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to write"):
        export_artefacts(onnx_file, tmp_path / "out", onnx=False, tflite=False)


def lying_tflite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the TFLite writer drop a bias, which only the parity check can see."""
    import edgeasc.export.tflite as room

    real = room.tflite_bytes

    def wrong(graph):
        nodes = [
            dataclasses.replace(node, bias=node.bias * 0) if isinstance(node, Conv) else node for node in graph.nodes
        ]
        return real(dataclasses.replace(graph, nodes=tuple(nodes)))

    monkeypatch.setattr(room, "tflite_bytes", wrong)


@pytest.mark.needs("onnxruntime", "ai_edge_litert")
def test_a_missed_rung_fails_the_export_and_leaves_nothing(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lying_tflite(monkeypatch)
    with pytest.raises(ParityFailed) as caught:
        export_artefacts(onnx_file, tmp_path / "out")
    assert caught.value.exit_code == 1 and not caught.value.document["passed"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs("onnxruntime", "ai_edge_litert")
def test_a_missed_rung_leaves_the_earlier_export(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_artefacts(onnx_file, tmp_path / "out")
    before = digests(tmp_path / "out")
    lying_tflite(monkeypatch)
    with pytest.raises(ParityFailed):
        export_artefacts(onnx_file, tmp_path / "out")
    assert digests(tmp_path / "out") == before


def test_a_full_disk_leaves_the_earlier_export(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_artefacts(onnx_file, tmp_path / "out")
    before = digests(tmp_path / "out")

    def full(path: Path, payload: bytes) -> None:
        raise ResourceExhausted("write", "no space left", path)

    monkeypatch.setattr("edgeasc.export.artefacts.write_bytes", full)
    with pytest.raises(ResourceExhausted):
        export_artefacts(onnx_file, tmp_path / "out")
    assert digests(tmp_path / "out") == before and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_absent_required_runtime_is_told_before_any_work(
    onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="tflite-micro"):
        export_artefacts(onnx_file, tmp_path / "out", require=["tflm"])
    assert list(tmp_path.iterdir()) == []


def test_a_float_onnx_is_refused_by_name(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"], name="stem.relu")],
        "float",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 4, 4])],
    )
    path = tmp_path / "float.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())
    with pytest.raises(BadInput, match=r"float\.onnx.*not quantised"):
        export_artefacts(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["model.tflite", "weights.pt", "nothing.onnx"])
def test_other_sources_are_refused(tmp_path: Path, name: str) -> None:
    if not name.startswith("nothing"):
        (tmp_path / name).write_bytes(b"content")
    with pytest.raises(BadInput):
        read_source(tmp_path / name)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no run folder"):
        export_artefacts(tmp_path, tmp_path / "out")


def test_an_exported_folder_can_be_run(exported: Path) -> None:
    inputs = read_parity(exported / "parity.safetensors")
    with load_runner(exported, "reference") as runner:
        np.testing.assert_array_equal(runner.predict(inputs.inputs), inputs.reference)
        assert runner.labels[0] == "airport" and runner.features is not None


def test_form_island_is_exported_as_well(tmp_path: Path) -> None:
    from edgeasc.graph.onnx_write import onnx_bytes

    (tmp_path / "island.onnx").write_bytes(onnx_bytes(dummy_graph("island")))
    documents = export_artefacts(tmp_path / "island.onnx", tmp_path / "out")
    assert documents["manifest"]["form"] == "island" and documents["parity"]["passed"]
    assert read_metadata((tmp_path / "out" / "model.tflite").read_bytes())["edgeasc.form"] == "island"
