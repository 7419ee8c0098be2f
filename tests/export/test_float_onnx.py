"""The float network of a run as ONNX: the same numbers, its metadata, and what is refused."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tones import recipe, tones

from edgeasc.audit import audit
from edgeasc.bench.host import bench_host
from edgeasc.cli import main
from edgeasc.compress.quantnet import QuantNet
from edgeasc.errors import BadInput
from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.float_onnx import export_float, float_onnx_bytes
from edgeasc.export.parity import ParityFailed
from edgeasc.graph.count import count
from edgeasc.nn.registry import create_model
from edgeasc.runs import Run
from edgeasc.runtime.runner import load_runner
from edgeasc.train.run import load_network, train_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset, parts = tones()
    out = tmp_path_factory.mktemp("float") / "run"
    train_run(recipe(train={"epochs": 1, "batch_size": 16, "warmup_epochs": 0, "threads": 1}), dataset, parts, out)
    return out


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    assert main(["export", str(run), "--onnx", "--quiet", "--out", str(run.parent / "onnx")]) == 0
    return run.parent / "onnx"


def test_the_file_computes_what_torch_does_on_batches_of_any_size(run: Path, exported: Path) -> None:
    network, known, _ = load_network(run)
    session = onnxruntime.InferenceSession((exported / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    for batch in (1, 5):
        x = torch.randn(batch, 1, known.features.n_mels, known.n_frames, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network(x).numpy()
        np.testing.assert_allclose(session.run(None, {"input": x.numpy()})[0], expected, atol=1e-4)


def test_the_file_knows_its_front_end_labels_and_length(run: Path, exported: Path) -> None:
    with load_runner(exported / "model.onnx") as runner:
        assert runner.features == Run(run).recipe().features
        assert runner.artefact.labels == ("low", "mid", "high")
        assert runner.clip_seconds == 0.4


def test_the_report_beside_it_tells_the_difference_in_logits(exported: Path) -> None:
    document = json.loads((exported / "parity.json").read_text())
    (rung,) = document["rungs"]
    assert document["form"] == "float" and rung["passed"] and rung["mean_logit"] < 1e-4 and rung["equal"] is None


@pytest.mark.parametrize("name", ["cnn6", "wideresnet28-2"])
def test_networks_of_the_family_export_with_their_batch_norm(name: str) -> None:
    payload = float_onnx_bytes(create_model(name, 4, width=1 / 32), (64, 50), {})
    onnx.checker.check_model(onnx.load_from_string(payload), full_check=True)


def test_a_file_that_computes_something_else_is_not_written(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = create_model("bcresnet-mod-1", 3, c=2, eps=1e-3)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.5)
    known = Run(run).recipe()
    wrong = float_onnx_bytes(other, (known.features.n_mels, known.n_frames), {})
    monkeypatch.setattr("edgeasc.export.float_onnx.float_onnx_bytes", lambda *given: wrong)
    with pytest.raises(ParityFailed, match=r"onnxruntime against float network: top-1 .* logit"):
        export_float(run, run.parent / "wrong")
    assert not (run.parent / "wrong").exists()


def test_a_float_run_as_tflite_is_refused_with_what_can_be_had(run: Path) -> None:
    with pytest.raises(BadInput, match="--onnx alone: in floats"):
        export_artefacts(run, run.parent / "tflite")


def test_an_interrupted_run_is_refused(run: Path) -> None:
    Run(run).set_state("interrupted")
    with pytest.raises(BadInput, match="not a completed training"):
        export_float(run, run.parent / "early")
    Run(run).set_state("complete")


def test_the_audit_counts_the_file_as_it_counts_a_strangers(run: Path, exported: Path) -> None:
    """The exporter folds batch norms into biases, so that of the run's parameters the weights are the ones to find."""
    model = audit([exported / "model.onnx"]).models[0]
    network, known, _ = load_network(run)
    weights = [w for w in network.parameters() if w.ndim == 4]
    found = sum(row.parameters for row in model.layers if row.op == "Conv")
    assert sum(w.numel() for w in weights) <= found <= sum(w.numel() + len(w) for w in weights)
    net = QuantNet(network, "int8", (1, 1, known.features.n_mels, known.n_frames))
    net.set_grids(torch.zeros(len(net.index)), torch.ones(len(net.index)))
    assert model.macs == count(net.freeze()).macs and "float32" in model.ends


def test_a_folder_of_it_is_timed_where_floats_run(exported: Path) -> None:
    document = bench_host([exported], runs=2, warmup=0)
    assert [row["runtime"] for row in document["results"]] == ["onnxruntime"] and document["exit_code"] == 0
