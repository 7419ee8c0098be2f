"""One runtime on one artefact on its way to a row of a latency report: what is run, turn by turn, and what it took.

The machine that runs it is whoever opens the runner: this one, or one behind ssh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput, EdgeascError, MissingDependency, UsageError
from edgeasc.runs import Run
from edgeasc.runtime.artefact import Artefact, read_artefact, read_run, tflite_artefact
from edgeasc.runtime.catalogue import RUNTIMES
from edgeasc.runtime.runner import ChildRunner

HOST_RUNTIMES = ("onnxruntime", "litert", "tflite-runtime", "torch")
ROUNDS = 10
WARMUP = 20


@dataclass
class Lane:
    """One runtime on one artefact, from loading to its row in the report."""

    path: Path
    runtime: str
    artefact: Artefact | None = None
    runner: ChildRunner | None = None
    error: EdgeascError | None = None
    source: str = "file"
    item: NDArray[Any] = field(default_factory=lambda: np.empty(0))
    spent: list[NDArray[np.int64]] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    after_turn: Callable[[], None] | None = None
    more: dict[str, Any] = field(default_factory=dict)  # what else its row says

    def attempt(self, step: Callable[[], None]) -> None:
        """Do `step`; a failure becomes this lane's row and ends its process."""
        try:
            step()
        except EdgeascError as error:
            self.error = error
            if self.runner is not None:
                self.runner.close()


def lanes_of(path: Path, wanted: tuple[str, ...] | None, possible: Sequence[str] = HOST_RUNTIMES) -> list[Lane]:
    """Which artefact of `path` goes into which runtime.

    Args:
        wanted: what the user asks for; one that cannot run this model is a lane with an error. None takes all of
            `possible` that can.
    """
    first = read_artefact(path)
    found = {first.kind: first}
    if first.kind == "onnx" and path.is_dir() and (path / "model.tflite").is_file():
        found["tflite"] = read_artefact(path / "model.tflite")
    is_run, is_float = Run(path).exists, first.metadata.get("edgeasc.form") == "float"
    lowers = "onnx" in found and (wanted is not None or (path.is_dir() and not is_float))
    lanes = []
    for name in possible if wanted is None else wanted:
        kind = RUNTIMES[name].reads[0]
        if kind == "run" and is_run:
            lanes.append(_float_lane(path, name))
        elif kind in found:
            lanes.append(Lane(path, name, found[kind]))
        elif kind == "tflite" and lowers:
            lanes.append(_lowered(path, name, found["onnx"]))
        elif wanted is not None:
            lanes.append(Lane(path, name, error=UsageError("runtime", f"{name} does not run {_words(first)}", path)))
    if not lanes:
        raise UsageError("bench", f"none of {', '.join(possible)} runs {_words(first)}", path)
    return lanes


def _words(artefact: Artefact) -> str:
    """A model by its kind; what else to do with generated C, which only its own targets run."""
    if artefact.kind != "c":
        return artefact.kind
    return "generated C; for that: --target native-c, qemu:cortex-m4 or serial:PORT"


def _float_lane(path: Path, runtime: str) -> Lane:
    """A lane for the float network of a run: its own, or that of the run it was compressed from."""
    lane = Lane(path, runtime, source="float network of the trained run")

    def open_run() -> None:
        info = Run(path).info()
        lane.artefact = read_run(path if info.kind == "train" or info.parent is None else Path(info.parent))

    lane.attempt(open_run)
    return lane


def _lowered(path: Path, runtime: str, artefact: Artefact) -> Lane:
    """A lane for the TFLite form of a quantised ONNX, written in memory."""
    from edgeasc.export.tflite import tflite_bytes
    from edgeasc.graph.onnx_read import read_onnx

    lane = Lane(path, runtime, source="written from model.onnx")

    def lower() -> None:
        lane.artefact = tflite_artefact(tflite_bytes(read_onnx(artefact.payload)), path)

    lane.attempt(lower)
    return lane


