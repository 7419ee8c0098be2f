"""Whole compressions on rendered tones: what is promised before training, what is in the folder, refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tones import recipe, tones

from edgeasc.audit import audit
from edgeasc.compress.inventory import costs_of
from edgeasc.compress.phases import train_on_grid
from edgeasc.compress.quantized import load_quantized, net_predict
from edgeasc.compress.quantnet import QuantNet
from edgeasc.compress.run import Request, compress_run
from edgeasc.compress.solve import Plan
from edgeasc.data.calibration import read_calibration, select_calibration, write_calibration
from edgeasc.data.clips import Dataset
from edgeasc.errors import BadInput, CheckFailed, UsageError
from edgeasc.features.integer import IntegerFrontEnd, pcm16
from edgeasc.graph.count import count
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.reference import Reference
from edgeasc.runs import Run
from edgeasc.specs import LogMel
from edgeasc.train.progress import Progress
from edgeasc.train.run import clip_arrays, load_network, train_run
from edgeasc.train.weights import read_tensors

SHORT = {"prune": {"epochs": 2}, "quantize": {"epochs": 2, "exact_epochs": 1}, "data": {"validation": 0.0}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset, parts = tones()
    out = tmp_path_factory.mktemp("runs") / "float"
    train_run(recipe(**SHORT), dataset, parts, out)
    return out


@pytest.fixture(scope="module")
def compressed(trained: Path) -> Path:
    out = trained.parent / "int8"
    compress_run(trained, tones()[0], out, Request(budget=1100))
    return out


def test_a_teacher_with_another_front_end_is_distilled_from(trained: Path, compressed: Path) -> None:
    wide = recipe(features={"n_mels": 64}, train={"epochs": 1})
    teacher = train_run(wide, *tones(), trained.parent / "wide").path
    taught = compress_run(trained, tones()[0], trained.parent / "taught", Request(budget=1100, teacher=teacher))
    assert taught.run.info().teacher == str(teacher)
    losses = [[float(row["train_loss"]) for row in Run(path).history()] for path in (taught.run.path, compressed)]
    assert all(there != here for there, here in zip(*losses, strict=True))


class Notes(Progress):
    """Keeps what a user is told, and stops when training begins."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def phase(self, name: str, epochs: int, done: int, steps: int) -> None:
        raise KeyboardInterrupt


def test_the_deployed_network_is_under_the_budget_and_close_to_it(compressed: Path) -> None:
    used = count(read_onnx(compressed / "model.onnx")).nonzero_bytes
    assert 0.9 * 1100 < used <= 1100


def test_the_folder_holds_every_file_of_a_compressed_run(compressed: Path) -> None:
    run = Run(compressed)
    assert run.info().kind == "compress" and run.info().state == "complete"
    for path in (run.onnx, run.inventory, run.parity, run.evaluate_file, run.path / "stages.json"):
        assert path.is_file(), path.name


