"""The whole job in one call: recordings and a budget in, a proven and measured classifier out.

Everything here is done by the rooms; a second call with the same folder goes on where the first one stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeasc.audit import audit
from edgeasc.bench.host import bench_host
from edgeasc.compress.run import Request, compress_run
from edgeasc.data.clips import Dataset
from edgeasc.data.split import split
from edgeasc.export.artefacts import ONNX, TFLITE, export_artefacts
from edgeasc.files import read_json, write_json
from edgeasc.runs import Run
from edgeasc.specs import Recipe
from edgeasc.train.progress import Progress
from edgeasc.train.run import train_run

SCHEMA = 1
SCENES_RECIPE, RECORDINGS_RECIPE = "scenes-demo", "esc10"
BUDGET = "4KiB"  # binds: the dense network has 6,215 weights and 925 biases of 4 bytes


@dataclass
class _Clock:
    """Seconds of every part of the job."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str, say: Callable[[str], None]) -> Iterator[None]:
        say(f"== {name}")
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 1)


def run_demo(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    budget: int,
    *,
    fold: int | None = None,
    progress: Progress | None = None,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Train, compress, export, audit and measure; everything stays in the folder `out`.

    Returns:
        {schema, data, split, recipe, budget, stages, parameters, audit, parity, bench, seconds, passed}, also
        written to `out/demo.json`. `passed` says whether the budget and the parity ladder hold.

    Raises:
        UsageError: `out` holds the demo of other data or settings. CheckFailed: an impossible budget, missed parity.
    """
    progress, clock = progress or Progress(), _Clock()
    parts = split(dataset, fold, recipe.data.validation, recipe.train.seed)
    floats, small, export = out / "float", out / "compressed", out / "export"
    with clock.part("train", progress.note):
        train_run(recipe, dataset, parts, floats, resume=True, progress=progress, cache=cache)
    with clock.part("compress", progress.note):
        request = Request(budget=budget, resume=True)
        compressed = compress_run(floats, dataset, small, request, progress=progress, cache=cache)
    with clock.part("export and parity", progress.note):
        exported = export_artefacts(small, export)
    with clock.part("audit", progress.note):
        report = audit([export / TFLITE, export / ONNX], budget)
    with clock.part("bench", progress.note):
        latency = bench_host([floats, export / TFLITE, export / ONNX])
    document = {
        "schema": SCHEMA,
        "data": dataset.name,
        "split": parts.rule,
        "recipe": recipe.model_dump(mode="json"),
        "budget": budget,
        "stages": [{"name": stage.name, **stage.evaluation} for stage in compressed.stages],
        "parameters": _parameters(Run(small)),
        "audit": report.to_json(),
        "parity": exported["parity"],
        "bench": latency,
        "seconds": clock.seconds,
        "passed": report.passed and exported["parity"]["passed"],
    }
    write_json(out / "demo.json", document)
    return document


def _parameters(run: Run) -> dict[str, int]:
    """Parameters of the network before folding: all, and those that the pruning mask kept."""
    tensors = read_json(run.inventory, "inventory")["tensors"]
    return {key: sum(tensor[key] for tensor in tensors) for key in ("total", "kept")}
