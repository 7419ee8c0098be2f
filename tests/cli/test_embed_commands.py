"""From recordings to embeddings, a support vector machine on them, and pictures."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgeasc.cli import main
from edgeasc.embeddings import read_embeddings

for package, extra in {"soundfile": "audio", "torch": "train", "matplotlib": "report"}.items():
    pytest.importorskip(package, reason=f"pip install 'edgeasc[{extra}]'")


@pytest.fixture(scope="module")
def run(recordings: Path, recipe: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("embed")
    settings = ("--set", "train.epochs=1", "--cache", folder / "cache", "--quiet")
    arguments = ("train", recipe, "--data", recordings, "--out", folder / "run", *settings)
    assert main([str(argument) for argument in arguments]) == 0
    return folder / "run"


@pytest.fixture(scope="module")
def embedded(run: Path, recordings: Path) -> Path:
    path = run.parent / "emb.npz"
    arguments = ("embed", run, "--data", recordings, "--cache", run.parent / "cache", "--out", path, "--quiet")
    assert main([str(argument) for argument in arguments]) == 0
    return path


def test_embeddings_know_the_split_of_the_run(embedded: Path, run: Path) -> None:
    content = read_embeddings(embedded)
    rows = [line.split(",") for line in (run / "split.csv").read_text().splitlines()[1:]]
    assert {clip: role for clip, _, role in rows} == dict(
        zip(content.clips.tolist(), content.roles.tolist(), strict=True)
    )
    assert content.embeddings.shape == (60, 5)  # 2.5 c channels, c = 2
    assert content.names.tolist() == ["high", "low", "mid"]
    assert [clip.split("/")[0] for clip in content.clips] == content.names[content.labels].tolist()
    assert len(np.unique(content.embeddings, axis=0)) == 60


def test_the_machine_reports_and_its_matrix_is_drawn(
    embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["svm", str(embedded), "--out", str(tmp_path / "svm.json"), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((tmp_path / "svm.json").read_text())
    assert document["n"] + document["n_learnt"] == 60
    assert main(["svm", str(embedded)]) == 0
    assert f"C = {document['C']:g}" in capsys.readouterr().out
    assert main(["plot", str(tmp_path / "svm.json"), "--out", str(tmp_path / "svm.svg"), "--quiet"]) == 0
    assert (tmp_path / "svm.svg").read_text().startswith("<?xml")


def test_a_run_and_its_embeddings_are_drawn(embedded: Path, run: Path, tmp_path: Path) -> None:
    assert main(["plot", str(run), "--out", str(tmp_path / "run.png"), "--quiet"]) == 0
    assert main(["plot", str(embedded), "--role", "train", "--out", str(tmp_path / "emb.png"), "--quiet"]) == 0
    for name in ("run.png", "emb.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_what_is_no_report_is_refused(embedded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.json").write_text("[1]")
    assert main(["plot", str(tmp_path / "list.json"), "--out", str(tmp_path / "x.svg")]) == 3
    assert "no confusion matrix" in capsys.readouterr().err
    assert main(["svm", str(tmp_path / "list.json")]) == 3
    assert main(["embed", str(tmp_path), "--out", str(tmp_path / "e.npz")]) == 3
    assert not (tmp_path / "e.npz").exists()


def test_a_text_is_no_embeddings_and_numpy_is_not_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.npz"
    path.write_text("no arrays here")
    assert main(["svm", str(path)]) == 3
    assert capsys.readouterr().err.strip().endswith("notes.npz: not a file of `edgeasc embed`")


def test_without_data_the_recordings_of_the_run_are_asked_for(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["embed", str(run), "--out", str(tmp_path / "e.npz")]) == 2
    assert "say where these recordings are" in capsys.readouterr().err


def test_a_file_that_svm_and_plot_would_not_know_is_refused(run: Path, tmp_path: Path) -> None:
    assert main(["embed", str(run), "--out", str(tmp_path / "e.txt")]) == 2
    assert not (tmp_path / "e.txt").exists()
