"""Latency on this machine: every runtime in its own process, taking turns, so that a busy moment hits all alike.

A runtime that dies on a model is a row that says so; the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgeasc.bench.lanes import WARMUP, Lane, exit_code, lanes_of, report_row, seeded_item, take_turns
from edgeasc.bench.machine import describe_machine, load_average
from edgeasc.errors import UsageError
from edgeasc.runtime.catalogue import RUNTIMES, find_runtime
from edgeasc.runtime.runner import ChildRunner, open_runner


def bench_host(
    paths: Path | Iterable[Path],
    runtimes: Iterable[str] | None = None,
    *,
    runs: int = 200,
    warmup: int = WARMUP,
    threads: int = 1,
    timeout: float = 120.0,
) -> dict[str, Any]:
    """Latency of batch 1 in microseconds for every model and runtime.

    Args:
        paths: `.onnx`, `.tflite`, run folders or exported folders. A run folder is measured in torch (float), and its
            quantised ONNX in ONNX Runtime and, written as TFLite in memory, in the TFLite runtimes.
        runtimes: names of `runtime.catalogue`; by default those of `lanes.HOST_RUNTIMES` that read the model.
        runs: timed runs per runtime, in ten turns. warmup: runs before them that are thrown away.
        threads: of every runtime.

    Returns:
        {schema, target, machine, results, exit_code}: one row per model and runtime, with `median_us` and its kin, or
        with `error` and `exit_code`. The document's `exit_code` is 0 when something was measured and no runtime that
        is installed failed.

    Raises:
        UsageError: a number out of range or an unknown runtime. BadInput: a path that is no model.
    """
    if runs < 1 or warmup < 0 or threads < 1:
        raise UsageError("bench", f"needs runs >= 1, warmup >= 0, threads >= 1; found {runs}, {warmup}, {threads}")
    wanted = None if runtimes is None else tuple(runtimes)
    for name in wanted or ():
        if name not in RUNTIMES or not RUNTIMES[name].native:
            raise UsageError("runtime", f"{name!r} cannot be timed; known: {', '.join(_native())}")
    machine = describe_machine()
    lanes = [lane for path in ([paths] if isinstance(paths, Path) else paths) for lane in lanes_of(Path(path), wanted)]
    take_turns(lanes, lambda lane: _start(lane, threads, timeout), runs, warmup)
    machine["load_average_after"] = load_average()
    results = [report_row(lane, "host", warmup, threads) for lane in lanes]
    return {"schema": 1, "target": "host", "machine": machine, "results": results, "exit_code": exit_code(results)}


def _native() -> list[str]:
    return [name for name, runtime in RUNTIMES.items() if runtime.native]


def _start(lane: Lane, threads: int, timeout: float) -> None:
    if lane.artefact is None:
        return
    find_runtime(lane.runtime)
    # Generated C is timed as it would be shipped, not under the sanitisers that parity runs it with.
    options = {"sanitise": False} if lane.runtime == "native-c" else {}
    runner = open_runner(lane.artefact, lane.runtime, threads=threads, timeout=timeout, **options)
    if isinstance(runner, ChildRunner):
        lane.runner = runner
        lane.item = seeded_item(runner)
