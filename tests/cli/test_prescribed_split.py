"""Calls of primates through the line: lists decide, development clips are scored, clips without a label predicted."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeasc.cli.group import edgeasc
from edgeasc.data.primates import LABELS
from edgeasc.errors import UsageError

CLIPS = {"train": 20, "devel": 10, "test": 5}


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of five pitches, 0.2 to 0.4 s, in the layout of ComParE PRS; the labels of the test clips are withheld."""
    soundfile = pytest.importorskip("soundfile", reason="pip install 'edgeasc[audio]'")
    root: Path = tmp_path_factory.mktemp("prs")
    (root / "wav").mkdir()
    (root / "lab").mkdir()
    rng = np.random.default_rng(0)
    for name, count in CLIPS.items():
        rows = ["filename,label"]
        for number in range(count):
            label = number % len(LABELS)
            times = np.arange(rng.integers(3_200, 6_400)) / 16_000
            tone = 0.2 * np.sin(2 * np.pi * (400 + 900 * label) * times)
            soundfile.write(root / "wav" / f"{name}_{number}.wav", tone, 16_000)
            rows.append(f"{name}_{number}.wav,{'?' if name == 'test' else LABELS[label]}")
        (root / "lab" / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def trained(challenge: Path, recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run: Path = tmp_path_factory.mktemp("runs") / "prs"
    cache = str(tmp_path_factory.mktemp("cache"))
    result = call("train", recipe, "--data", str(challenge), "--out", str(run), "--cache", cache, "--quiet")
    assert result.exit_code == 0, result.exception
    return run


def call(*words: str) -> Result:
    return CliRunner().invoke(edgeasc, list(words))


def test_the_run_uses_the_lists(trained: Path) -> None:
    roles = [line.split(",")[2] for line in (trained / "split.csv").read_text().splitlines()[1:]]
    assert (roles.count("train"), roles.count("validation"), roles.count("test")) == (20, 10, 0)


def test_scores_are_those_of_the_development_clips_and_say_so(trained: Path, challenge: Path, tmp_path: Path) -> None:
    document = json.loads((trained / "evaluate.json").read_text())
    assert document["n"] == 10 and document["split"].startswith("validation clips (test: 5 without a label in prs")
    result = call("evaluate", str(trained), "--data", str(challenge), "--quiet", "--format", "json")
    again = json.loads(result.stdout)
    assert (again["n"], again["split"]) == (10, document["split"])


def test_every_clip_with_a_label_and_no_other_is_scored_on_demand(trained: Path, challenge: Path) -> None:
    result = call("evaluate", str(trained), "--data", str(challenge), "--all", "--quiet", "--format", "json")
    assert json.loads(result.stdout)["n"] == 30


def test_clips_without_a_label_are_predicted_to_a_file(trained: Path, challenge: Path, tmp_path: Path) -> None:
    result = call("predict", str(trained), "--data", str(challenge), "--out", str(tmp_path / "p.csv"), "--quiet")
    assert result.exit_code == 0, result.exception
    header, *rows = (tmp_path / "p.csv").read_text().splitlines()
    assert header == "filename,prediction"
    assert [row.split(",")[0] for row in rows] == [f"test_{number}.wav" for number in range(5)]
    assert {row.split(",")[1] for row in rows} <= set(LABELS)


def test_predicting_nothing_is_a_usage_error(trained: Path, recordings: Path) -> None:
    assert isinstance(call("predict", str(trained)).exception, UsageError)
    error = call("predict", str(trained), "--data", str(recordings)).exception
    assert isinstance(error, UsageError) and "have labels; `edgeasc evaluate` scores them" in str(error)
