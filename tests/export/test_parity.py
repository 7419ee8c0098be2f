"""The ladder is climbed by the real runtimes; what is absent or broken is said."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from one_op import graph_of, tensor

from edgeasc.errors import BadInput, MissingDependency, UsageError
from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.ladder import FAKE_QUANTISED, REFERENCE, parity_clips, patience
from edgeasc.export.parity import (
    ParityFailed,
    check_required,
    compute_judges,
    measure_parity,
    random_inputs,
    read_parity,
    write_parity,
)
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.model import Conv, Form, IntegerGraph
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import onnx_artefact, tflite_artefact
from edgeasc.runtime.catalogue import RUNTIMES

NATIVE = ("onnxruntime", "litert", "tflite-runtime", "tflite-reference", "tflm")


def ladder(graph: IntegerGraph, shown: IntegerGraph | None = None, **options) -> dict:
    """Parity of the artefacts of `shown` against the judges of `graph`."""
    shown = shown or graph
    inputs = random_inputs(graph)
    artefacts = [onnx_artefact(onnx_bytes(shown)), tflite_artefact(tflite_bytes(shown))]
    return measure_parity(graph.form, artefacts, inputs, compute_judges(graph, inputs), **options)


def rungs(document: dict) -> dict[str, dict]:
    return {rung["name"]: rung for rung in document["rungs"]}


@pytest.fixture(scope="module", params=["int8", "island"])
def document(request: pytest.FixtureRequest) -> dict:
    return ladder(dummy_graph(request.param))


def test_every_runtime_has_its_rung_on_at_least_200_inputs(document: dict) -> None:
    assert set(rungs(document)) == {REFERENCE, *NATIVE}
    assert all(rung["clips"] >= 200 for rung in document["rungs"])
    assert document["inputs"] == "random"


def test_a_network_above_200_million_macs_is_judged_on_20_inputs_and_a_slow_runtime_is_waited_for() -> None:
    assert [parity_clips(macs) for macs in (0, 200_000_000, 200_000_001)] == [200, 200, 20]
    assert patience(1_000_000, 16) == 300
    assert patience(2_000_000_000, 16) == 1600


def test_an_export_takes_fewer_inputs_for_a_large_network_unless_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source, output = tensor("x", (1, 64, 64, 96), 0.1), tensor("y", (1, 64, 64, 96), 8.0)
    weight = rng.integers(-127, 128, (64, 64, 3, 3)).astype(np.int8)
    scale, none = np.full((1, 64), 0.01, np.float32), np.zeros((1, 64), np.int32)
    node = Conv("conv", ("x",), "y", weight, scale, np.ones((1, 64), np.int8), none, padding=(1, 1, 1, 1))
    large = tmp_path / "large.onnx"
    large.write_bytes(onnx_bytes(graph_of(node, source, output)))
    found = {
        clips: export_artefacts(large, tmp_path / f"{clips}", tflite=False, clips=clips)["parity"]["clips"]
        for clips in (None, 3)
    }
    assert found == {None: 20, 3: 3}


def test_every_rung_that_ran_holds(document: dict) -> None:
    assert document["passed"], [rung for rung in document["rungs"] if rung["passed"] is False]


@pytest.mark.parametrize("runtime", ["tflite-reference", "tflm"])
def test_reference_kernels_equal_the_numpy_reference(runtime: str) -> None:
    if not RUNTIMES[runtime].installed:
        pytest.skip(RUNTIMES[runtime].install)
    rung = rungs(ladder(dummy_graph()))[runtime]
    assert (rung["equal"], rung["max_steps"], rung["limit"], rung["passed"]) == (200, 0, "equal integers", True)


@pytest.mark.needs("onnxruntime", "ai_edge_litert")
def test_a_wrong_weight_in_the_artefact_is_found() -> None:
    graph = dummy_graph()
    place, node = next((i, n) for i, n in enumerate(graph.nodes) if isinstance(n, Conv) and n.name == "classifier")
    weight = node.weight.copy()
    weight[0, 0] = -weight[0, 0]
    nodes = list(graph.nodes)
    nodes[place] = dataclasses.replace(node, weight=weight)
    document = ladder(graph, dataclasses.replace(graph, nodes=tuple(nodes)))
    ran = [name for name in NATIVE if RUNTIMES[name].installed and name != "tflite-runtime"]
    assert not document["passed"] and all(rungs(document)[name]["passed"] is False for name in ran)
    assert "tflm against numpy reference: 0 of 200 clips equal" in str(ParityFailed(document)) or "tflm" not in ran


@pytest.mark.needs("onnxruntime", "ai_edge_litert")
def test_an_absent_runtime_is_a_rung_that_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {name: dataclasses.replace(RUNTIMES[name], module="no_such_module") for name in NATIVE}
    monkeypatch.setattr("edgeasc.runtime.catalogue.RUNTIMES", {**RUNTIMES, **absent})
    document = ladder(dummy_graph())
    assert document["passed"]
    for name in NATIVE:
        rung = rungs(document)[name]
        assert rung["passed"] is None and rung["why"].startswith("not run: pip install"), rung


@pytest.mark.needs("onnxruntime", "ai_edge_litert")
def test_a_required_runtime_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(RUNTIMES["tflm"], module="no_such_module")
    monkeypatch.setattr("edgeasc.runtime.catalogue.RUNTIMES", {**RUNTIMES, "tflm": absent})
    with pytest.raises(MissingDependency, match="tflm is not installed: pip install tflite-micro"):
        check_required(["onnxruntime", "tflm"])


def test_requiring_what_is_no_rung_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'tflm'"):
        check_required(["tflmm"])


@pytest.mark.needs("onnxruntime", "ai_edge_litert")
def test_a_runtime_that_dies_fails_its_rung_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from edgeasc.runtime import child

    real = child.worker_command

    def command(what: str, memory: int) -> list[str]:
        return [sys.executable, "-c", "import os; os.abort()"] if what == "litert" else real(what, memory)

    monkeypatch.setattr(child, "worker_command", command)
    found = rungs(ladder(dummy_graph()))
    assert found["litert"]["passed"] is False and "died" in found["litert"]["why"]
    assert all(found[name]["passed"] is not False for name in NATIVE if name != "litert")


def test_stored_logits_are_compared_with_the_reference() -> None:
    graph = dummy_graph()
    inputs = random_inputs(graph)
    judges = compute_judges(graph, inputs)
    wrong = judges.reference.copy()
    wrong[7, 3] += judges.scale
    document = measure_parity("int8", [], dataclasses.replace(inputs, reference=wrong), judges)
    assert not document["passed"]
    assert (document["rungs"][0]["against"], document["rungs"][0]["equal"]) == ("stored logits", 199)


def test_the_run_s_own_fake_quantised_logits_are_the_judge_where_stored() -> None:
    graph = dummy_graph()
    inputs = random_inputs(graph)
    twin = compute_judges(graph, inputs)
    assert twin.label(FAKE_QUANTISED) == "fake-quantised (numpy)"
    stored = compute_judges(graph, dataclasses.replace(inputs, fake_quantised=twin.fake_quantised + 1))
    assert stored.label(FAKE_QUANTISED) == "fake-quantised"
    np.testing.assert_array_equal(stored.fake_quantised, twin.fake_quantised + 1)


@pytest.mark.parametrize("form", ["int8", "island"])
def test_parity_inputs_survive_their_file(tmp_path: Path, form: Form) -> None:
    graph = dummy_graph(form)
    inputs = random_inputs(graph, clips=5)
    judges = compute_judges(graph, inputs)
    whole = dataclasses.replace(
        inputs, reference=judges.reference, fake_quantised=judges.fake_quantised, fake_quantised_by="numpy"
    )
    write_parity(tmp_path / "p.safetensors", whole)
    back = read_parity(tmp_path / "p.safetensors")
    assert (back.origin, back.fake_quantised_by) == ("random", "numpy")
    for name in ("inputs", "reference", "fake_quantised"):
        np.testing.assert_array_equal(getattr(back, name), getattr(whole, name))


def test_a_parity_file_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    inputs = random_inputs(dummy_graph(), clips=3)
    for name in ("a", "b"):
        write_parity(tmp_path / name, inputs)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_by_another_tool_counts_as_clips(tmp_path: Path) -> None:
    import safetensors.numpy

    path = tmp_path / "p.safetensors"
    path.write_bytes(safetensors.numpy.save({"inputs": np.zeros((2, 1, 16, 12), np.int8)}))
    assert read_parity(path).origin == "clips"


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"inputs": np.zeros((2, 1, 16, 12), np.float32)},
        {"inputs": np.zeros((0, 1, 16, 12), np.int8)},
        {"inputs": np.zeros((2, 16), np.int8)},
        {"inputs": np.zeros((2, 1, 4, 4), np.int8), "reference": np.zeros((3, 10), np.float32)},
        {"inputs": np.zeros((2, 1, 4, 4), np.int8), "reference": np.zeros((2, 10), np.int8)},
        {"inputs": np.zeros((2, 1, 4, 4), np.int8), "fake_quantised": np.full((2, 10), np.nan, np.float32)},
    ],
)
def test_wrong_tensors_are_refused(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    import safetensors.numpy

    path = tmp_path / "p.safetensors"
    path.write_bytes(safetensors.numpy.save(tensors))
    with pytest.raises(BadInput, match="needs"):
        read_parity(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}"])
def test_a_damaged_parity_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        read_parity(path)


def test_inputs_of_another_shape_are_refused() -> None:
    inputs = random_inputs(dummy_graph(), clips=2)
    with pytest.raises(BadInput):
        compute_judges(dummy_graph(), dataclasses.replace(inputs, inputs=inputs.inputs[:, :, :5]))
    with pytest.raises(BadInput, match="where the graph gives"):
        compute_judges(dummy_graph(), dataclasses.replace(inputs, reference=np.zeros((2, 3), np.float32)))


def test_random_inputs_are_seeded_and_use_the_range() -> None:
    first, again, other = (random_inputs(dummy_graph(), seed=seed).inputs for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.9 and first.min() == -128 and first.max() == 127


@pytest.mark.skipif(not RUNTIMES["litert"].installed, reason=RUNTIMES["litert"].install)
def test_without_tflite_runtime_the_reference_kernels_are_litert_s_and_the_rung_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = dataclasses.replace(RUNTIMES["tflite-reference"], module="no_such_module")
    monkeypatch.setattr("edgeasc.runtime.catalogue.RUNTIMES", {**RUNTIMES, "tflite-reference": absent})
    rung = rungs(ladder(dummy_graph()))["tflite-reference"]
    assert rung["version"].startswith("ai-edge-litert ") and rung["passed"] is True


def test_the_class_limit_of_the_reference_is_judged_on_recordings_and_told_on_noise() -> None:
    graph = dummy_graph()
    noise = random_inputs(graph)
    clips = dataclasses.replace(noise, origin="clips")
    judges = compute_judges(graph, noise)
    first = [measure_parity("int8", [], inputs, judges)["rungs"][0] for inputs in (noise, clips)]
    assert [rung["passed"] for rung in first] == [None, True]
    assert first[1]["limit"] == "top-1 >= 95 %" and first[0]["top1"] == first[1]["top1"]


def test_a_network_trained_on_integers_is_judged_by_its_own_integers() -> None:
    graph = dummy_graph()
    noise = random_inputs(graph)
    judges = compute_judges(graph, noise)
    far = dataclasses.replace(judges, fake_quantised=-judges.fake_quantised)  # no class in common
    inputs = dataclasses.replace(noise, origin="clips", reference=judges.reference, exact=True)
    first, second = measure_parity("int8", [], inputs, far)["rungs"]
    assert (first["against"], first["limit"], first["passed"]) == (
        "fake-quantised, integer-exact",
        "equal integers",
        True,
    )
    assert second["passed"] is None
    document = measure_parity("int8", [], dataclasses.replace(inputs, exact=False), far)
    assert [rung["passed"] for rung in document["rungs"]] == [True, False]
