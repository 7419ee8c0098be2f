"""The folder of C: clean for strict compilers, whole, hostile text harmless, and believed by nobody without proof."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from graph_builder import bcresnet, clips

from edgeasc.errors import BadInput
from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.c.bundle import bundle, read_bundle, write_bundle
from edgeasc.export.c.source import c_string
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.export.verify import VerificationFailed, verify_folder
from edgeasc.graph.count import count
from edgeasc.graph.model import IntegerGraph, Node
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.reference import run
from edgeasc.runtime.runner import load_runner

FORMS = ["int8", "island"]
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]


@pytest.fixture
def exported(tmp_path):
    (tmp_path / "x.onnx").write_bytes(onnx_bytes(dummy_graph("int8")))
    export_artefacts(tmp_path / "x.onnx", tmp_path / "out", c=True)
    return tmp_path / "out"


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("form", FORMS)
def test_a_whole_network_equals_the_reference(compiled, form):
    graph = bcresnet(form)
    values = clips(graph, 12)
    assert np.array_equal(compiled(graph, values), run(graph, values)[graph.output].reshape(12, -1))


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("form", FORMS)
def test_every_file_is_clean_for_strict_compilers(tmp_path, form, compiler):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler}: not installed; apt-get install {compiler}")
    write_bundle(bundle(bcresnet(form)), tmp_path)
    done = subprocess.run(
        ["make", "-s", f"CC={compiler}", "CFLAGS=-O1 -pedantic", "scene_host"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.needs("gcc")
def test_the_library_has_no_data_that_runs_could_share(tmp_path):
    write_bundle(bundle(bcresnet("int8")), tmp_path)
    # As for a chip: position-independent code would keep constant pointers where the loader can write.
    subprocess.run(["make", "-s", "CFLAGS=-O2 -fno-pic", "libscene.a"], cwd=tmp_path, check=True)
    nm = ["nm", "--defined-only", "-P", "libscene.a"]
    symbols = subprocess.run(nm, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    kinds = {tuple(line.split()[:2]) for line in symbols.splitlines() if len(line.split()) > 1}
    assert ("scene_run", "T") in kinds
    writable = [name for name, kind in kinds if kind in "bBCdD"]
    assert writable == []


@pytest.mark.needs("gcc")
def test_two_arenas_are_two_instances(tmp_path, compiled):
    graph = bcresnet("int8")
    values = clips(graph, 2)
    once = compiled(graph, values[:1])
    assert np.array_equal(compiled(graph, values[::-1].copy())[1], once[0])


def test_labels_from_strangers_stay_inside_their_strings():
    graph = dummy_graph("int8")
    labels = ['"; system("x"); "', "??/", "*/ int x;", "naïve\n", *"abcdefghijklmnop"]
    size = graph[graph.output].size
    text = bundle(replace(graph, metadata={"edgeasc.labels": json.dumps(labels[:size])})).files["scene.c"]
    assert all(c_string(label) in text for label in labels[:size])
    assert c_string('"\\?\n') == '"\\"\\\\\\?\\012"'


def test_an_operator_without_kernel_is_named_with_its_layer():
    graph = dummy_graph("int8")
    odd = type("Softmax", (Node,), {"op_name": "softmax"})("head.softmax", (graph.output,), "y")
    tensors = {**graph.tensors, "y": replace(graph[graph.output], name="y")}
    with pytest.raises(BadInput, match=r"no C kernel for operator 'softmax' of head.softmax"):
        bundle(IntegerGraph("int8", graph.input, "y", tensors, (*graph.nodes, odd)))


def test_more_weights_than_a_microcontroller_maps_are_refused_with_the_way_out(monkeypatch):
    graph = dummy_graph("int8")
    stored = count(graph).stored_bytes
    monkeypatch.setattr("edgeasc.export.c.bundle.LARGEST_WEIGHTS", stored)
    bundle(graph)
    monkeypatch.setattr("edgeasc.export.c.bundle.LARGEST_WEIGHTS", stored - 1)
    with pytest.raises(BadInput, match=f"{stored:,} B of weights and biases.*take the .tflite or .onnx"):
        bundle(graph)


def test_a_folder_that_was_changed_is_refused(tmp_path):
    write_bundle(bundle(dummy_graph("int8")), tmp_path)
    assert read_bundle(tmp_path).facts["kind"] == "c"
    with open(tmp_path / "weights.c", "a") as stream:
        stream.write("int x;\n")
    with pytest.raises(BadInput, match="changed since it was written"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("name", ["../weights.c", "/etc/passwd", ".hidden", ""])
def test_a_folder_that_lists_files_elsewhere_is_refused(tmp_path, name):
    write_bundle(bundle(dummy_graph("int8")), tmp_path)
    facts = json.loads((tmp_path / "model.json").read_text())
    facts["files"][name] = "0" * 64
    (tmp_path / "model.json").write_text(json.dumps(facts))
    with pytest.raises(BadInput, match="no plain file name"):
        read_bundle(tmp_path)


@pytest.mark.needs("gcc")
def test_an_exported_c_folder_can_be_run(exported):
    graph = dummy_graph("int8")
    values = clips(graph, 3)
    with load_runner(exported / "c") as runner:
        assert runner.runtime == "native-c" and runner.notes["sanitised"]
        found = runner.predict(values)
    output = graph[graph.output]
    expected = (run(graph, values)[graph.output].reshape(3, -1) - np.float32(output.zero_point)) * output.scale
    assert np.array_equal(found, expected)


@pytest.mark.needs("gcc")
def test_c_is_a_rung_of_the_ladder_and_verified(exported):
    document = verify_folder(exported)
    (rung,) = [rung for rung in document["parity"]["rungs"] if rung["name"] == "native-c"]
    assert rung["passed"] and rung["equal"] == rung["clips"] >= 200
    assert any(check["name"].startswith("c/weights.c as derived") for check in document["checks"])


def test_c_that_its_own_manifest_believes_is_still_compared_with_the_graph(exported, tmp_path):
    """Somebody changed a weight and made all digests fit: the text is not what the ONNX file gives."""
    stored = read_bundle(exported / "c")
    changed = stored.files["weights.c"].replace("{\n    ", "{\n    1 + ", 1)
    assert changed != stored.files["weights.c"]
    files = {**stored.files, "weights.c": changed}
    import hashlib

    digest = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    write_bundle(replace(stored, files=files, facts={**stored.facts, "files": digest}), exported / "c")
    manifest = json.loads((exported / "manifest.json").read_text())
    for entry in manifest["files"]:
        payload = (exported / entry["name"]).read_bytes()
        entry |= {"bytes": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
    (exported / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(VerificationFailed, match=r"weights.c as derived from the ONNX file"):
        verify_folder(exported)


@pytest.mark.parametrize("write", [bundle, tflite_bytes])
def test_a_stride_beyond_32_bits_is_refused_by_name(write):
    graph = dummy_graph("int8")
    nodes = tuple(replace(node, stride=(2**63 - 1, 1)) if hasattr(node, "kernel") else node for node in graph.nodes)
    assert nodes != graph.nodes
    with pytest.raises(BadInput, match="does not fit 32 bits"):
        write(replace(graph, nodes=nodes))
