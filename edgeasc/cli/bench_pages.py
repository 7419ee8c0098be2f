"""Benches elsewhere than here: machines behind ssh as paragraphs and tables."""

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
