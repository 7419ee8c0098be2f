"""`bench --target ssh://user@host`: latency on a Linux machine, in the runtimes that it has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgeasc.bench.agreement import Expected, agreement, expected_of
from edgeasc.bench.lanes import WARMUP, Lane, exit_code, lanes_of, report_row, seeded_item, take_turns
from edgeasc.bench.machine import describe_machine
from edgeasc.bench.remote.address import Address
from edgeasc.bench.remote.connection import RemoteRunner, ask_facts
from edgeasc.bench.remote.facts import hottest, throttled
from edgeasc.errors import EdgeascError, MissingDependency, UsageError

REMOTE_RUNTIMES = ("tflite-runtime", "litert", "onnxruntime", "tflite-reference")
CLIPS = 3


def bench_remote(
    paths: Iterable[Path],
    addresses: Iterable[Address],
    runtimes: Iterable[str] | None = None,
    *,
    runs: int = 200,
    warmup: int = WARMUP,
    threads: int = 1,
    clips: int = CLIPS,
    python: str = "python3",
    config: Path | None = None,
    name: str | None = None,
    timeout: float = 120.0,
) -> dict[str, Any]:
    """Latency of batch 1 in microseconds of every model on every machine, in a process of its own per runtime.

    Args:
        paths: `.onnx` (which also goes as TFLite, written in memory), `.tflite`, compressed runs or exported folders.
        runtimes: names of `REMOTE_RUNTIMES`; by default those that the machine has.
        clips: seeded inputs on which the answers are compared with the numpy reference.
        python: the interpreter there. config: a configuration file for ssh in place of the user's own.
        name: what the rows call the machine, such as a target of `audit`, whose estimate they then replace.
        timeout: seconds for every request.

    Returns:
        {schema, target, machine, results, exit_code}: rows with `median_us`, the `device`, its `conditions`, and how
        many inputs were `equal` to the reference, or with `error` and `exit_code`. `machine` is this one.

    Raises:
        UsageError: a number out of range or an unknown runtime. BadInput: a path that is no model.
    """
    if runs < 1 or warmup < 0 or threads < 1 or clips < 1:
        raise UsageError("bench", f"needs runs, threads, clips >= 1, warmup >= 0; found {runs}, {threads}, {clips}")
    wanted = None if runtimes is None else tuple(runtimes)
    for runtime in wanted or ():
        if runtime not in REMOTE_RUNTIMES:
            raise UsageError("runtime", f"{runtime!r} does not run over ssh; known: {', '.join(REMOTE_RUNTIMES)}")
    places = list(addresses)
    if name is not None and len(places) > 1:
        raise UsageError("--as", f"{name!r} cannot stand for {len(places)} machines")
    rows: list[dict[str, Any]] = []
    expected = {path: expected_of(path, clips) for path in paths}
    for address in places:
        try:
            device = ask_facts(address, python, config)
            lanes = [lane for path in expected for lane in _lanes(path, wanted, device, address)]
        except EdgeascError as error:
            rows += [_failure(path, address, error) for path in expected]
            continue

        def start(lane: Lane, address: Address = address) -> None:
            if lane.artefact is not None:
                lane.runner = runner = RemoteRunner(
                    lane.artefact, lane.runtime, address, threads=threads, timeout=timeout, python=python, config=config
                )
                _prepare(lane, runner, expected[lane.path])

        take_turns(lanes, start, runs, warmup)
        here = {"address": str(address), "device": device}
        rows += [report_row(lane, name or str(address), warmup, threads) | here for lane in lanes]
    for row in rows:
        if samples := row.pop("samples", None):
            row["conditions"] = summary(samples)
    return {
        "schema": 1,
        "target": "ssh",
        "machine": describe_machine(),
        "results": rows,
        "exit_code": exit_code(rows) or int(any(_wrong(row) for row in rows)),
    }


def _lanes(path: Path, wanted: tuple[str, ...] | None, device: dict[str, Any], address: Address) -> list[Lane]:
    """What the device runs of the model at `path`.

    Raises:
        MissingDependency: it has no runtime for it.
    """
    present = [name for name in REMOTE_RUNTIMES if name in device["runtimes"]]
    lanes = lanes_of(path, wanted, present) if wanted else _possible(path, present)
    if not lanes:
        raise MissingDependency(
            str(address), "has no runtime for this model; there: pip install 'numpy<2' tflite-runtime, or onnxruntime"
        )
    return lanes


def _possible(path: Path, present: list[str]) -> list[Lane]:
    """Every runtime in `present` that runs the model in the form it has, or written as TFLite."""
    lanes = lanes_of(path, tuple(present)) if present else []
    return [lane for lane in lanes if not isinstance(lane.error, UsageError)]


def _prepare(lane: Lane, runner: RemoteRunner, expected: Expected | None) -> None:
    """Compare its answers, note how the device fares before the first turn, and again after every one."""
    lane.item = seeded_item(runner)
    samples = [runner.conditions()]
    lane.more = agreement(runner, expected) | {"form": expected.form if expected else None, "samples": samples}
    lane.after_turn = lambda: samples.append(runner.conditions())


def summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Conditions before and after, the highest temperature, and whether the device was slowed down meanwhile."""
    return {
        "before": samples[0],
        "after": samples[-1],
        "hottest_celsius": hottest(samples),
        "throttled": throttled(samples),
    }


def _wrong(row: dict[str, Any]) -> bool:
    """Reference kernels of form `int8` have to give the reference's integers."""
    exact = row["runtime"] == "tflite-reference" and row.get("form") == "int8"
    return exact and row.get("equal") != row.get("clips")


def _failure(path: Path, address: Address, error: EdgeascError) -> dict[str, Any]:
    return {
        "path": str(path),
        "target": str(address),
        "runtime": "",
        "origin": None,
        "error": str(error),
        "exit_code": error.exit_code,
        "installed": True,
    }
