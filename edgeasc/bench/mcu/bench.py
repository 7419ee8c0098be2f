"""`bench --target qemu:...`: the C of a model on an emulated core, its integers held against the numpy reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.errors import BadInput, EdgeascError, UsageError
from edgeasc.export.c.bundle import parse_payload
from edgeasc.export.c.choice import DEFAULT, Optimise
from edgeasc.graph.model import IntegerGraph
from edgeasc.runtime.artefact import Artefact, c_artefact, read_artefact

CLIPS = 3


def bench_cores(
    paths: Iterable[Path],
    cores: Iterable[str],
    *,
    clips: int = CLIPS,
    optimise: Optimise | None = None,
    timeout: float = 120.0,
    ram: int | None = None,
) -> dict[str, Any]:
    """Instructions, flash and RAM of every model on every emulated core.

    Args:
        paths: quantised `.onnx` or compressed runs, whose C is written in memory; folders of generated C, which are
            compiled as they are; or exported folders, whose C is taken where they have some.
        cores: names of `boards.BOARDS`. clips: seeded inputs that are run. timeout: seconds per emulation.
        optimise, ram: how weights are stored and how small the compiler makes the code, and the most bytes of the
            arena. Either makes an exported folder's C be written anew.

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


def _measure(
    path: Path, core: str, clips: int, optimise: Optimise | None, timeout: float, ram: int | None
) -> dict[str, Any]:
    found = prepare(path, clips, optimise=optimise, ram=ram)
    row, outputs = bench_emulated(found.artefact, core, found.inputs, optimise=found.optimise, timeout=timeout)
    return row | found.judge(outputs)


@dataclass(frozen=True)
class Code:
    """The C of a model, the network that it computes where that is known, and what the C was optimised for."""

    artefact: Artefact
    graph: IntegerGraph | None
    optimise: Optimise
    source: str


def find_code(path: Path, optimise: Optimise | None = None, ram: int | None = None) -> Code:
    """The C of the model at `path`: that of a C folder, or of an exported folder that has some, as it lies there.

    Args:
        optimise, ram: how weights are stored, most bytes of the arena; with either, C is written anew.

    Raises:
        CheckFailed: no plan gets below `ram`. UsageError: a setting for C without its network.
        BadInput: it has no C, or C that is none of ours: firmware under emulation can read and write files here.
    """
    artefact = read_artefact(path)
    asked = optimise is not None or ram is not None
    if artefact.kind == "c":
        if asked:
            option = "--optimise" if ram is None else "--ram"
            raise UsageError(option, f"{path} is written already; give its quantised .onnx or its run")
        return _stored(artefact, None)
    if artefact.kind != "onnx":
        raise BadInput("bench", f"a {artefact.kind} model has no C; give its quantised .onnx or its run", path)
    from edgeasc.export.c.bundle import bundle
    from edgeasc.graph.onnx_read import read_onnx

    graph = read_onnx(artefact.payload)
    if (path / "c").is_dir() and not asked:
        return _stored(read_artefact(path / "c"), graph)
    optimise = optimise or DEFAULT
    written = replace(c_artefact(bundle(graph, optimise=optimise, ram=ram)), path=artefact.path)
    return Code(written, graph, optimise, "written from model.onnx")


def _stored(artefact: Artefact, graph: IntegerGraph | None) -> Code:
    from edgeasc.export.c.genuine import check_genuine

    given = parse_payload(artefact.payload)
    check_genuine(given)
    ports = {} if graph is None else {"input": graph[graph.input].shape, "output": graph[graph.output].shape}
    for port, shape in ports.items():
        found = given.facts[port]["shape"]
        if list(found) != list(shape):
            why = f"its {port} is {found}, that of model.onnx beside it {list(shape)}; export both again"
            raise BadInput("C folder", why, artefact.path)
    level: Any = given.facts.get("optimise")
    return Code(artefact, graph, level if level in get_args(Optimise) else DEFAULT, "file")


@dataclass(frozen=True)
class Prepared:
    """The C of a model, int8 inputs [n, ...] for it, and the logits [n, classes] that the reference has for them."""

    artefact: Artefact
    inputs: NDArray[np.int8]
    expected: NDArray[np.int8] | None
    source: str
    optimise: Optimise = DEFAULT

    def judge(self, outputs: NDArray[np.int8]) -> dict[str, Any]:
        """`equal`, the inputs whose every integer is the reference's (None without one), and where the C came from."""
        if self.expected is None:
            return {"equal": None, "source": self.source}
        return {"equal": int((outputs == self.expected).all(axis=1).sum()), "source": self.source}


def prepare(path: Path, clips: int, optimise: Optimise | None = None, ram: int | None = None) -> Prepared:
    """The model at `path` as C (see `find_code`), with `clips` seeded inputs.

    Raises:
        CheckFailed, UsageError, BadInput: as `find_code` says.
    """
    code = find_code(path, optimise, ram)
    if code.graph is None:
        shape = parse_payload(code.artefact.payload).facts["input"]["shape"]
        inputs = np.random.default_rng(0).integers(-128, 128, (clips, *shape[1:]), dtype=np.int8)
        return Prepared(code.artefact, inputs, None, code.source, code.optimise)
    from edgeasc.export.parity import random_inputs
    from edgeasc.graph.reference import Reference

    inputs = random_inputs(code.graph, clips).inputs
    expected = Reference(code.graph).run(inputs)[code.graph.output].reshape(len(inputs), -1)
    return Prepared(code.artefact, inputs, expected, code.source, code.optimise)
