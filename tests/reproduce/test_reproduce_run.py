"""A whole small table: trained, stopped and gone on with, pooled, and written beside the printed figures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeasc.errors import UsageError
from edgeasc.files import read_json
from edgeasc.reproduce.plan import Choice, jobs
from edgeasc.reproduce.sources import find_recordings
from edgeasc.reproduce.table_run import OpenTable, reproduce
from edgeasc.reproduce.tables import parse_table
from edgeasc.tables import as_text
from edgeasc.train.progress import Progress


class Told(Progress):
    """Keeps the notes; with `stop_at` it interrupts that run as Ctrl-C does."""

    def __init__(self, stop_at: str = "") -> None:
        self.notes: list[str] = []
        self.stop_at = stop_at

    def note(self, text: str) -> None:
        self.notes.append(text)

    def step(self) -> None:
        if self.stop_at and self.notes[-1].startswith(self.stop_at):
            raise KeyboardInterrupt


def opened(document: dict[str, Any], data: Path, out: Path, choice: Choice | None = None) -> OpenTable:
    table, choice = parse_table(document, "toy"), choice or Choice()
    found = find_recordings("toy", table, [data], stand_in=False)
    return OpenTable("toy", table, choice, found, jobs(table, found, choice, out), out)


def test_a_stopped_table_goes_on_and_shows_printed_beside_here(
    toy_document: dict[str, Any], tone_folds: Path, tmp_path: Path
) -> None:
    table = opened(toy_document, tone_folds, tmp_path / "out")
    assert [job.words for job in table.jobs] == [
        "small, Tones, fold 1, seed 0",
        "wide, Tones, fold 1, seed 0",
        "small, Tones, fold 2, seed 0",
        "wide, Tones, fold 2, seed 0",
    ]
    with pytest.raises(KeyboardInterrupt):
        reproduce(table, Told("== run 2 of 4"))
    part = read_json(tmp_path / "out" / "table.json", "table")
    assert not part["complete"] and [run["done"] for run in part["rows"][1]["runs"]] == [True, False]
    first = (table.jobs[0].folder / "best.safetensors").read_bytes()

    later = Told()
    document = reproduce(table, later)
    assert [note.split(":")[0] for note in later.notes if note.startswith("==")] == [
        "== run 2 of 4", "== run 3 of 4", "== run 4 of 4"
    ]  # fmt: skip
    assert (table.jobs[0].folder / "best.safetensors").read_bytes() == first
    assert document["complete"] and document == read_json(tmp_path / "out" / "table.json", "table")

    small = document["rows"][1]["cells"][0]
    scores = [read_json(job.folder / "evaluate.json", "evaluation") for job in table.jobs if job.row.name == "small"]
    assert small["printed"] == {"test_accuracy": "91.25"}
    assert small["here"]["test_accuracy"]["n"] == 24 and small["here"]["test_accuracy"]["folds"] == [1, 2]
    assert small["here"]["test_accuracy"]["value"] == pytest.approx(sum(s["accuracy"] for s in scores) / 2)
    assert document["rows"][0]["cells"][0]["here"] == {"parameters": None, "test_accuracy": None}
    assert document["rows"][2]["cells"][0]["here"]["parameters"] > small["here"]["parameters"] > 100

    text = as_text(table.blocks(document))
    assert "Tones accuracy %, printed" in text and "Tones accuracy %, here" in text
    assert "Runs: 4 of 4 finished; seeds 0; held-out folds 1, 2" in text
    assert "others' system: its code is not here" in text and "QUICK" not in text
    assert str(tmp_path) not in json.dumps(document)
    assert (tmp_path / "out" / "table.md").read_text().startswith("**Toy table**")


def test_quick_takes_the_first_fold_and_says_so(toy_document: dict[str, Any], tone_folds: Path, tmp_path: Path) -> None:
    table = opened(toy_document, tone_folds, tmp_path / "out", Choice(quick=True, rows=("small",)))
    document = reproduce(table, Told())
    assert [(job.fold, job.recipe.train.epochs) for job in table.jobs] == [(1, 1)]
    text = as_text(table.blocks(document))
    assert "QUICK: shortened, not the paper's schedule" in text and "Changed for all rows: train.epochs=1" in text


def test_a_folder_with_runs_of_other_settings_is_refused(
    toy_document: dict[str, Any], tone_folds: Path, tmp_path: Path
) -> None:
    choice = Choice(quick=True, rows=("small",))
    reproduce(opened(toy_document, tone_folds, tmp_path / "out", choice), Told())
    other = replace(choice, settings=("train.lr=0.01",))
    with pytest.raises(UsageError, match="a run with other settings lies here; choose another --out"):
        reproduce(opened(toy_document, tone_folds, tmp_path / "out", other), Told())


def test_more_seeds_are_added_to_what_is_there(toy_document: dict[str, Any], tone_folds: Path, tmp_path: Path) -> None:
    choice = Choice(quick=True, rows=("small",))
    reproduce(opened(toy_document, tone_folds, tmp_path / "out", choice), Told())
    told = Told()
    document = reproduce(opened(toy_document, tone_folds, tmp_path / "out", replace(choice, seeds=(0, 1))), told)
    assert [note for note in told.notes if note.startswith("==")] == ["== run 2 of 2: small, Tones, fold 1, seed 1"]
    here = document["rows"][1]["cells"][0]["here"]["test_accuracy"]
    assert here["seeds"] == [0, 1] and here["sd"] is not None and here["n"] == 12


def test_a_fold_that_does_not_exist_is_a_usage_error(
    toy_document: dict[str, Any], tone_folds: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"9 asked for; .* has 1, 2"):
        opened(toy_document, tone_folds, tmp_path / "out", Choice(folds=(9,)))


def test_a_row_that_does_not_exist_is_a_usage_error(
    toy_document: dict[str, Any], tone_folds: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no row 'wibe'; did you mean 'wide'"):
        opened(toy_document, tone_folds, tmp_path / "out", Choice(rows=("wibe",)))
