"""Instructions of every C kernel on emulated cores: per output value and per multiply-accumulate, layer by layer.

    python benchmarks/kernels.py [--model NAME=RUN ...] [--core cortex-m4 --core cortex-m7] [--clips 2]

Without --model the demonstration's network that comes with edgeasc. For each network, with weights stored whole and
stored sparse (`balanced`), and for each core: the C as firmware, run with deterministic counting, its integers held
against the numpy reference. The lane `plain` is the same firmware without DSP instructions (EA_PLAIN), which has to
give the same integers. Counts are instructions, no latency: QEMU knows no pipeline.
Writes benchmarks/results/<date>-kernels.json and .md; exit 1 where integers differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.boards import BOARDS
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.export.c.bundle import Bundle, bundle
from edgeasc.export.c.choice import Optimise
from edgeasc.export.parity import random_inputs
from edgeasc.files import write_json, write_text
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.reference import Reference
from edgeasc.runtime.artefact import c_artefact, read_artefact
from edgeasc.tables import Block, Table, as_markdown

Row = dict[str, Any]
DEFAULT_MODEL = "demo=models/scenes-demo/int8"
STORAGES: tuple[Optimise, ...] = ("dense", "balanced")
GUARD = "#define EA_DSP_H\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", metavar="NAME=RUN", help="a compressed run or quantised .onnx")
    parser.add_argument("--core", action="append", choices=list(BOARDS), help="default: cortex-m4 and cortex-m7")
    parser.add_argument("--clips", type=int, default=2, help="seeded inputs that are run")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def without_dsp(text: Bundle) -> Bundle:
    """The same C, told not to use DSP instructions."""
    header = text.files["ea_dsp.h"].replace(GUARD, GUARD + "#define EA_PLAIN\n")
    return replace(text, files={**text.files, "ea_dsp.h": header})


def measure(name: str, graph: IntegerGraph, storage: Optimise, core: str, plain: bool, clips: int) -> Row:
    """Totals and layers of one network on one core."""
    inputs = random_inputs(graph, clips).inputs
    text = bundle(graph, front_end=False, optimise=storage)
    row, found = bench_emulated(c_artefact(without_dsp(text) if plain else text), core, inputs, timeout=600.0)
    expected = Reference(graph).run(inputs)[graph.output].reshape(clips, -1)
    layers = [
        {
            "name": layer["name"],
            "kernel": layer["function"],
            "outputs": int(np.prod(layer["output_shape"])),
            "macs": layer["macs"],
            "instructions": spent["instructions"],
        }
        for layer, spent in zip(text.facts["layers"], row["layers"], strict=True)
    ]
    return {
        "network": name,
        "storage": storage,
        "core": core,
        "path": "plain" if plain else "dsp",
        "origin": "emulated",
        "compiler": row["version"],
        "instructions": row["instructions"],
        "macs": row["macs"],
        "per_mac": round(row["instructions"] / row["macs"], 3),
        "flash_bytes": row["flash_bytes"],
        "arena_bytes": row["arena_bytes"],
        "stack_bytes": row["stack_bytes"],
        "runs": clips,
        "equal": int((found == expected).all(axis=1).sum()),
        "kernels": kernels(layers),
        "layers": layers,
    }


def kernels(layers: Iterable[Row]) -> list[Row]:
    """Sums over the layers of each kernel, the dearest first."""
    sums: dict[str, Row] = {}
    for layer in layers:
        zero = {"kernel": layer["kernel"], "layers": 0, "instructions": 0, "outputs": 0, "macs": 0}
        total = sums.setdefault(layer["kernel"], zero)
        total["layers"] += 1
        for key in ("instructions", "outputs", "macs"):
            total[key] += layer[key]
    for total in sums.values():
        total["per_output"] = round(total["instructions"] / total["outputs"], 2)
        total["per_mac"] = round(total["instructions"] / total["macs"], 3) if total["macs"] else None
    return sorted(sums.values(), key=lambda total: -total["instructions"])


def blocks(rows: list[Row]) -> list[Block]:
    """The tables: totals, then the kernels of every row."""
    head = (
        "network", "weights", "core", "path", ">instructions", ">per MAC", ">flash", ">arena", ">stack", ">equal",
    )  # fmt: skip
    lines = [
        (
            row["network"], row["storage"], row["core"], row["path"],
            f"{row['instructions']:,}", f"{row['per_mac']:.2f}", f"{row['flash_bytes']:,}",
            f"{row['arena_bytes']:,}", f"{row['stack_bytes']:,}",
            f"{row['equal']}/{row['runs']}",
        )
        for row in rows
    ]  # fmt: skip
    found: list[Block] = [Table(head, lines)]
    for row in rows:
        found.append(f"{row['network']}, {row['storage']} weights, {row['core']}, {row['path']} path")
        found.append(
            Table(
                ("kernel", ">layers", ">instructions", ">share", ">per output", ">per MAC"),
                [
                    (
                        total["kernel"], str(total["layers"]), f"{total['instructions']:,}",
                        f"{total['instructions'] / row['instructions']:.1%}", f"{total['per_output']:.2f}",
                        "" if total["per_mac"] is None else f"{total['per_mac']:.2f}",
                    )
                    for total in row["kernels"]
                ],
            )
        )  # fmt: skip
    return found


def main() -> int:
    options = arguments()
    rows = []
    for text in options.model or [DEFAULT_MODEL]:
        name, _, path = text.partition("=")
        graph = read_onnx(read_artefact(Path(path)).payload)
        for storage in STORAGES:
            for core in options.core or ["cortex-m4", "cortex-m7"]:
                rows.append(measure(name, graph, storage, core, False, options.clips))
            rows.append(measure(name, graph, storage, (options.core or ["cortex-m4"])[0], True, options.clips))
    for row in rows[1:]:
        if row["core"] != rows[0]["core"] or row["path"] == "plain":
            del row["layers"]  # the kernels' sums say enough about these
    document = {"schema": 1, "machine": describe_machine(), "results": rows}
    stem = f"{date.today().isoformat()}-kernels"
    write_json(options.out / f"{stem}.json", document)
    text = as_markdown(blocks(rows))
    write_text(options.out / f"{stem}.md", text)
    print(text)
    return int(any(row["equal"] != row["runs"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
