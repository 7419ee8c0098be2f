"""Whole training runs on rendered tones: what is in the folder, resuming, refusals, and bad days."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tones import recipe, tones

from edgeasc.data.split import Split
from edgeasc.errors import BadInput, UsageError
from edgeasc.files import sha256
from edgeasc.runs import Run
from edgeasc.train.checkpoint import Checkpoint
from edgeasc.train.evaluate import evaluate_predict
from edgeasc.train.predict import network_predict
from edgeasc.train.progress import Progress
from edgeasc.train.run import clip_arrays, fresh_network, load_network, train_run

HERE = Path(__file__)


class Interrupt(Progress):
    """Sends what Ctrl-C sends, at the third step of the second epoch."""

    steps = 0

    def step(self):
        self.steps += 1
        if self.steps == 6:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train_run(recipe(), *tones(), tmp_path_factory.mktemp("runs") / "whole")


def test_complete_run_holds_the_files_of_the_design(whole):
    files = {str(path.relative_to(whole.path)) for path in whole.path.rglob("*") if path.is_file()}
    assert files - {".lock"} == {
        "run.json", "recipe.toml", "split.csv", "history.csv", "evaluate.json",
        "best.safetensors", "last.safetensors", "last.optim.safetensors", "tb/events.out.tfevents.edgeasc",
    }  # fmt: skip
    assert whole.info().state == "complete"
    assert len(whole.history()) == 3


def test_split_is_recorded_with_digests(whole):
    rows = whole.split()
    assert [sum(row.role == role for row in rows) for role in ("train", "validation", "test")] == [48, 18, 33]
    dataset, split = tones()
    assert rows[0].sha256 == dataset.digest(split.train[0])


def test_evaluation_tells_seen_from_unseen_devices_and_names_the_weights(whole):
    document = json.loads(whole.evaluate_file.read_text())
    assert (document["n"], document["seen"]["n"], document["unseen"]["n"]) == (33, 24, 9)
    assert document["sha256"] == sha256(whole.best.read_bytes())
    assert document["input"] == "whole clip"


def test_loaded_network_gives_the_recorded_evaluation(whole):
    network, loaded, labels = load_network(whole.path)
    dataset, split = tones()
    again = evaluate_predict(network_predict(network), dataset, split.test, loaded, split="by number")
    recorded = json.loads(whole.evaluate_file.read_text())
    assert labels == ("low", "mid", "high")
    assert (again["accuracy"], again["log_loss"]) == (recorded["accuracy"], recorded["log_loss"])


def test_two_runs_of_one_seed_are_bit_identical(whole, tmp_path):
    again = train_run(recipe(), *tones(), tmp_path / "again")
    for name in ("best", "last", "optimizer", "recipe_file", "split_file"):
        assert getattr(again, name).read_bytes() == getattr(whole, name).read_bytes()


def test_another_seed_gives_other_weights(whole, tmp_path):
    other = train_run(recipe(train={"seed": 1}), *tones(), tmp_path / "other")
    assert other.last.read_bytes() != whole.last.read_bytes()


def test_interrupted_run_is_resumable_and_ends_bit_identical(whole, tmp_path):
    out = tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe(), *tones(), out, progress=Interrupt())
    assert Run(out).info().state == "interrupted"
    assert len(Run(out).history()) == 1
    resumed = train_run(recipe(), *tones(), out, resume=True)
    assert resumed.info().state == "complete"
    for name in ("best", "last", "optimizer", "evaluate_file"):
        assert getattr(resumed, name).read_bytes() == getattr(whole, name).read_bytes()


def test_resume_uses_the_thread_count_of_the_run(tmp_path):
    seen = []

    class Watch(Progress):
        def epoch(self, row):
            seen.append(torch.get_num_threads())

    out, here = tmp_path / "run", torch.get_num_threads()
    three = recipe(train={"threads": 3})
    with pytest.raises(KeyboardInterrupt):
        train_run(three, *tones(), out, progress=Interrupt())
    train_run(three, *tones(), out, resume=True, progress=Watch())
    assert seen == [3, 3]
    assert torch.get_num_threads() == here


def test_resuming_a_complete_run_changes_nothing(whole):
    before = {path: path.read_bytes() for path in whole.path.rglob("*.*") if path.is_file()}
    train_run(recipe(), *tones(), whole.path, resume=True)
    assert {path: path.read_bytes() for path in before} == before


def test_folder_with_a_run_is_not_overwritten(whole):
    with pytest.raises(UsageError, match="--resume"):
        train_run(recipe(), *tones(), whole.path)


def test_resume_with_another_recipe_is_refused(whole):
    with pytest.raises(UsageError, match="another recipe"):
        train_run(recipe(train={"epochs": 9}), *tones(), whole.path, resume=True)


def test_resume_on_other_clips_is_refused(whole):
    dataset, split = tones()
    with pytest.raises(UsageError, match="other clips"):
        train_run(recipe(), dataset, Split(split.train[1:], split.validation, split.test, ""), whole.path, resume=True)


def test_student_learns_from_a_teacher_run(whole, tmp_path):
    student = train_run(recipe(), *tones(), tmp_path / "student", teacher=whole.path)
    assert student.info().teacher == str(whole.path)
    assert student.last.read_bytes() != whole.last.read_bytes()


def test_corrupt_checkpoint_of_a_run_is_bad_input(whole, tmp_path):
    for file in (whole.info_file, whole.recipe_file):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "best.safetensors").write_bytes(whole.best.read_bytes()[:-3])
    with pytest.raises(BadInput, match="checkpoint"):
        load_network(tmp_path)


def test_global_freqnorm_statistics_come_from_the_training_clips_and_are_stored(tmp_path):
    options = {"c": 2, "norm": "global-freqnorm"}
    run = train_run(recipe(model={"options": options}, train={"epochs": 1}), *tones(), tmp_path / "run")
    network, _, _ = load_network(run.path)
    dataset, split = tones()
    features = clip_arrays(dataset, split.train, recipe()).features
    np.testing.assert_allclose(network.norm0.mean.numpy().ravel(), features.mean((0, 1, 3)), rtol=1e-4)


CHILD = """
import importlib.util, sys
from pathlib import Path
from edgeasc.errors import EdgeascError
spec = importlib.util.spec_from_file_location("runs_of_tones", sys.argv[1])
module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
try:
    module.child(sys.argv[2], Path(sys.argv[3]))
