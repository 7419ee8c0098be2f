"""`bench --target vela:ethos-u55-128`: what Arm's compiler for its NPUs estimates. An estimate: nothing is executed.

The compiler is native code that reads files from strangers, so it runs in a process of its own, with a limit on its
memory and its time. Operators that it leaves to the core beside the NPU are listed; its estimate leaves them out.
"""

from __future__ import annotations

import csv
import importlib.util
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgeasc.bench.lanes import lanes_of
from edgeasc.bench.machine import describe_machine
from edgeasc.errors import BadInput, EdgeascError, MissingDependency, ResourceExhausted, UsageError
from edgeasc.runtime.artefact import Artefact
from edgeasc.specs import nearest

MODEL = "Arm's model of the NPU in ethos-u-vela; nothing was executed, and operators on the core are not in it"
MEMORY_BYTES = 4 * 1024**3
_RUN = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:
    pass
from ethosu.vela.vela import main
sys.exit(main(sys.argv[2:]))
"""
_WARNING = re.compile(r"Warning \(supported operators\) operator: (\S+), ofm: '([^']*)'\nReason: ([^\n]*)")


@dataclass(frozen=True)
class Unit:
    """An NPU as vela names it, and the surroundings that Arm's own configuration file describes for it."""

    name: str
    system: str
    memory: str


UNITS = {
    unit.name: unit
    for unit in (
        *(Unit(f"ethos-u55-{n}", "Ethos_U55_High_End_Embedded", "Shared_Sram") for n in (32, 64, 128, 256)),
        *(Unit(f"ethos-u65-{n}", "Ethos_U65_High_End", "Dedicated_Sram") for n in (256, 512)),
        *(
            Unit(f"ethos-u85-{n}", "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_512KB")
            for n in (128, 256, 512, 1024, 2048)
        ),
    )
}


def find_unit(name: str) -> Unit:
    """The NPU called `name`.

    Raises:
        UsageError: vela knows none of this name.
    """
    if name not in UNITS:
        known = ", ".join(UNITS)
        raise UsageError("--target", f"vela:{name} is not known{nearest(name, list(UNITS))}; known: {known}")
    return UNITS[name]


def bench_vela(paths: Iterable[Path], units: Iterable[str], *, timeout: float = 120.0) -> dict[str, Any]:
    """Arm's estimate of every model on every NPU.

    Args:
        paths: `.tflite`, or a quantised `.onnx`, a compressed run or an exported folder, whose TFLite is written.
        units: names in `UNITS`. timeout: seconds per compilation.

    Returns:
        {schema, target, machine, results, exit_code}: rows of origin `estimated` with `estimated_us`, `cycles`, bytes
        by memory and `cpu_operators`, or with `error` and `exit_code`.

    Raises:
        UsageError: an unknown NPU. BadInput: a path that is no model.
    """
    found, rows = [find_unit(name) for name in units], []
    for path in paths:
        lane = lanes_of(Path(path), ("tflm",))[0]
        for unit in found:
            try:
                if lane.error is not None or lane.artefact is None:
                    raise lane.error or BadInput("vela", "no TFLite form", path)
                rows.append(_row(path, unit, lane.artefact, lane.source, timeout))
            except EdgeascError as error:
                row = {"path": str(path), "target": f"vela:{unit.name}", "runtime": "ethos-u-vela", "origin": None}
                rows.append(row | {"error": str(error), "exit_code": error.exit_code})
    code = max((int(row["exit_code"]) for row in rows if "error" in row), default=0)
    return {"schema": 1, "target": "vela", "machine": describe_machine(), "results": rows, "exit_code": code}


def _row(path: Path, unit: Unit, artefact: Artefact, source: str, timeout: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="edgeasc-vela-") as place:
        said = _compile(Path(place), unit, artefact, timeout)
        summary = _only(Path(place) / "out", "*_summary_*.csv")
        layers = _only(Path(place) / "out", "*_per-layer.csv")
        numbers = parse_summary(summary)
        operators = parse_operators(layers, said)
    on_core = [row for row in operators if row["target"] == "CPU"]
    return {
        "path": str(path),
        "format": "tflite",
        "source": source,
        "sha256": artefact.sha256,
        "target": f"vela:{unit.name}",
        "runtime": "ethos-u-vela",
        "version": metadata.version("ethos-u-vela"),
        "origin": "estimated",
        "model": MODEL,
        "system_config": unit.system,
        "memory_mode": unit.memory,
        **numbers,
        "npu_operators": len(operators) - len(on_core),
        "cpu_operators": [{key: row[key] for key in ("name", "op", "why")} for row in on_core],
    }


