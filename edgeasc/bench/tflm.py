"""`bench --target tflm`: TensorFlow Lite for Microcontrollers on this machine, for its arena and its integers.

The interpreter is the one that chips run, compiled for this machine with the reference kernels. Its arena is what it
asks for here, with pointers of 64 bits; its time is this machine's and says nothing of a chip's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgeasc.bench.agreement import Expected, agreement, expected_of
from edgeasc.bench.lanes import Lane, exit_code, lanes_of, report_row, seeded_item, take_turns
from edgeasc.bench.machine import describe_machine, load_average
from edgeasc.runtime.catalogue import find_runtime
from edgeasc.runtime.runner import ChildRunner, open_runner

NOTE = "timed on this machine, not on a chip"
RUNS, WARMUP, CLIPS = 20, 2, 3


def bench_tflm(
    paths: Iterable[Path], *, runs: int = RUNS, warmup: int = WARMUP, clips: int = CLIPS, timeout: float = 120.0
) -> dict[str, Any]:
    """Arena bytes, agreement with the numpy reference and host time of every model in TFLM, in a child process.

    Args:
        paths: `.tflite`, or a quantised `.onnx`, a compressed run or an exported folder, whose TFLite is written.
        clips: seeded inputs that are compared. timeout: seconds for every request.

    Returns:
        {schema, target, machine, results, exit_code}: rows with `arena_bytes` and `equal`, or with `error` and
        `exit_code`. In form `int8` every input has to give equal integers, or the document's `exit_code` is 1.

    Raises:
        BadInput: a path that is no model.
    """
    machine = describe_machine()
    lanes = [lane for path in paths for lane in lanes_of(Path(path), ("tflm",))]

    def start(lane: Lane) -> None:
        if lane.artefact is None:
            return
        find_runtime(lane.runtime)
        runner = open_runner(lane.artefact, lane.runtime, timeout=timeout)
        if isinstance(runner, ChildRunner):
            lane.runner, lane.item = runner, seeded_item(runner)
            lane.more = _facts(runner, expected_of(lane.path, clips))

    take_turns(lanes, start, runs, warmup)
    machine["load_average_after"] = load_average()
    rows = [report_row(lane, "tflm", warmup, 1) | {"clock": NOTE} for lane in lanes]
    wrong = any(row.get("form") == "int8" and row["equal"] != row["clips"] for row in rows)
    return {
        "schema": 1,
        "target": "tflm",
        "machine": machine,
        "results": rows,
        "exit_code": exit_code(rows) or int(wrong),
    }


def _facts(runner: ChildRunner, expected: Expected | None) -> dict[str, Any]:
    """What the row of a model says beside its time."""
    arena = {name: runner.notes.get(name) for name in ("arena_bytes", "arena_head_bytes", "arena_tail_bytes")}
    return arena | agreement(runner, expected) | {"form": expected.form if expected else None}
