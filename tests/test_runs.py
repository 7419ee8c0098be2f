"""The run folder: what is written is read back, and what is wrong is named."""

import json
import subprocess
import sys
import tomllib
from dataclasses import replace

import pytest

from edgeasc.errors import BadInput, UsageError
from edgeasc.runs import Run, RunInfo, SplitRow, installed_versions
from edgeasc.specs import ModelSpec, Recipe, document_digest

RECIPE = Recipe(model=ModelSpec(name="bcresnet-mod-1", options={"c": 10, "norm": "resnorm", "eps": 1e-3}))
INFO = RunInfo("train", RECIPE.digest, ("bus", "tram"), (3,), 2, data={"fold": 1}, versions=installed_versions())
SPLIT = [SplitRow("a/1.wav", "00ff", "train"), SplitRow('odd, "name".wav', "11", "test")]


@pytest.fixture
def run(tmp_path):
    folder = Run(tmp_path / "run")
    folder.create(INFO, RECIPE, SPLIT)
    return folder


def test_run_reads_back_what_was_written(run):
    assert (run.info(), run.recipe(), list(run.split())) == (INFO, RECIPE, SPLIT)


def test_run_json_carries_its_schema(run):
    assert json.loads(run.info_file.read_text())["schema"] == 1


def test_state_changes_alone(run):
    run.set_state("complete")
    assert run.info().state == "complete"
    assert run.info().recipe_hash == INFO.recipe_hash


def test_a_second_run_in_the_same_folder_is_refused(run):
    with pytest.raises(UsageError, match="--resume"):
        run.create(INFO, RECIPE, SPLIT)


def test_missing_run_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match=r"run\.json is missing"):
        Run(tmp_path).info()


def test_a_run_from_before_a_recipe_key_existed_is_read_with_its_default(run):
    lines = [line for line in run.recipe_file.read_text().splitlines() if not line.startswith("reestimate")]
    run.recipe_file.write_text("\n".join(lines))
    run.write_info(replace(run.info(), recipe_hash=document_digest(tomllib.loads(run.recipe_file.read_text()))))
    assert run.recipe() == RECIPE


def test_edited_recipe_is_refused(run):
    run.recipe_file.write_text(run.recipe_file.read_text().replace("epochs = 100", "epochs = 99"))
    with pytest.raises(BadInput, match="hash differs"):
        run.recipe()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threads", "two"),
        ("labels", "bus"),
        ("state", "asleep"),
        ("kind", 3),
        ("parent", 1),
        ("data", []),
        ("seeds", [0.5]),
    ],
)
def test_run_json_with_a_value_of_the_wrong_kind_is_refused(run, key, value):
    document = json.loads(run.info_file.read_text())
    run.info_file.write_text(json.dumps({**document, key: value}))
    with pytest.raises(BadInput):
        run.info()


@pytest.mark.parametrize("text", ["[]", "{}", "", "{", '{"schema": 1}', '{"schema": 99}'])
def test_run_json_that_is_no_run_is_refused(run, text):
    run.info_file.write_text(text)
    with pytest.raises(BadInput):
        run.info()


@pytest.mark.parametrize("line", ["a.wav,00", "a.wav,00,exam", "a.wav,00,test,more"])
def test_wrong_split_row_names_its_line(run, line):
    run.split_file.write_text(f"clip,sha256,role\nb.wav,01,train\n{line}\n")
    with pytest.raises(BadInput, match="line 3"):
        run.split()


def test_history_drops_what_a_killed_process_left_behind(run):
    for epoch in (1, 2, 3):
        run.append_history({"phase": "train", "epoch": epoch, "train_loss": 1.0 / epoch})
    run.append_history({"phase": "train", "epoch": 2, "train_loss": 9.0})
    assert [(row["epoch"], row["train_loss"]) for row in run.history()] == [("1", "1.0"), ("2", "9.0")]


def test_history_keeps_earlier_phases(run):
    run.append_history({"phase": "prune", "epoch": 1})
    run.append_history({"phase": "quantize", "epoch": 1})
    assert [row["phase"] for row in run.history()] == ["prune", "quantize"]


def test_a_second_writer_is_refused_until_the_first_lets_go(run):
    code = f"from pathlib import Path; from edgeasc.runs import Run\nwith Run(Path({str(run.path)!r})).locked(): pass"
    with run.locked():
        assert b"another process" in subprocess.run([sys.executable, "-c", code], capture_output=True).stderr
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_folder_that_was_only_locked_is_gone_and_a_second_writer_does_not_take_it_away(tmp_path):
    empty = Run(tmp_path / "empty")
    code = f"from pathlib import Path; from edgeasc.runs import Run\nwith Run(Path({str(empty.path)!r})).locked(): pass"
    with empty.locked():
        assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 1
        assert (empty.path / ".lock").exists()
    assert not empty.path.exists()


def test_reading_a_run_imports_neither_torch_nor_numpy(run):
    code = (
        "import sys; from pathlib import Path; from edgeasc.runs import Run\n"
        f"Run(Path({str(run.path)!r})).recipe(); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_history_with_a_wrong_epoch_names_its_line(run):
    run.append_history({"phase": "train", "epoch": 1})
    run.history_file.write_text(run.history_file.read_text().replace("train,1", "train,one"))
    with pytest.raises(BadInput, match="line 2: epoch 'one'"):
        run.history()


def test_a_history_from_before_a_column_existed_is_read_and_continued(run):
    row = {"phase": "train", "epoch": 1, "lr": 0.5, "finished": 3}
    run.append_history(row | {"iteration": 7})
    lines = [",".join(line.split(",")[:-2]) for line in run.history_file.read_text().splitlines()]
    run.history_file.write_text("\n".join(lines) + "\n")
    assert run.history()[0]["iteration"] == "" and run.history()[0]["finished"] == "3"
    rows = run.append_history(row | {"epoch": 2, "iteration": 8, "validation_mean_average_precision": 0.25})
    assert [row["iteration"] for row in rows] == ["", "8"]
    assert run.history() == rows


def test_a_history_with_half_of_the_later_columns_is_refused(run):
    run.append_history({"phase": "train", "epoch": 1})
    lines = [",".join(line.split(",")[:-1]) for line in run.history_file.read_text().splitlines()]
    run.history_file.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput, match="expected the header"):
        run.history()