except EdgeascError as error:
    print("edgeasc: error:", error, file=sys.stderr)
    sys.exit(error.exit_code)
except KeyboardInterrupt:
    sys.exit(130)
"""


def child(task, out):
    """What the child process of a test does."""
    if task == "full disk":
        import resource

        class Full(Progress):
            def epoch(self, row):
                limit = Run(out).last.stat().st_size // 2
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        train_run(recipe(), *tones(), out, progress=Full())
    train_run(recipe(train={"epochs": 400}), *tones(), out)


def start(task, out):
    command = [sys.executable, "-c", CHILD, str(HERE), task, str(out)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_full_disk_exits_5_keeps_the_old_checkpoint_and_resumes(whole, tmp_path):
    out = tmp_path / "run"
    process = start("full disk", out)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, said.count("\n")) == (5, 1), said
    assert "no space left" in said
    assert not list(out.rglob("*.part"))
    resumed = train_run(recipe(), *tones(), out, resume=True)
    assert resumed.optimizer.read_bytes() == whole.optimizer.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_exits_130_and_leaves_a_resumable_run(tmp_path):
    out = tmp_path / "run"
    process = start("long", out)
    deadline = time.monotonic() + 60
    while not Run(out).optimizer.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert Run(out).info().state == "interrupted"
    assert not list(out.rglob("*.part"))
    assert Checkpoint(Run(out), resume=True).position().epoch >= 1


def test_an_input_too_short_for_the_network_is_a_usage_error(tmp_path):
    wanted = recipe(model={"name": "cnn10", "options": {"width": 0.03125, "n_mels": 32}})  # 17 frames, fine; then 9
    network = fresh_network(wanted, 3, clip_arrays(*tones()[:1], tones()[1].train, wanted))
    assert network(torch.zeros(1, 1, 32, 17)).shape == (1, 3)
    short = wanted.model_copy(update={"data": wanted.data.model_copy(update={"clip_seconds": 0.2})})
    with pytest.raises(
        UsageError, match=r"clip_seconds: cnn10 cannot take inputs of 0.2 s .32 x 9 values.: .*too small"
    ):
        train_run(short, *tones(), tmp_path / "short")


def test_an_option_that_no_network_has_is_told_before_any_recording_is_heard(tmp_path, monkeypatch):
    monkeypatch.setattr("edgeasc.train.run.clip_arrays", lambda *rest: pytest.fail("recordings were read first"))
    for model in ({"name": "cnn10", "options": {"wdth": 1}}, {"name": "cnn10", "options": {"width": 0.1}}):
        with pytest.raises(UsageError):
            train_run(recipe(model=model), *tones(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_fails_before_its_first_epoch_leaves_its_place_free(tmp_path):
    with pytest.raises(BadInput):
        train_run(recipe(), *tones(), tmp_path / "run", teacher=tmp_path / "no run")
    assert not (tmp_path / "run").exists()
