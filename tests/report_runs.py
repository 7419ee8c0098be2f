"""A compressed run with its float parent and its export, written without training: every number is seeded."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from edgeasc.export.dummy import dummy_graph
from edgeasc.files import write_json
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runs import Run, RunInfo, SplitRow
from edgeasc.specs import Recipe

LABELS = ("airport", "bus", "metro_station", "park")
DEVICES = ("a", "b", "s4")


def evaluation(seed: int, labels: tuple[str, ...] = LABELS) -> dict[str, Any]:
    """An evaluation document whose confusion matrix, shares and counts fit together."""
    random = np.random.default_rng(seed)
    confusion = random.integers(0, 6, (len(labels), len(labels))) + 14 * np.eye(len(labels), dtype=int)
    rows = confusion.sum(axis=1)
    hits, n = int(np.trace(confusion)), int(confusion.sum())
    shares = {
        label: {"n": int(rows[i]), "accuracy": float(confusion[i, i] / rows[i])} for i, label in enumerate(labels)
    }
    devices = {name: {"n": 20, "accuracy": float(random.integers(21)) / 20} for name in DEVICES}
    return {
        "schema": 1,
        "sha256": None,
        "split": "test clips (seeded)",
        "n": n,
        "seeds": [0],
        "input": "whole clip",
        "accuracy": hits / n,
        "macro_accuracy": float(np.mean([share["accuracy"] for share in shares.values()])),
        "log_loss": 1.25,
        "mean_average_precision": 0.5,
        "per_class": shares,
        "per_device": devices,
        "seen": {"n": 40, "accuracy": 0.7},
        "unseen": {"n": 20, "accuracy": 0.5},
        "labels": list(labels),
        "confusion": confusion.tolist(),
    }


def write_run(folder: Path, kind: str, parent: str | None = None, labels: tuple[str, ...] = LABELS) -> Run:
    """The text files of a run with six epochs."""
    recipe, run = Recipe.model_validate({"model": {"name": "bcresnet-mod-1"}}), Run(folder)
    data: dict[str, str | int | None] = {"name": "seeded scenes", "split": "by seed"}
    info = RunInfo(kind, recipe.digest, labels, (0,), 1, "complete", parent, None, data, {"python": "3.11"})  # type: ignore[arg-type]
    run.create(info, recipe, [SplitRow(f"clip{index}", "0" * 64, "test") for index in range(3)])
    phases = ("train",) if kind == "train" else ("prune", "quantize")
    for phase in phases:
        for epoch in range(1, 7):
            row = {"phase": phase, "epoch": epoch, "lr": 0.1, "train_loss": 2 / epoch, "train_accuracy": epoch / 10,
                   "sparsity": epoch / 12 if phase == "prune" else None, "seconds": 1.0, "finished": epoch}  # fmt: skip
            if phase == "train":
                row |= {"validation_log_loss": 2.1 / epoch, "validation_accuracy": epoch / 11}
            run.append_history(row)
    write_json(run.evaluate_file, evaluation(1 if kind == "train" else 2, labels))
    return run


def write_runs(tmp_path: Path) -> Path:
    """Fills a folder with the runs `float` and `small` and the export of the latter."""
    parent = write_run(tmp_path / "float", "train")
    tensors = {
        "conv.weight": np.array([[1.0, 0.0, 2.0]], np.float32),
        "bn.weight": np.ones(2, np.float32),
        "bn.running_var": np.ones(2, np.float32),
        "bn.num_batches_tracked": np.array(7, np.int64),
    }
    save_file(tensors, parent.best)
    small = write_run(tmp_path / "small", "compress", parent=str(parent.path))
    stages = [{"name": name, "evaluation": evaluation(seed)} for name, seed in (("float", 1), ("integers", 2))]
    plan = {"rule": "deployed", "budget_bytes": 4096}
    write_json(small.path / "stages.json", {"schema": 1, "plan": plan, "stages": stages})
    export = tmp_path / "export"
    export.mkdir()
    for folder in (small.path, export):
        (folder / "model.onnx").write_bytes(onnx_bytes(dummy_graph()))
    write_json(export / "parity.json", {"schema": 1, "rungs": [rung("tflm", True), rung("onnxruntime", None)]})
    return tmp_path


def rung(name: str, passed: bool | None) -> dict[str, Any]:
    """One line of a parity report."""
    return {"name": name, "against": "numpy reference", "clips": 240, "limit": "equal integers", "equal": 240,
            "max_steps": 0, "mean_logit": 0.0, "top1": 1.0, "passed": passed, "version": "1", "why": ""}  # fmt: skip
