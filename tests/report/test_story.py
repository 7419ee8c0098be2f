"""What is read from the folders, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from report_runs import evaluation, write_run

from edgeasc.errors import BadInput
from edgeasc.report.scores import read_scores
from edgeasc.report.story import distinct_names, read_story


def test_the_parents_epochs_come_first(runs: Path) -> None:
    phases = read_story(runs / "small").phases
    assert [(phase.name, len(phase.epochs)) for phase in phases] == [("train", 6), ("prune", 6), ("quantize", 6)]
    assert [epoch.number for phase in phases for epoch in phase.epochs] == list(range(1, 19))


def test_the_parity_report_of_the_same_network_is_found_beside_the_run(runs: Path) -> None:
    assert [rung.name for rung in read_story(runs / "small").rungs] == ["tflm", "onnxruntime"]


def test_the_parity_report_of_another_network_is_not_taken(runs: Path) -> None:
    (runs / "export" / "model.onnx").write_bytes(b"another")
    story = read_story(runs / "small")
    assert story.rungs == ()
    assert any("edgeasc export" in gap for gap in story.gaps)


def test_runs_beside_it_become_points_and_batch_norm_statistics_are_no_bytes(runs: Path) -> None:
    points = {point.name: point for point in read_story(runs / "small").points}
    assert points["float"].bytes == 4 * (2 + 2)  # two weights that are not zero, two gains
    assert points["small"].this and not points["float"].this


def test_runs_in_folders_of_one_name_are_told_apart_by_their_parents() -> None:
    folders = [Path("/runs/fold1/int8"), Path("/runs/fold2/int8"), Path("/runs/fold2/float")]
    assert distinct_names(folders) == ["fold1/int8", "fold2/int8", "float"]


def test_only_the_runs_asked_for_are_compared(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "float", runs / "more" / "elsewhere")
    assert {point.name for point in read_story(runs / "small", [runs / "more" / "elsewhere"]).points} == {
        "small",
        "elsewhere",
    }


def test_a_run_beside_with_other_classes_is_left_out_with_a_word(runs: Path) -> None:
    write_run(runs / "other", "train", labels=("dog", "rain", "sea", "wind"))
    story = read_story(runs / "small")
    assert all(point.name != "other" for point in story.points)
    assert any("other: has other classes" in gap for gap in story.gaps)


def test_a_run_asked_for_with_other_classes_is_refused(runs: Path) -> None:
    write_run(runs / "other", "train", labels=("dog", "rain", "sea", "wind"))
    with pytest.raises(BadInput, match="other classes"):
        read_story(runs / "small", [runs / "other"])


def test_a_run_judged_on_other_recordings_is_marked(runs: Path) -> None:
    split = runs / "float" / "split.csv"
    split.write_text(split.read_text().replace("clip0", "clip9"))
    assert {point.name: point.same_split for point in read_story(runs / "small").points} == {
        "small": True,
        "float": False,
    }


def test_a_float_run_says_what_is_still_missing(runs: Path) -> None:
    story = read_story(runs / "float")
    assert story.audit is None
    assert any("edgeasc compress" in gap for gap in story.gaps)


def test_a_folder_of_runs_is_refused_with_their_names(runs: Path) -> None:
    with pytest.raises(BadInput, match="it holds the runs float, small"):
        read_story(runs)


def test_a_run_that_was_not_evaluated_is_refused(runs: Path) -> None:
    (runs / "small" / "evaluate.json").unlink()
    with pytest.raises(BadInput, match="not evaluated yet"):
        read_story(runs / "small")


SPOILT: dict[str, Any] = {
    "schema": 2, "n": -1, "accuracy": 1.5, "log_loss": "low", "confusion": [[1, 2], [3]], "labels": "abc",
    "per_class": {"bus": 3}, "per_device": {"a": {"n": 1.5, "accuracy": 0.1}}, "seeds": ["x"], "split": 7,
    "unseen": {"n": 3, "accuracy": float("nan")},
}  # fmt: skip


@pytest.mark.parametrize("key", SPOILT)
def test_an_evaluation_with_a_spoilt_value_is_refused(key: str) -> None:
    with pytest.raises(BadInput):
        read_scores(evaluation(0) | {key: SPOILT[key]}, Path("evaluate.json"))


@pytest.mark.parametrize("document", [None, [], 3, {}, {"schema": 1}])
def test_what_is_no_evaluation_is_refused(document: Any) -> None:
    with pytest.raises(BadInput):
        read_scores(document, Path("evaluate.json"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("small/stages.json", "[]"),
        ("small/stages.json", '{"plan": {"budget_bytes": "4 KiB"}, "stages": []}'),
        ("small/evaluate.json", "{"),
        ("small/history.csv", "phase,epoch\n"),
        ("small/model.onnx", "no network"),
        ("export/parity.json", '{"rungs": [{"name": "tflm"}]}'),
        ("small/run.json", "{}"),
    ],
)
def test_a_spoilt_file_of_the_run_is_refused_by_name(runs: Path, name: str, content: str) -> None:
    (runs / name).write_text(content)
    if name.endswith(".onnx"):
        (runs / "export" / "model.onnx").write_text(content)
    with pytest.raises(BadInput) as error:
        read_story(runs / "small")
    assert Path(name).name in str(error.value)


def test_a_history_with_words_for_numbers_is_refused(runs: Path) -> None:
    path = runs / "small" / "history.csv"
    path.write_text(path.read_text().replace("prune,1,0.1,2.0", "prune,1,0.1,two"))
    with pytest.raises(BadInput, match="'two' is not a number"):
        read_story(runs / "small")


def test_numbers_that_are_not_finite_are_left_out_of_curves(runs: Path) -> None:
    path = runs / "small" / "history.csv"
    path.write_text(path.read_text().replace("prune,1,0.1,2.0", "prune,1,0.1,nan"))
    assert read_story(runs / "small").phases[1].epochs[0].train_loss is None


def test_confusion_counts_come_as_they_were_written() -> None:
    document = evaluation(5)
    assert [list(row) for row in read_scores(json.loads(json.dumps(document)), Path("x")).confusion] == document[
        "confusion"
    ]