def _compile(folder: Path, unit: Unit, artefact: Artefact, timeout: float) -> str:
    """Run vela on `artefact` into `folder/out`; what it printed.

    Raises:
        MissingDependency: it is not installed. BadInput: it refuses the model. ResourceExhausted: it died or hung.
    """
    if importlib.util.find_spec("ethosu") is None:
        raise MissingDependency("vela", "ethos-u-vela is not installed; pip install 'edgeasc[mcu]'")
    (folder / "model.tflite").write_bytes(artefact.payload)
    command = [
        sys.executable, "-P", "-c", _RUN, str(MEMORY_BYTES), "model.tflite", "--accelerator-config", unit.name,
        "--config", "Arm/vela.ini", "--system-config", unit.system, "--memory-mode", unit.memory,
        "--verbose-performance", "--output-dir", "out",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise ResourceExhausted("vela", f"no end within {timeout:g} s, ended", artefact.path) from None
    said, complaint = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    lines = [line.strip() for line in f"{said}\n{complaint}".splitlines() if line.strip()]
    last = lines[-1][:200] if lines else "no reason given"
    if done.returncode < 0:
        raise ResourceExhausted("vela", f"the compiler died with signal {-done.returncode} ({last})", artefact.path)
    if done.returncode != 0:
        raise BadInput("vela", f"refused: {last}", artefact.path)
    return said


def _only(folder: Path, pattern: str) -> Path:
    """The one file that vela wrote.

    Raises:
        ResourceExhausted: none, or several.
    """
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ResourceExhausted("vela", f"wrote {len(found)} files {pattern}")
    return found[0]


def parse_summary(path: Path) -> dict[str, Any]:
    """Time in microseconds, cycles, clock and bytes from vela's summary, whose memory is in KiB.

    Raises:
        ResourceExhausted: not such a file.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            row = next(csv.DictReader(file))
        kibibytes = {
            "sram_bytes": "sram_memory_used",
            "dram_bytes": "dram_memory_used",
            "on_chip_flash_bytes": "on_chip_flash_memory_used",
            "off_chip_flash_bytes": "off_chip_flash_memory_used",
        }
        return {
            "estimated_us": round(_real(row["inference_time"]) * 1e6, 3),
            "cycles": round(_real(row["cycles_total"])),
            "clock_hz": round(_real(row["core_clock"])),
            "macs": round(_real(row["nn_macs"])),
            "weight_bytes": round(_real(row["total_original_weights"])),
            "encoded_weight_bytes": round(_real(row["total_npu_encoded_weights"])),
            **{name: round(1024 * _real(row[column])) for name, column in kibibytes.items()},
        }
    except (OSError, StopIteration, KeyError, TypeError, ValueError) as error:
        raise ResourceExhausted("vela", f"its summary makes no sense ({error!r})") from None


def parse_operators(path: Path, said: str) -> list[dict[str, str]]:
    """Operators with `name`, `op`, `target` (NPU or CPU) and, on the CPU, `why`, from vela's table and its warnings.

    Raises:
        ResourceExhausted: not such a file.
    """
    reasons = {(op.lower(), name): why for op, name, why in _WARNING.findall(said)}
    rows = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                op, name = row["Original Operator"], row["Name"]
                why = reasons.get((op.lower(), name), "no reason given") if row["Target"] == "CPU" else ""
                rows.append({"name": name, "op": op, "target": row["Target"], "why": why})
    except (OSError, KeyError, AttributeError, ValueError) as error:
        raise ResourceExhausted("vela", f"its table of operators makes no sense ({error!r})") from None
    return rows


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{text!r} is no amount")
    return value
