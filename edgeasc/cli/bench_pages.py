"""Benches of other machines, of TFLM and of an NPU compiler as paragraphs and tables."""

from __future__ import annotations

from typing import Any

from edgeasc.tables import Block, Table

Document = dict[str, Any]
_SLOWED = {True: "slowed down while measuring", False: "not slowed down", None: "says nothing of throttling"}


def remote_blocks(document: Document) -> list[Block]:
    """Latencies on other machines, one row per model and runtime, and what each machine is and how it fared."""
    rows, machines = [], {}
    for row in document["results"]:
        if "median_us" not in row:
            rows.append((row["path"], row["target"], row["runtime"], "", "", "", "", "", "", row["error"]))
            continue
        times = tuple(f"{row[key] / 1000:.3f}" for key in ("median_us", "p90_us", "p99_us"))
        seen = f"{row['target']}: {device_line(row['device'])}; {conditions_line(row['conditions'])}"
        machines[row["target"], row["runtime"], row["path"]] = seen
        rows.append(
            (row["path"], row["target"], row["runtime"], row["version"], *times, str(row["runs"]), equal_words(row),
             row["origin"])
        )  # fmt: skip
    headings = (
        "model", "target", "runtime", "version", ">median ms", ">p90 ms", ">p99 ms", ">runs", "equal to the reference",
        "origin",
    )  # fmt: skip
    return [Table(headings, rows, "Latency of one inference, batch 1"), *dict.fromkeys(machines.values())]


def equal_words(row: Document) -> str:
    """How many inputs gave the reference's integers, and how far the others lie."""
    if row.get("clips") is None:
        return "no graph to compare"
    found = f"{row['equal']}/{row['clips']}"
    return found if row["equal"] == row["clips"] else f"{found}, at most {row['max_steps']} steps"


def device_line(device: Document) -> str:
    """A machine in one line."""
    name = device["board"] or device["cpu"] or device["architecture"] or "a machine"
    cores = f"{device['usable_cores']:g} cores" if device["usable_cores"] else ""
    governor = f"governor {device['governor']}" if device["governor"] else ""
    parts = (name, cores, governor, device["distribution"] or device["system"], f"Python {device['python']}")
    return ", ".join(part for part in parts if part)


def conditions_line(conditions: Document) -> str:
    """Temperature and throttling in one line."""
    hottest = conditions["hottest_celsius"]
    heat = "no thermometer" if hottest is None else f"at most {hottest:.1f} degrees Celsius"
    return f"{heat}, {_SLOWED[conditions['throttled']]}"


def native_blocks(document: Document) -> list[Block]:
    """Our C on this machine, one row per model: arena, integers, sanitisers, time."""
    rows = []
    for row in document["results"]:
        if "error" in row:
            rows.append((row["path"], "", "", "", "", row["error"]))
            continue
        equal = "no graph to compare" if row["equal"] is None else f"{row['equal']}/{row['clips']}"
        checks = "address, undefined" if row["sanitised"] else "none here"
        arena, time = f"{row['arena_bytes']:,}", f"{row['median_us'] / 1000:.3f}"
        rows.append((row["path"], row["version"], arena, time, checks, equal))
    headings = ("model", "compiler", ">arena B", ">host ms", "sanitisers", "equal to the reference")
    title = "Generated C on this machine: integers under the sanitisers, time without them"
    return [Table(headings, rows, title)]


def arena_blocks(document: Document) -> list[Block]:
    """TFLM, one row per model: its arena, its integers, and this machine's time."""
    rows = []
    for row in document["results"]:
        if "median_us" not in row:
            rows.append((row["path"], "", "", "", row["error"]))
            continue
        arena = "" if row["arena_bytes"] is None else f"{row['arena_bytes']:,}"
        rows.append((row["path"], row["version"], arena, f"{row['median_us'] / 1000:.3f}", equal_words(row)))
    headings = ("model", "version", ">arena B", ">host ms", "equal to the reference")
    title = "TensorFlow Lite for Microcontrollers, timed on this machine and not on a chip"
    return [Table(headings, rows, title)]


def estimate_blocks(document: Document) -> list[Block]:
    """Estimates of an NPU, one row per model and unit, and the operators that it leaves to the core."""
    rows: list[tuple[str, ...]] = []
    for row in document["results"]:
        if "error" in row:
            rows.append((row["path"], row["target"], "", "", "", "", "", "", row["error"]))
            continue
        sizes = tuple(f"{row[key]:,}" for key in ("sram_bytes", "dram_bytes", "off_chip_flash_bytes"))
        left = len(row["cpu_operators"])
        rows.append(
            (row["path"], row["target"], f"{row['estimated_us'] / 1000:.3f}", f"{row['cycles']:,}", *sizes,
             f"{left} of {left + row['npu_operators']}", row["origin"])
        )  # fmt: skip
    headings = (
        "model", "target", ">ms", ">cycles", ">SRAM B", ">DRAM B", ">flash B", ">operators on the core", "origin",
    )  # fmt: skip
    blocks: list[Block] = [Table(headings, rows, "Estimated by Arm's compiler; nothing was executed")]
    for row in document["results"]:
        if row.get("cpu_operators"):
            fallen = [(each["name"], each["op"], each["why"]) for each in row["cpu_operators"]]
            title = f"{row['path']} on {row['target']}: left to the core, and not in the estimate"
            blocks.append(Table(("operator", "kind", "why"), fallen, title))
    return blocks
