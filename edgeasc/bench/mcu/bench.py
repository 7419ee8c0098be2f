"""`bench --target qemu:...`: the C of a model on an emulated core, its integers held against the numpy reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.errors import BadInput, EdgeascError, UsageError
from edgeasc.export.c.choice import DEFAULT, Optimise
from edgeasc.runtime.artefact import Artefact, c_artefact, read_artefact

CLIPS = 3


def bench_cores(
    paths: Iterable[Path],
    cores: Iterable[str],
    *,
    clips: int = CLIPS,
    optimise: Optimise = DEFAULT,
    timeout: float = 120.0,
    ram: int | None = None,
) -> dict[str, Any]:
    """Instructions, flash and RAM of every model on every emulated core.

    Args:
        paths: quantised `.onnx`, compressed runs or exported folders, whose C is written in memory; or folders of
            generated C, which are compiled as they are.
        cores: names of `boards.BOARDS`. clips: seeded inputs that are run. optimise: how weights are
            stored, and whether the compiler makes the code small. timeout: seconds per emulation.
        ram: most bytes of the arena, for C that is written here.

    Returns:
        {schema, target, machine, results, exit_code}: rows with `instructions` and `equal` (clips whose integers are
        those of the reference; None where there is no graph to compute it), or with `error` and `exit_code`.
    """
    rows = []
    for path in paths:
        for core in cores:
            try:
                rows.append(_measure(Path(path), core, clips, optimise, timeout, ram))
            except EdgeascError as error:
                rows.append(
                    {"path": str(path), "target": f"qemu:{core}", "error": str(error), "exit_code": error.exit_code}
                )
    failed = [int(row["exit_code"]) for row in rows if "error" in row]
    wrong = any(row.get("equal") not in (None, row.get("runs")) for row in rows)
    code = failed[0] if failed else int(wrong)
    return {"schema": 1, "target": "qemu", "machine": describe_machine(), "results": rows, "exit_code": code}


def _measure(path: Path, core: str, clips: int, optimise: Optimise, timeout: float, ram: int | None) -> dict[str, Any]:
    found = prepare(path, clips, optimise=optimise, ram=ram)
    row, outputs = bench_emulated(found.artefact, core, found.inputs, optimise=optimise, timeout=timeout)
    return row | found.judge(outputs)


@dataclass(frozen=True)
class Prepared:
    """The C of a model, int8 inputs [n, ...] for it, and the logits [n, classes] that the reference has for them."""

    artefact: Artefact
    inputs: NDArray[np.int8]
    expected: NDArray[np.int8] | None
    source: str

    def judge(self, outputs: NDArray[np.int8]) -> dict[str, Any]:
        """`equal`, the inputs whose every integer is the reference's (None without one), and where the C came from."""
        if self.expected is None:
            return {"equal": None, "source": self.source}
        return {"equal": int((outputs == self.expected).all(axis=1).sum()), "source": self.source}


def prepare(
    path: Path, clips: int, stored: bool = False, optimise: Optimise = DEFAULT, ram: int | None = None
) -> Prepared:
    """The model at `path` as C, with `clips` seeded inputs.

    Args:
        stored: where an exported folder has both `model.onnx` and `c/`, take its C instead of writing it again.
        ram: most bytes of the arena of C that is written here.

    Raises:
        CheckFailed: no plan gets below `ram`. UsageError: `ram` with C that is written already.
        BadInput: it has no C, or C that is none of ours: firmware under emulation can read and write files here.
    """
    artefact = read_artefact(path)
    if artefact.kind == "onnx":
        found = _from_graph(artefact, clips, optimise, ram)
        folder = path / "c"
        return replace(found, artefact=read_artefact(folder), source="file") if stored and folder.is_dir() else found
    if artefact.kind != "c":
        raise BadInput("bench", f"a {artefact.kind} model has no C; give its quantised .onnx or its run", path)
    if ram is not None:
        raise UsageError("--ram", f"{path} is written already; give its quantised .onnx or its run")
    from edgeasc.export.c.bundle import parse_payload
    from edgeasc.export.c.genuine import check_genuine

    given = parse_payload(artefact.payload)
    check_genuine(given)
    shape = given.facts["input"]["shape"]
    inputs = np.random.default_rng(0).integers(-128, 128, (clips, *shape[1:]), dtype=np.int8)
    return Prepared(artefact, inputs, None, "file")


def _from_graph(artefact: Artefact, clips: int, optimise: Optimise, ram: int | None) -> Prepared:
    from edgeasc.export.c.bundle import bundle
    from edgeasc.export.parity import random_inputs
    from edgeasc.graph.onnx_read import read_onnx
    from edgeasc.graph.reference import Reference

    graph = read_onnx(artefact.payload)
    inputs = random_inputs(graph, clips).inputs
    generated = replace(c_artefact(bundle(graph, optimise=optimise, ram=ram)), path=artefact.path)
    expected = Reference(graph).run(inputs)[graph.output].reshape(len(inputs), -1)
    return Prepared(generated, inputs, expected, "written from model.onnx")
