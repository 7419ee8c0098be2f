"""`bench --target serial:PORT`: the C of a model on a board that runs our firmware, its integers held against ours.

The firmware is built and flashed by the user (see examples/firmware); here it is only asked. On silicon it counts
cycles of the core; a board that is emulated is recognised by its clock and told as such.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.bench import CLIPS, Prepared, prepare
from edgeasc.bench.mcu.serial_link import ANSWER_SECONDS, OUTPUT, RUN_SECONDS, TICKS, Board, Port, SerialLink, open_port
from edgeasc.errors import BadInput, EdgeascError, ResourceExhausted
from edgeasc.export.c.bundle import Bundle, parse_payload
from edgeasc.export.c.identity import build_hash

BAUD = 115200


def bench_boards(
    paths: Iterable[Path],
    ports: Iterable[str],
    *,
    clips: int = CLIPS,
    baud: int = BAUD,
    timeout: float = RUN_SECONDS,
    answer_seconds: float = ANSWER_SECONDS,
    connect: Callable[[str, int], Port] = open_port,
) -> dict[str, Any]:
    """Cycles, flash and RAM of every model on the board at every port.

    Args:
        paths: as `bench_cores` takes them; the board has to run the firmware of that very C. Of an exported folder it
            is the C that lies there, with the reference's logits of its `model.onnx`.
        ports: devices such as `/dev/ttyACM0`. baud: of the line. clips: seeded inputs that are run.
        timeout: seconds for one inference. answer_seconds: for any other answer, before it is asked for again.

    Returns:
        {schema, target, machine, results, exit_code}: rows with `cycles` (or `instructions`, of an emulated board) and
        `equal`, or with `error` and `exit_code`.
    """

    def ask(path: Path, name: str) -> dict[str, Any]:
        found = prepare(path, clips)
        with contextlib.closing(connect(name, baud)) as port:
            link = SerialLink(port, name, answer_seconds=answer_seconds, run_seconds=timeout)
            return _measure(found, path, name, link)

    rows = []
    for path in map(Path, paths):
        for name in ports:
            try:
                rows.append(ask(path, name))
            except EdgeascError as error:
                row = {"path": str(path), "target": f"serial:{name}", "error": str(error), "exit_code": error.exit_code}
                rows.append(row)
    failed = [int(row["exit_code"]) for row in rows if "error" in row]
    wrong = any(row.get("equal") not in (None, row.get("runs")) for row in rows)
    code = failed[0] if failed else int(wrong)
    return {"schema": 1, "target": "serial", "machine": describe_machine(), "results": rows, "exit_code": code}


def _measure(found: Prepared, path: Path, name: str, link: SerialLink) -> dict[str, Any]:
    bundle = parse_payload(found.artefact.payload)
    board = link.hello()
    check_board(board, bundle, name)
    outputs, ticks, stack = _run(link, board, found.inputs)
    unit, spent_by = cost(board, ticks)
    counted = spent_by.mean(axis=0)
    layers = [
        {
            "name": layer["name"],
            "op": layer["op"],
            "storage": layer["storage"],
            "macs": layer["macs"],
            unit: round(spent),
        }
        for layer, spent in zip(bundle.facts["layers"], counted.tolist(), strict=True)
    ]
    total = round(float(counted.sum()))
    micro = spent_by.sum(axis=1) * (1e6 / board.clock_hz) if unit == "cycles" and board.clock_hz else None
    times = {} if micro is None else {"median_us": _us(micro, 50), "p90_us": _us(micro, 90)}
    return {
        "path": str(found.artefact.path or path),
        "format": "c",
        "sha256": found.artefact.sha256,
        "target": f"serial:{name}",
        "runtime": "edgeasc C",
        "version": board.compiler,
        "origin": "emulated" if board.emulated else "measured",
        "board": board.name,
        "build": board.build,
        "counter": board.counter,
        "runs": len(found.inputs),
        unit: total,
        "clock_hz": board.clock_hz,
        **times,
        "macs": sum(layer["macs"] for layer in bundle.facts["layers"]),
        "flash_bytes": board.flash_bytes,
        "arena_bytes": board.arena_bytes,
        "stack_bytes": stack,
        "layers": layers,
        **found.judge(outputs),
    }


def check_board(board: Board, bundle: Bundle, name: str) -> None:
    """Whether the board runs the C of `bundle`, and says of it what is true.

    Raises:
        BadInput: it runs another. ResourceExhausted: with the right build, sizes that cannot be.
    """
    expected, facts = build_hash(bundle.files), bundle.facts
    if board.build != expected:
        why = f"the board runs build {board.build or 'unknown'}, this model's C is {expected}"
        raise BadInput("serial", f"{why}; flash its firmware, or give the C folder that was flashed", name)
    said = (board.input_bytes, board.output_bytes, board.layers)
    real = (*(int(np.prod(facts[port]["shape"])) for port in ("input", "output")), len(facts["layers"]))
    if said != real:
        raise ResourceExhausted("serial", f"garbage: sizes {said} of a network that has {real}", name)


def _us(times: NDArray[np.float64], percentile: int) -> float:
    return round(float(np.percentile(times, percentile)), 1)


def _run(link: SerialLink, board: Board, inputs: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.float64], int]:
    """Logits [n, classes], ticks [n, layers], the most stack used in bytes."""
    outputs, ticks, stack = [], [], 0
    for item in inputs:
        link.feed(item.tobytes())
        stack = link.run()
        outputs.append(np.frombuffer(link.read(OUTPUT, board.output_bytes), np.int8))
        ticks.append(np.frombuffer(link.read(TICKS, 8 * board.layers), "<u8").astype(np.float64))
    return np.stack(outputs), np.stack(ticks), stack


def cost(board: Board, ticks: NDArray[np.float64]) -> tuple[str, NDArray[np.float64]]:
    """What the ticks are, and how many: cycles of a core, or instructions where a clock of an emulator counts them."""
    if board.emulated:
        return "instructions", ticks * (board.known_instructions / board.known_ticks)
    return "cycles", ticks
