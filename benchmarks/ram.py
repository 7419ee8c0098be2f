"""Arena against instructions: the same network in less and less RAM, on an emulated core.

    python benchmarks/ram.py NAME=RUN... [--core cortex-m4] [--shares 0.75 0.5 0.4 0.33] [--clips 3]

For each network: as a whole, then with the arena limited to each share of that, then at the smallest arena that the
planner finds. Every run's integers are held against the numpy reference. `extra_by_model` is what the planner believed
a plan to cost (export/c/work.py), beside what was counted. Writes benchmarks/results/<date>-ram.json and .md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.boards import BOARDS
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.export.artefacts import read_source
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.lower import lower
from edgeasc.export.c.ram import Search
from edgeasc.export.c.strips import Plan
from edgeasc.export.parity import random_inputs
from edgeasc.files import write_json, write_text
from edgeasc.graph.count import count
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.reference import run
from edgeasc.runtime.artefact import c_artefact
from edgeasc.tables import Table, as_markdown

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="NAME=RUN", help="compressed runs or quantised .onnx files")
    parser.add_argument("--core", choices=list(BOARDS), default="cortex-m4")
    parser.add_argument("--shares", nargs="*", type=float, default=[0.75, 0.5, 0.4, 0.33])
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    rows: list[Row] = []
    for text in chosen.networks:
        name, _, path = text.partition("=")
        rows += measure(name, read_source(Path(path)).graph, chosen.core, chosen.shares, chosen.clips)
    document = {
        "schema": 1, "date": date.today().isoformat(), "core": chosen.core, "origin": "emulated",
        "machine": describe_machine(), "rows": rows,
    }  # fmt: skip
    stem = f"{document['date']}-ram"
    write_json(chosen.out / f"{stem}.json", document)
    text = as_markdown([table(rows)])
    write_text(chosen.out / f"{stem}.md", text)
    print(text)
    return 0 if all(row["equal"] == row["runs"] for row in rows) else 1


def measure(name: str, graph: IntegerGraph, core: str, shares: Sequence[float], clips: int) -> list[Row]:
    """All plans of one network, from the whole arena to the smallest."""
    search = Search(graph, lower(graph))
    inputs = random_inputs(graph, clips).inputs
    expected = run(graph, inputs)[graph.output].reshape(clips, -1)
    rows: list[Row] = []
    for limit in [search.plain, *(int(search.plain * share) for share in shares), 0]:
        began = time.perf_counter()
        plan = search.fit(limit) if limit else search.smallest()[1]
        seconds = time.perf_counter() - began
        if plan is None or any(row["strips"] == as_json(plan) for row in rows):
            continue
        row, outputs = bench_emulated(c_artefact(bundle(graph, front_end=False, plan=plan)), core, inputs)
        found: Row = {
            "network": name, "form": graph.form, "limit_bytes": limit or None, "strips": as_json(plan),
            "extra_by_model": round(search.extra(plan)), "search_seconds": round(seconds, 2),
            "equal": int(np.all(outputs == expected, axis=1).sum()), "macs": count(graph).macs,
        }  # fmt: skip
        keys = ("arena_bytes", "stack_bytes", "flash_bytes", "instructions", "runs", "version", "memory")
        rows.append(found | {key: row[key] for key in keys})
        print({key: value for key, value in rows[-1].items() if key != "strips"}, flush=True)
    return rows


def as_json(plan: Plan) -> list[dict[str, Any]]:
    """A plan as its folder keeps it."""
    return [{**asdict(stretch), "dropped": list(stretch.dropped)} for stretch in plan]


def table(rows: Sequence[Row]) -> Table:
    """One row per plan, beside the network as a whole."""
    first: dict[tuple[str, str], Row] = {}
    lines = []
    for row in rows:
        whole = first.setdefault((row["network"], row["form"]), row)
        lines.append(
            (
                row["network"], row["form"], f"{row['arena_bytes']:,}",
                f"{row['arena_bytes'] / whole['arena_bytes']:.2f}", f"{row['instructions']:,}",
                f"{row['instructions'] / whole['instructions']:.2f}",
                f"{1 + row['extra_by_model'] / whole['instructions']:.2f}", f"{row['flash_bytes']:,}",
                f"{row['stack_bytes']:,}", str(len(row["strips"])), f"{row['equal']}/{row['runs']}",
            )
        )  # fmt: skip
    headings = (
        "network", "form", ">arena B", ">of the whole", ">instructions", ">of the whole", ">by the model", ">flash B",
        ">stack B", ">stretches", "equal",
    )  # fmt: skip
    return Table(headings, lines, "RAM against instructions, without the front end")


if __name__ == "__main__":
    raise SystemExit(main())
