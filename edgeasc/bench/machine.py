"""What a measurement was made on: processor, system, load, versions. Only what can be read without special rights."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from edgeasc.runs import installed_versions


def describe_machine() -> dict[str, Any]:
    """Processor, cores, governor, load and versions; a value that cannot be read here is None."""
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "logical_cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "mhz": _cpu_field("cpu MHz"),
        "load_average": load_average(),
        "system": f"{platform.system()} {platform.release()}",
        "versions": installed_versions(),
    }


def load_average() -> list[float] | None:
    """Mean number of running processes over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _cpu_model() -> str | None:
    return _cpu_field("model name") or _cpu_field("Model") or platform.processor() or None


def _cpu_field(name: str) -> str | None:
    """The first value of `name` in /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except OSError:
        return None
