"""This repository's own models are gated as a user's would be."""

import shutil
from pathlib import Path

import pytest

from edgeasc.audit.gate.run import check
from edgeasc.export.verify import verify_folder

ROOT = Path(__file__).parents[3]


def test_our_own_models_hold_their_limits() -> None:
    report = check(ROOT / "edgeasc.toml")
    assert report.passed, [item for model in report.models for item in model.checks if not item.passed]
    assert report.baseline is not None
    assert report.ratchet


def test_our_own_gate_looks_at_every_artefact_under_models() -> None:
    listed = {model.path for model in check(ROOT / "edgeasc.toml").models}
    shipped = {path.relative_to(ROOT).as_posix() for path in (ROOT / "models").rglob("*") if path.suffix in _SUFFIXES}
    assert listed == shipped
    assert listed


def test_our_own_gate_is_called_by_continuous_integration() -> None:
    assert "\nmake gate\n" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert "edgeasc check\n" in (ROOT / "Makefile").read_text("utf-8")


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_replaced_model_without_its_proof_would_fail(tmp_path: Path, suffix: str) -> None:
    shutil.copytree(ROOT / "models", tmp_path / "models")
    for name in ("edgeasc.toml", "edgeasc.baseline.json"):
        shutil.copy(ROOT / name, tmp_path / name)
    assert check(tmp_path / "edgeasc.toml").passed
    other = ROOT / "examples" / "budget-ci" / "models" / f"scene.{suffix}"
    shutil.copy(other, tmp_path / "models" / "scenes-demo" / "int8" / f"model.{suffix}")
    failed = [
        item.name for model in check(tmp_path / "edgeasc.toml").models for item in model.checks if not item.passed
    ]
    assert "parity" in failed


_SUFFIXES = (".tflite", ".onnx")


def test_our_own_export_still_verifies() -> None:
    document = verify_folder(ROOT / "models" / "scenes-demo" / "int8")
    assert document["passed"], document