def test_parity_inputs_of_a_large_network_are_20(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeasc.export.ladder.LARGE_MACS", 1000)
    out = trained.parent / "large"
    compress_run(trained, tones()[0], out, Request(sparsity=0.0))
    assert len(read_tensors(out / "parity.safetensors")[0]["inputs"]) == 20


def test_stages_tell_the_accuracy_of_float_pruned_fake_quantised_and_integers(compressed: Path) -> None:
    stages = json.loads((compressed / "stages.json").read_text())["stages"]
    assert [stage["name"] for stage in stages] == ["float", "pruned", "fake-quantised", "integers"]
    assert all(stage["evaluation"]["n"] == 33 and "split" in stage["evaluation"] for stage in stages)


def test_parity_inputs_are_at_least_200_with_the_logits_of_the_reference(compressed: Path) -> None:
    tensors, _ = read_tensors(compressed / "parity.safetensors")
    graph = read_onnx(compressed / "model.onnx")
    inputs = tensors["inputs"].numpy()
    assert inputs.dtype == np.int8 and len(inputs) >= 200
    assert np.array_equal(Reference(graph).logits(inputs), tensors["reference"].numpy())


def test_the_reloaded_network_is_the_one_in_the_file(compressed: Path) -> None:
    tensors, _ = read_tensors(compressed / "parity.safetensors")
    net = load_quantized(compressed)
    source = net.tensors()["input"]
    reals = (tensors["inputs"].float() - source.zero_point) * float(source.scale)
    assert np.array_equal(net_predict(net, "exact")(reals.numpy()), tensors["reference"].numpy())
    assert np.array_equal(net_predict(net, "fake")(reals.numpy()), tensors["fake_quantised"].numpy())


def test_inventory_counts_the_network_before_folding(compressed: Path) -> None:
    tensors = json.loads((compressed / "inventory.json").read_text())["tensors"]
    total = {kind: sum(t["total"] for t in tensors if t["kind"] == kind) for kind in ("conv", "norm", "bias")}
    keep = json.loads((compressed / "stages.json").read_text())["plan"]["keep"]
    assert total["bias"] == 3
    assert sum(t["kept"] for t in tensors if t["kind"] == "conv") == keep
    assert all(t["nonzero"] <= t["kept"] <= t["total"] for t in tensors)


def test_the_plan_is_told_before_training(trained: Path, tmp_path: Path) -> None:
    notes = Notes()
    with pytest.raises(KeyboardInterrupt):
        compress_run(trained, tones()[0], tmp_path / "out", Request(budget=1100), progress=notes)
    assert "budget 1,100 B" in notes.notes[0] and "% zeros" in notes.notes[0]


def test_an_interrupted_compression_resumes_to_the_same_integers(
    compressed: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    class SecondPhase(Progress):
        def phase(self, name: str, epochs: int, done: int, steps: int) -> None:
            if name == "quantize":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress_run(trained, tones()[0], out, Request(budget=1100), progress=SecondPhase())
    assert Run(out).info().state == "interrupted"
    compress_run(trained, tones()[0], out, Request(budget=1100, resume=True))
    assert (out / "model.onnx").read_bytes() == (compressed / "model.onnx").read_bytes()


def test_an_impossible_budget_is_refused_before_a_folder_is_made(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="smallest possible"):
        compress_run(trained, tones()[0], tmp_path / "out", Request(budget=100))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("limit", [("macs", 10), ("file", 1000)])
def test_a_limit_that_pruning_cannot_meet_is_refused_before_training(
    trained: Path, tmp_path: Path, limit: tuple[str, int]
) -> None:
    with pytest.raises(CheckFailed, match=f"{limit[0]}: .* whatever the sparsity"):
        compress_run(trained, tones()[0], tmp_path / "out", Request(budget=1100, limits=(limit,)))


def test_another_data_set_is_refused(trained: Path, tmp_path: Path) -> None:
    dataset, _ = tones()
    other = Dataset(dataset.name, dataset.labels, dataset.clips[:50], dataset.source)
    with pytest.raises(BadInput, match="has no clip"):
        compress_run(trained, other, tmp_path / "out", Request(budget=1100))


def test_another_front_end_is_refused(trained: Path, tmp_path: Path) -> None:
    changed = recipe(**SHORT, features={"hop_length": 200})
    with pytest.raises(UsageError, match="cannot change"):
        compress_run(trained, tones()[0], tmp_path / "out", Request(budget=1100, recipe=changed))


def test_a_float_network_is_compressed_to_the_integer_front_end(trained: Path, tmp_path: Path) -> None:
    dataset, parts = tones()
    wanted = recipe(**SHORT, features={"arithmetic": "integer"})
    done = compress_run(trained, dataset, tmp_path / "out", Request(sparsity=0.0, recipe=wanted))
    said = LogMel.model_validate_json(done.graph.metadata["edgeasc.features"])
    assert said == wanted.features and said.arithmetic == "integer"
    heard = clip_arrays(dataset, parts.train, Run(done.run.path).recipe()).features
    levels = IntegerFrontEnd(said).levels(pcm16(dataset.waveform(parts.train[0], said.sample_rate)))
    assert np.array_equal(heard[0, 0] * 1024, levels)


def test_an_unknown_engine_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown engine"):
        compress_run(trained, tones()[0], tmp_path / "out", Request(budget=1100, engine="magic"))


def test_without_pruning_there_is_no_pruned_stage(trained: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    done = compress_run(trained, tones()[0], tmp_path / "out", Request(sparsity=0.0, form="island"))
    assert [stage.name for stage in done.stages] == ["float", "fake-quantised", "integers"]
    assert done.graph.form == "island"


def test_the_calibration_set_is_kept_with_the_run_and_is_balanced(compressed: Path) -> None:
    chosen = read_calibration(compressed / "calibration.toml")
    labels = [clip.label for clip in chosen.clips]
    trained_on = {row.clip for row in Run(compressed).split() if row.role == "train"}
    assert {clip.id for clip in chosen.clips} <= trained_on
    assert max(map(labels.count, set(labels))) - min(map(labels.count, set(labels))) <= 1


def test_a_calibration_set_with_a_test_clip_is_refused(trained: Path, tmp_path: Path) -> None:
    dataset, parts = tones()
    write_calibration(tmp_path / "set.toml", select_calibration(dataset, parts.test, 6))
    with pytest.raises(UsageError, match="is a test clip"):
        compress_run(trained, dataset, tmp_path / "out", Request(budget=1100, calibration=tmp_path / "set.toml"))
    assert not (tmp_path / "out").exists()


def test_a_limit_on_flash_alone_gives_the_sparsity(trained: Path, tmp_path: Path) -> None:
    """The verdict at the end is on what came out."""
    job = Request(limits=(("flash", 10**6),))
    done = compress_run(trained, tones()[0], tmp_path / "out", job)
    assert done.plan.sparsity == 0.0
    (found,) = audit(tmp_path / "out", limits={"flash": 10**6}, arena=False).models
    assert found.passed and found.flash.bytes is not None


def test_a_limit_on_flash_that_no_sparsity_meets_is_refused_before_training(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=r"flash: .* is the smallest possible"):
        compress_run(trained, tones()[0], tmp_path / "out", Request(budget=1100, limits=(("flash", 1000),)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"budget": 3000}, "budget 1100, not 3000"),
        ({"rule": "qti-report"}, "rule deployed, not qti-report"),
        ({"engine": "nncf"}, "engine native, not nncf"),
    ],
)
def test_a_run_is_not_resumed_with_another_wish(
    trained: Path, compressed: Path, other: dict[str, object], said: str
) -> None:
    before = (compressed / "stages.json").read_bytes()
    with pytest.raises(UsageError, match=said):
        compress_run(trained, tones()[0], compressed, Request(**{"budget": 1100, **other}, resume=True))  # type: ignore[arg-type]
    assert (compressed / "stages.json").read_bytes() == before and Run(compressed).info().state == "complete"


def test_a_run_of_before_requests_were_kept_is_resumed(trained: Path, compressed: Path) -> None:
    document = json.loads((compressed / "run.json").read_text())
    del document["request"]
    (compressed / "run.json").write_text(json.dumps(document))
    assert Run(compressed).info().request == {}
    compress_run(trained, tones()[0], compressed, Request(budget=1100, resume=True))


def test_a_sparsity_that_the_budget_has_no_room_for_is_what_the_error_names(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=r"sparsity: 20 % zeros leave .*, more than the budget of 1,100 B"):
        compress_run(trained, tones()[0], tmp_path / "both", Request(budget=1100, sparsity=0.2))


def test_a_compressed_run_is_not_compressed_again(trained: Path, compressed: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"compressed already; take the trained run that it came from, {trained}"):
        compress_run(compressed, tones()[0], tmp_path / "again", Request(budget=1100))


class Failing(Progress):
    """A failure of ours after the first epoch."""

    def epoch(self, row: dict[str, object]) -> None:
        raise BadInput("test", "something broke")


def test_a_failure_between_epochs_leaves_a_run_that_goes_on(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "failed"
    with pytest.raises(BadInput, match="something broke"):
        compress_run(trained, tones()[0], out, Request(budget=1100), progress=Failing())
    assert Run(out).info().state == "interrupted"
    compress_run(trained, tones()[0], out, Request(budget=1100, resume=True))
    assert Run(out).info().state == "complete"


@pytest.mark.parametrize(("epochs", "exact"), [(1, 1), (2, 2), (3, 1), (2, 5), (2, 0)])
def test_as_many_exact_epochs_are_trained_as_asked(
    trained: Path, epochs: int, exact: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, known, _ = load_network(trained)
    asked = known.model_copy(
        update={"quantize": known.quantize.model_copy(update={"epochs": epochs, "exact_epochs": exact})}
    )
    dataset, parts = tones()
    training, modes = clip_arrays(dataset, parts.train, asked), []
    net = QuantNet(network, "int8", (1, 1, asked.features.n_mels, asked.n_frames))
    costs = costs_of(network, "deployed", "int8")
    monkeypatch.setattr("edgeasc.train.loop._Loop._check_finite", lambda loop, epoch: modes.append(net.mode))
    train_on_grid(net, training, asked, Plan(costs, None, costs.weights, costs.offsets))
    assert modes == ["fake"] * max(0, epochs - exact) + ["exact"] * min(exact, epochs)
    assert float(net.scales.min()) > 0 and not bool((net.scales == 1).all())