def take_turns(lanes: Sequence[Lane], start: Callable[[Lane], None], runs: int, warmup: int) -> None:
    """Start every lane and time `runs` runs in each, a tenth at a time, so that a busy moment hits all alike.

    A lane that fails keeps its error and the others go on; all runners are closed at the end.
    """
    try:
        for lane in lanes:
            lane.attempt(lambda lane=lane: start(lane))  # type: ignore[misc]
        for _ in range(rounds := min(ROUNDS, runs)):
            for lane in lanes:
                if lane.error is None:
                    lane.attempt(lambda lane=lane: _turn(lane, warmup, -(-runs // rounds)))  # type: ignore[misc]
    finally:
        for lane in lanes:
            if lane.runner is not None:
                lane.runner.close()


def _turn(lane: Lane, warmup: int, runs: int) -> None:
    if lane.runner is None:
        return
    if not lane.spent and warmup:
        lane.runner.time(lane.item, warmup)
    lane.probes.append(lane.runner.probe())
    lane.runner.time(lane.item, 1)  # the probe has filled the caches with its own data
    lane.spent.append(lane.runner.time(lane.item, runs))
    if lane.after_turn is not None:
        lane.after_turn()


def seeded_item(runner: ChildRunner) -> NDArray[Any]:
    """One seeded input of the model's own size [1, 1, n_mels, n_frames]."""
    shape = list(runner.input_shape)
    if 0 in shape and runner.features is not None and runner.clip_seconds is not None and len(shape) == 3:
        spec = runner.features
        shape[1:] = [spec.n_mels, spec.n_frames(round(runner.clip_seconds * spec.sample_rate))]
    if not shape or 0 in shape:
        raise BadInput("model", "the input has an open size and no front end says which", runner.artefact.path)
    random = np.random.default_rng(0)
    if runner.input is not None:
        return random.integers(-128, 128, (1, *shape)).astype(np.int8)
    return random.normal(-4.0, 2.0, (1, *shape)).astype(np.float32)


def report_row(lane: Lane, target: str, warmup: int, threads: int) -> dict[str, Any]:
    """The lane as a row of a report: `median_us` and its kin, or `error` and `exit_code`."""
    row: dict[str, Any] = {
        "path": str(lane.path),
        "format": lane.artefact.kind if lane.artefact else None,
        "source": lane.source,
        "sha256": lane.artefact.sha256 if lane.artefact else None,
        "target": target,
        "runtime": lane.runtime,
        "origin": "measured",
    }
    if lane.error is not None:
        missing = isinstance(lane.error, MissingDependency)
        return row | {
            "origin": None,
            "error": lane.error.why if target == "host" else str(lane.error),  # elsewhere also a line by itself
            "exit_code": lane.error.exit_code,
            "installed": not missing,
        }
    spent = np.concatenate(lane.spent) / 1000.0
    percentiles = np.percentile(spent, [50, 90, 99])
    return row | {
        "version": lane.runner.version if lane.runner else "",
        "notes": lane.runner.notes if lane.runner else {},
        "threads": threads,
        "warmup": warmup,
        "runs": len(spent),
        "median_us": round(float(percentiles[0]), 3),
        "p90_us": round(float(percentiles[1]), 3),
        "p99_us": round(float(percentiles[2]), 3),
        "min_us": round(float(spent.min()), 3),
        "probe_gflops": round(float(np.median(lane.probes)), 2),
        "probe_gflops_range": [round(min(lane.probes), 2), round(max(lane.probes), 2)],
        **lane.more,
    }


def exit_code(results: list[dict[str, Any]]) -> int:
    """The worst failure of an installed runtime; 4 where nothing is installed."""
    failures = [int(row["exit_code"]) for row in results if row.get("installed", False)]
    if failures:
        return max(failures)
    return 0 if any("median_us" in row for row in results) else MissingDependency.exit_code
