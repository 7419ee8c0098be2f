"""A run under QEMU with deterministic counting: one instruction is one tick of the emulator's clock.

What comes out is counted instructions, never a latency: QEMU knows no pipeline, no wait states, no caches.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.mcu.boards import Board, find_board
from edgeasc.bench.mcu.firmware import Firmware, build
from edgeasc.errors import BadInput, MissingDependency, ResourceExhausted
from edgeasc.export.c.bundle import Bundle, parse_payload
from edgeasc.runtime.artefact import Artefact

EMULATOR = "qemu-system-arm"
INSTALL = "apt-get install qemu-system-arm"
HEADER = struct.Struct("<6I")
MAGIC = 0x45414D31
FAULT_STATUS = 99


@dataclass(frozen=True)
class Emulation:
    """Outputs [n, classes] int8, instructions of every layer for one run, and the most stack that was used."""

    outputs: NDArray[np.int8]
    layers: tuple[float, ...]
    stack_bytes: int

    @property
    def instructions(self) -> float:
        """Instructions of one inference."""
        return sum(self.layers)


def emulate(firmware: Firmware, board: Board, inputs: NDArray[np.int8], classes: int, timeout: float) -> Emulation:
    """Run `firmware` on int8 `inputs` [n, ...].

    Raises:
        MissingDependency: no emulator. ResourceExhausted: it crashed, hung or told nonsense.
    """
    (firmware.elf.parent / "inputs.bin").write_bytes(inputs.tobytes())
    run_emulator(firmware, board, timeout)
    return _read(firmware.elf.parent, len(inputs), classes, board)


def run_emulator(firmware: Firmware, board: Board, timeout: float) -> None:
    """Run `firmware` to its end in its own folder, whose files it reads and writes.

    Raises:
        MissingDependency: no emulator. ResourceExhausted: it crashed or hung.
    """
    emulator = shutil.which(EMULATOR)
    if emulator is None:
        raise MissingDependency(EMULATOR, f"not installed; {INSTALL}")
    folder = firmware.elf.parent
    command = [
        *_ends_with_us(), emulator, *_sandbox(emulator), "-M", board.machine,
        "-nographic", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native", "-icount", "shift=0", "-kernel", firmware.elf.name,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise ResourceExhausted(EMULATOR, f"{board.name}: no end within {timeout:g} s, ended") from None
    if done.returncode != 0:
        what = "the firmware faulted" if done.returncode == FAULT_STATUS else f"exit code {done.returncode}"
        last = done.stderr.decode(errors="replace").strip().splitlines()
        raise ResourceExhausted(EMULATOR, f"{board.name}: {what}{f' ({last[-1][:200]})' if last else ''}")


@cache
def _sandbox(emulator: str) -> tuple[str, ...]:
    """Options that keep the emulator from starting programs, which semihosting may ask for, where it has them."""
    options = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny")
    done = subprocess.run([emulator, *options, "-machine", "help"], capture_output=True, timeout=60, check=False)
    return options if done.returncode == 0 else ()


def _ends_with_us() -> list[str]:
    """What to put before a command so that it dies even where we are killed at once, on Linux with util-linux."""
    keeper = shutil.which("setpriv")
    return [keeper, "--pdeathsig", "KILL"] if keeper else []


def _read(folder: Path, clips: int, classes: int, board: Board) -> Emulation:
    outputs, report = ((folder / name).read_bytes() for name in ("outputs.bin", "report.bin"))
    if len(report) < HEADER.size or len(outputs) != clips * classes:
        raise ResourceExhausted(EMULATOR, f"{board.name}: the firmware wrote {len(outputs)} bytes of outputs")
    magic, runs, stack, known, ticks, layers = HEADER.unpack(report[: HEADER.size])
    if magic != MAGIC or runs != clips or ticks == 0 or len(report) != HEADER.size + 8 * layers:
        raise ResourceExhausted(EMULATOR, f"{board.name}: the firmware's report makes no sense")
    spent = np.frombuffer(report[HEADER.size :], "<u8") * (known / ticks) / runs
    return Emulation(np.frombuffer(outputs, np.int8).reshape(clips, classes), tuple(spent.tolist()), stack)


def bench_emulated(
    artefact: Artefact, name: str, inputs: NDArray[np.int8], *, optimise: str = "speed", timeout: float = 120.0
) -> tuple[dict[str, Any], NDArray[np.int8]]:
    """The row of one C artefact on the emulated core `name`, and its integers [n, classes].

    Raises:
        UsageError: no such core. MissingDependency: no cross compiler or emulator. CheckFailed: it does not fit.
        ResourceExhausted: the emulation failed.
    """
    board, bundle = find_board(name), parse_payload(artefact.payload)
    with tempfile.TemporaryDirectory(prefix="edgeasc-fw-") as place:
        firmware = build(bundle, board, Path(place), optimise)
        found = emulate(firmware, board, inputs, int(np.prod(bundle.facts["output"]["shape"])), timeout)
    return _row(artefact, bundle, board, firmware, found, len(inputs)), found.outputs


def _flash_by_role(bundle: Bundle, firmware: Firmware) -> dict[str, int]:
    """Flash bytes of the constants by what they are; the rest is code, the firmware's own included.

    Tables of the front end are there only where the firmware uses it.
    """
    told = bundle.facts.get("bytes_by_role")
    roles = {name: size for name, size in told.items() if name != "front end"} if isinstance(told, dict) else {}
    if not all(isinstance(size, int) for size in roles.values()):
        raise BadInput("C folder", "model.json is malformed (bytes_by_role)")
    return roles | {"code": firmware.flash_bytes - sum(roles.values())}


def _row(
    artefact: Artefact, bundle: Bundle, board: Board, firmware: Firmware, found: Emulation, runs: int
) -> dict[str, Any]:
    layers = [
        {"name": layer["name"], "op": layer["op"], "storage": layer["storage"], "macs": layer["macs"],
         "instructions": round(spent)}
        for layer, spent in zip(bundle.facts["layers"], found.layers, strict=True)
    ]  # fmt: skip
    return {
        "path": str(artefact.path or ""),
        "format": "c",
        "sha256": artefact.sha256,
        "target": f"qemu:{board.name}",
        "runtime": "edgeasc C",
        "version": firmware.compiler,
        "origin": "emulated",
        "runs": runs,
        "instructions": round(found.instructions),
        "macs": sum(layer["macs"] for layer in bundle.facts["layers"]),
        "flash_bytes": firmware.flash_bytes,
        "ram_bytes": firmware.ram_bytes,
        "arena_bytes": bundle.facts["arena_bytes"],
        "stack_bytes": found.stack_bytes,
        "sections": firmware.sections,
        "flash_by_role": _flash_by_role(bundle, firmware),
        "memory": board.chip if firmware.fits else f"the emulator's own: too large for {board.chip}",
        "layers": layers,
    }
