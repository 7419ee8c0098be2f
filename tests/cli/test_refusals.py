"""Bad input at the verbs that train and predict: one line, the right exit code, nothing half-written."""

from pathlib import Path

import numpy as np
import pytest

from edgeasc.cli import main

soundfile = pytest.importorskip("soundfile", reason="pip install 'edgeasc[audio]'")
pytest.importorskip("torch", reason="pip install 'edgeasc[train]'")


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit code and the one line of a call that fails."""
    code = main([*(str(argument) for argument in arguments), "--quiet"])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("edgeasc: error: ")
    return code, lines[0]


@pytest.fixture()
def copy(recordings: Path, tmp_path: Path) -> Path:
    """The recordings, links that a test may replace."""
    folder = tmp_path / "data"
    for source in recordings.glob("*/*.wav"):
        target = folder / source.parent.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return folder


def test_an_unknown_recipe_key_names_the_nearest(
    recordings: Path, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, line = refused(capsys, "train", recipe, "--data", recordings, "--set", "train.epoch=3", "--out", out)
    assert (code, "did you mean 'epochs'" in line, out.exists()) == (2, True, False)


def test_an_unknown_recipe_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = refused(capsys, "train", "bcresnet-mod-2", "--out", tmp_path / "run")
    assert (code, "did you mean 'bcresnet-mod-" in line) == (2, True)


def test_a_class_without_a_clip_is_named(
    copy: Path, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "silent").mkdir()
    code, line = refused(capsys, "train", recipe, "--data", copy, "--out", tmp_path / "run")
    assert (code, "'silent' has no clip" in line) == (3, True)


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "nan"])
def test_an_unreadable_recording_is_named(
    copy: Path, recipe: str, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "low" / "03.wav"
    if damage == "nan":
        soundfile.write(path, np.full(6_400, np.nan, np.float32), 16_000, subtype="FLOAT")
    else:
        path.write_bytes({"empty": b"", "truncated": path.read_bytes()[:30], "text": b"not audio at all"}[damage])
    out = tmp_path / "run"
    code, line = refused(capsys, "train", recipe, "--data", copy, "--cache", tmp_path / "cache", "--out", out)
    assert (code, "03.wav" in line) == (3, True)
    assert not list(tmp_path.glob("**/*.part"))
    assert not (out / "best.safetensors").exists()


def test_a_wrong_manifest_row_is_named_by_file_and_line(
    copy: Path, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = copy / "clips.csv"
    table.write_text("path,label\nlow/00.wav,low\nlow/01.wav\n")
    code, line = refused(capsys, "train", recipe, "--data", table, "--out", tmp_path / "run")
    assert (code, "clips.csv" in line, "line 3" in line) == (3, True, True)


def test_a_corrupted_checkpoint_is_refused(
    recordings: Path, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    common = ["--data", str(recordings), "--cache", str(tmp_path / "cache"), "--quiet"]
    assert main(["train", recipe, *common, "--out", str(out)]) == 0
    capsys.readouterr()
    (out / "best.safetensors").write_bytes(b"\xff" * 64)
    for verb in (["evaluate", out], ["compress", out, "--budget", "1100", "--out", tmp_path / "small"]):
        code, line = refused(capsys, *verb, "--data", recordings)
        assert (code, str(out) in line) == (3, True)
    assert not (tmp_path / "small").exists()


def test_predict_refuses_what_is_no_recording(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.tflite").write_bytes(b"no model")
    code, line = refused(capsys, "predict", tmp_path / "model.tflite", recordings / "low" / "00.wav")
    assert (code, "model.tflite" in line) == (3, True)
