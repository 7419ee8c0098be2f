"""`edgeasc reproduce`: exit codes, the plan, and a published table on stand-in recordings with tiny networks."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgeasc.cli import main
from edgeasc.cli.group import edgeasc
from edgeasc.errors import BadInput, UsageError

TINY = (
    "model.options.samples=4096",
    'model.options.factors="4 4"',
    "model.options.channels=2",
    "model.options.embedding=8",
    "model.options.layers=1",
    "model.options.heads=2",
    "data.clip_seconds=0.256",
    "features.sample_rate=16000",
    "train.epochs=1",
)


def run(*words: str) -> Result:
    return CliRunner().invoke(edgeasc, ["reproduce", *words], catch_exceptions=True)


def tiny(*words: str) -> list[str]:
    return [*words, *(part for setting in TINY for part in ("--set", setting))]


def test_an_unknown_table_is_a_usage_error() -> None:
    error = run("gmme-table9").exception
    assert isinstance(error, UsageError) and "unknown table 'gmme-table9'; did you mean" in str(error)


def test_without_data_it_says_where_to_get_them() -> None:
    error = run("primates-table3").exception
    assert isinstance(error, BadInput) and error.exit_code == 3
    assert "ComParE 2021 PRS" in str(error) and "lab/train.csv" in str(error)


def test_other_recordings_are_refused(recordings: Path) -> None:
    error = run("gmme-table1", "--data", str(recordings)).exception
    assert isinstance(error, BadInput) and "not the paper's recordings (3 classes)" in str(error)


@pytest.mark.parametrize("seeds", ["a", "", "1,,2", "-1", "²"])
def test_seeds_are_numbers(seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "gmme-table1", "--seeds", seeds]) == 2
    assert "--seeds" in (said := capsys.readouterr().err) and "is not a list of numbers" in said


def test_the_plan_lists_the_runs_and_trains_nothing(recordings: Path, tmp_path: Path) -> None:
    words = ("gmme-table1", "--stand-in", "--data", str(recordings), "--seeds", "0,1", "--plan", "--format", "json")
    result = run(*words, "--quiet", "--out", str(tmp_path / "out"))
    runs = json.loads(result.stdout)["runs"]
    assert len(runs) == 8 and {one["variant"] for one in runs} == {"esc-50"}
    assert {one["recipe"]["train"]["epochs"] for one in runs} == {3500}
    assert not (tmp_path / "out").exists()


def test_a_published_table_on_stand_in_recordings(recordings: Path, tmp_path: Path) -> None:
    words = ["gmme-table1", "--quick", "--stand-in", "--data", str(recordings), "--out", str(tmp_path / "out")]
    result = run(*tiny(*words, "--cache", str(tmp_path / "cache"), "--row", "N_c = 8", "--row", "AA"))
    assert result.exit_code == 0, result.exception
    assert "not comparable" in result.stdout and "QUICK" in result.stdout and "91.25" in result.stdout
    document = json.loads((tmp_path / "out" / "table.json").read_text())
    assert document["complete"] and document["recordings"][0]["comparable"] is False
    measured = [row["cells"][0]["here"]["test_accuracy"] for row in document["rows"]]
    assert [one is not None for one in measured] == [True, True, False, False]
    again = ["--set", "train.lr=0.5", "--row", "AA", "--quiet"]
    assert main(["reproduce", *tiny(*words, *again)]) == 2  # other settings there


def test_an_ablation_on_stand_in_recordings(recordings: Path, tmp_path: Path) -> None:
    words = ["primates-table3", "--quick", "--stand-in", "--data", str(recordings), "--out", str(tmp_path / "out")]
    small = ["model.options.width=0.03125", "train.iterations=4", "train.evaluate_every=2", "data.clip_seconds=0.4"]
    settings = [part for setting in (*small, "features.hop_length=80") for part in ("--set", setting)]
    result = run(
        *words, *settings, "--row", "no-bal", "--cache", str(tmp_path / "cache"), "--format", "json", "--quiet"
    )
    assert result.exit_code == 0, result.exception
    cells = json.loads(result.stdout)["rows"][0]["cells"]
    assert [cell["variant"] for cell in cells] == ["resnet22-8k", "cnn10-16k"]
    for cell in cells:
        assert 0 <= cell["here"]["devel_macro_accuracy"]["value"] <= 1 and cell["printed"]["devel_macro_accuracy"]
