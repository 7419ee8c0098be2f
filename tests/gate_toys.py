"""Small repositories for the gate's tests: the example's models, a configuration, and evidence about the models."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from edgeasc.audit.gate.document import Check, GateReport, ModelGate
from edgeasc.audit.gate.run import check

EXAMPLE = Path(__file__).parents[1] / "examples" / "budget-ci"
SCENE = "models/scene.tflite"


def repository(folder: Path, limits: str = "", head: str = "", entry: str = "") -> Path:
    """A repository whose one model is the example's; the path of its configuration."""
    (folder / "models").mkdir(exist_ok=True)
    shutil.copy(EXAMPLE / SCENE, folder / SCENE)
    text = f'{head}\n[[models]]\npath = "{SCENE}"\n{entry}\n[models.limits]\n{limits}\n'
    (folder / "edgeasc.toml").write_text(text, encoding="utf-8")
    return folder / "edgeasc.toml"


def grow(folder: Path) -> None:
    """Replace the model by the one of the example's pull request: `stage4.1.pw` nine times its size."""
    shutil.copy(EXAMPLE / "pull-request" / "scene.tflite", folder / SCENE)


def only(report: GateReport) -> ModelGate:
    """The one model of a report."""
    (model,) = report.models
    return model


def checks(config: Path, **options: Any) -> dict[str, Check]:
    """The verdicts on the one model, by title."""
    return {item.title: item for item in only(check(config, **options)).checks}


def digest(folder: Path) -> str:
    """sha256 of the model."""
    return hashlib.sha256((folder / SCENE).read_bytes()).hexdigest()


def write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")


def evaluation(folder: Path, **changes: Any) -> dict[str, Any]:
    """An evaluation of the model, as `edgeasc evaluate --format json` writes it, beside it."""
    document: dict[str, Any] = {
        "schema": 1,
        "sha256": digest(folder),
        "split": "test: fold 1",
        "n": 200,
        "seeds": [0],
        "accuracy": 0.7,
        "macro_accuracy": 0.69,
        "log_loss": 0.9,
        "per_class": {"bus": {"accuracy": 0.8, "n": 100}, "park": {"accuracy": 0.6, "n": 100}},
        "per_device": {"a": {"accuracy": 0.9, "n": 60}, "s5": {"accuracy": 0.55, "n": 140}},
    } | changes
    write_json(folder / "models" / "evaluate.json", document)
    return document


def export(folder: Path, passed: dict[str, bool | None]) -> None:
    """A parity report and its manifest beside the model; `passed` by runtime."""
    rungs = [{"name": name, "against": "numpy reference", "passed": state} for name, state in passed.items()]
    report = folder / "models" / "parity.json"
    write_json(report, {"schema": 1, "inputs": "clips", "clips": 200, "rungs": rungs, "passed": True})
    files = [
        {"name": "scene.tflite", "bytes": 1, "sha256": digest(folder)},
        {"name": "parity.json", "bytes": 1, "sha256": hashlib.sha256(report.read_bytes()).hexdigest()},
    ]
    write_json(folder / "models" / "manifest.json", {"schema": 1, "kind": "export", "files": files})


def bench(folder: Path, *rows: dict[str, Any], target: str = "host") -> None:
    """A bench document about the model."""
    own = {"sha256": digest(folder), "target": target, "origin": "measured"}
    write_json(
        folder / "models" / "bench.json", {"schema": 1, "target": target, "results": [own | row for row in rows]}
    )
