"""`bench --target native-c`: the C of a model on this machine, its integers under the sanitisers, its time without.

An access outside the arena, a signed overflow or a shift too far ends the run under the sanitisers, as a row that says
so, where a chip would go on with wrong numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine, load_average
from edgeasc.bench.mcu.bench import Prepared, prepare
from edgeasc.errors import EdgeascError
from edgeasc.export.c.choice import Optimise
from edgeasc.runtime.runner import ChildRunner, Runner, open_runner

RUNS, WARMUP, CLIPS = 20, 2, 3


def bench_native_c(
    paths: Iterable[Path],
    *,
    clips: int = CLIPS,
    runs: int = RUNS,
    optimise: Optimise | None = None,
    ram: int | None = None,
    timeout: float = 120.0,
) -> dict[str, Any]:
    """Integers under the address and undefined-behaviour sanitisers, and host time without them, of every model's C.

    Args:
        paths: as `bench_cores` takes them. clips: seeded inputs that are run. runs: timed runs.
        optimise, ram: how C that is written here is made.
        timeout: seconds for every request, the compiler's included.

    Returns:
        {schema, target, machine, results, exit_code}: rows with `equal` (clips whose integers are the reference's; None
        without a graph), `sanitised`, `arena_bytes` and `median_us`, or with `error` and `exit_code`.
    """
    machine, rows = describe_machine(), []
    for path in paths:
        try:
            rows.append(_row(Path(path), prepare(Path(path), clips, optimise=optimise, ram=ram), runs, timeout))
        except EdgeascError as error:
            rows.append({"path": str(path), "target": "native-c", "error": str(error), "exit_code": error.exit_code})
    machine["load_average_after"] = load_average()
    failed = max((int(row["exit_code"]) for row in rows if "error" in row), default=0)
    wrong = any(row.get("equal") not in (None, row.get("clips")) for row in rows)
    return {
        "schema": 1,
        "target": "native-c",
        "machine": machine,
        "results": rows,
        "exit_code": failed or int(wrong),
    }


def _row(path: Path, found: Prepared, runs: int, timeout: float) -> dict[str, Any]:
    with open_runner(found.artefact, "native-c", timeout=timeout) as runner:
        outputs = _integers(runner, found.inputs)
        notes, compiler = runner.notes, runner.version
    with open_runner(found.artefact, "native-c", timeout=timeout, sanitise=False) as runner:
        assert isinstance(runner, ChildRunner)
        runner.time(found.inputs[:1], WARMUP)
        spent = runner.time(found.inputs[:1], runs) / 1000.0
    return {
        "path": str(path),
        "format": "c",
        "sha256": found.artefact.sha256,
        "target": "native-c",
        "runtime": "edgeasc C",
        "version": compiler,
        "origin": "measured",
        "clock": "timed on this machine, without the sanitisers",
        "runs": runs,
        "median_us": round(float(np.median(spent)), 3),
        "min_us": round(float(spent.min()), 3),
        "clips": len(found.inputs),
        "sanitised": bool(notes.get("sanitised")),
        "arena_bytes": notes.get("arena_bytes"),
        **found.judge(outputs),
    }


def _integers(runner: Runner, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
    """The runner's logits [n, classes] back on the output's grid."""
    assert runner.output is not None
    logits = runner.predict(inputs) / np.float32(runner.output.scale)
    return (np.rint(logits) + runner.output.zero_point).astype(np.int8)
