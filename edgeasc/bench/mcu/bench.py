"""`bench --target qemu:...`: the C of a model on an emulated core, its integers held against the numpy reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.errors import BadInput, EdgeascError
from edgeasc.runtime.artefact import Artefact, c_artefact, read_artefact

CLIPS = 3


def bench_cores(
    paths: Iterable[Path], cores: Iterable[str], *, clips: int = CLIPS, optimise: str = "speed", timeout: float = 120.0
) -> dict[str, Any]:
    """Instructions, flash and RAM of every model on every emulated core.

    Args:
        paths: quantised `.onnx`, compressed runs or exported folders, whose C is written in memory; or folders of
            generated C, which are compiled as they are.
        cores: names of `boards.BOARDS`. clips: seeded inputs that are run. timeout: seconds per emulation.

    Returns:
        {schema, target, machine, results, exit_code}: rows with `instructions` and `equal` (clips whose integers are
        those of the reference; None where there is no graph to compute it), or with `error` and `exit_code`.
    """
    rows = []
    for path in paths:
        for core in cores:
            try:
                rows.append(_measure(Path(path), core, clips, optimise, timeout))
            except EdgeascError as error:
                rows.append(
                    {"path": str(path), "target": f"qemu:{core}", "error": str(error), "exit_code": error.exit_code}
                )
    failed = [int(row["exit_code"]) for row in rows if "error" in row]
    wrong = any(row.get("equal") not in (None, row.get("runs")) for row in rows)
    code = failed[0] if failed else int(wrong)
    return {"schema": 1, "target": "qemu", "machine": describe_machine(), "results": rows, "exit_code": code}


def _measure(path: Path, core: str, clips: int, optimise: str, timeout: float) -> dict[str, Any]:
    artefact = read_artefact(path)
    if artefact.kind == "onnx":
        return _from_graph(artefact, core, clips, optimise, timeout)
    if artefact.kind != "c":
        raise BadInput("bench", f"a {artefact.kind} model has no C; give its quantised .onnx or its run", path)
    from edgeasc.export.c.bundle import parse_payload
    from edgeasc.export.c.genuine import check_genuine

    given = parse_payload(artefact.payload)
    check_genuine(given)  # firmware under emulation can read and write files here
    shape = given.facts["input"]["shape"]
    inputs = np.random.default_rng(0).integers(-128, 128, (clips, *shape[1:]), dtype=np.int8)
    row, _ = bench_emulated(artefact, core, inputs, optimise=optimise, timeout=timeout)
    return row | {"equal": None}


def _from_graph(artefact: Artefact, core: str, clips: int, optimise: str, timeout: float) -> dict[str, Any]:
    from edgeasc.export.c.bundle import bundle
    from edgeasc.export.parity import random_inputs
    from edgeasc.graph.onnx_read import read_onnx
    from edgeasc.graph.reference import Reference

    graph = read_onnx(artefact.payload)
    inputs = random_inputs(graph, clips).inputs
    generated = replace(c_artefact(bundle(graph)), path=artefact.path)
    row, outputs = bench_emulated(generated, core, inputs, optimise=optimise, timeout=timeout)
    expected = Reference(graph).run(inputs)[graph.output].reshape(len(inputs), -1)
    return row | {"equal": int((outputs == expected).all(axis=1).sum()), "source": "written from model.onnx"}
