"""Instructions, flash and RAM of generated C: ours dense, ours sparse, emx-onnx-cgen's, and TFLM's arena beside.

    python benchmarks/c_compare.py [--network c10=RUN --network c80=RUN] [--data DIR] [--core cortex-m4]

For each network (see c_networks.py), form `int8`, one second of audio: every generator's C as firmware for one core,
same compiler, same flags (-O3), counted instruction by instruction under emulation, its integers held against the numpy
reference. `dense` is our own C with every layer's weights stored whole, the sparse ones what `export --optimise` gives.
RAM is what a run touches: arena and stack; emx keeps every tensor on the stack. The front end is left out. Flash is the
whole firmware, with some 2 kB that reads inputs and counts. emx computes the quantised graph as ONNX Runtime does, so
that its integers are not the reference's; how far they lie from ONNX Runtime's is told beside.
Writes benchmarks/results/<date>-c-compare.json and .md.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import c_emx
import numpy as np
from c_networks import Network, add_options, networks, zeros
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.boards import BOARDS, find_board
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.data.layouts import open_dataset
from edgeasc.errors import EdgeascError
from edgeasc.export.c.bundle import Bundle, bundle
from edgeasc.export.c.choice import Optimise
from edgeasc.export.tflite import tflite_bytes
from edgeasc.files import write_json, write_text
from edgeasc.graph.count import count
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import c_artefact, onnx_artefact, tflite_artefact
from edgeasc.runtime.runner import open_runner
from edgeasc.tables import Block, Table, as_markdown

Row = dict[str, Any]
WEIGHTS = ("weights", "indices")
OURS: dict[Optimise, str] = {
    "dense": "edgeasc, dense",
    "size": "edgeasc, sparse for size",
    "balanced": "edgeasc, sparse, balanced",
    "speed": "edgeasc, sparse for speed",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--core", choices=list(BOARDS), default="cortex-m4")
    parser.add_argument("--clips", type=int, default=3, help="recordings that are run")
    parser.add_argument("--without", nargs="*", choices=c_emx.KINDS, default=[], help="leave this form of emx out")
    parser.add_argument("--timeout", type=float, default=600.0)
    parser.set_defaults(forms=["int8"])
    return parser.parse_args()


def our_bundle(network: Network, optimise: Optimise) -> Bundle:
    """Our C without the front end, weights stored as `optimise` decides."""
    found = bundle(network.graph, front_end=False, optimise=optimise)
    kept = {layer["storage"] for layer in found.facts["layers"]} - {"none"}
    if optimise == "dense" and kept != {"dense"}:
        raise RuntimeError(f"the dense form stores weights as {', '.join(sorted(kept))}")
    return found


def agreement(found: NDArray[np.int8], expected: NDArray[np.int8]) -> dict[str, int]:
    """How many inputs give the reference's integers, and how far the others lie, in steps of the output."""
    steps = np.abs(found.astype(int) - expected.astype(int))
    return {"runs": len(found), "equal": int((steps == 0).all(axis=1).sum()), "max_steps": int(steps.max())}


def ours(network: Network, optimise: Optimise, core: str, expected: NDArray[np.int8], timeout: float) -> Row:
    """Our C on the emulated core."""
    made = our_bundle(network, optimise)
    row, outputs = bench_emulated(c_artefact(made), core, network.clips, timeout=timeout)
    roles: dict[str, int] = made.facts["bytes_by_role"]
    constants = sum(roles.values())
    return {
        "generator": OURS[optimise],
        "sha256": row["sha256"],
        "version": row["version"],
        "instructions": row["instructions"],
        "flash_bytes": row["flash_bytes"],
        "constant_bytes": roles,
        "weight_bytes": sum(roles[role] for role in WEIGHTS),
        "code_bytes": row["flash_bytes"] - constants,
        "ram_bytes": row["arena_bytes"] + row["stack_bytes"],
        "arena_bytes": row["arena_bytes"],
        "stack_bytes": row["stack_bytes"],
        "fits": row["memory"],
        "layers": [
            layer | {"kernel": fact["function"]}
            for layer, fact in zip(row["layers"], made.facts["layers"], strict=True)
        ],
        **agreement(outputs, expected),
    }


def emx(network: Network, kind: str, core: str, expected: NDArray[np.int8], timeout: float) -> Row:
    """emx's C on the emulated core; a network that it refuses is a row that says so."""
    name = f"emx-onnx-cgen, {kind}"
    try:
        found = c_emx.measure(network.graph, kind, find_board(core), network.clips, timeout)
    except (RuntimeError, EdgeascError) as error:
        return {"generator": name, "error": str(error)}
    stack = found.emulation.stack_bytes
    return {
        "generator": name,
        "version": found.version,
        "instructions": round(found.emulation.instructions),
        "flash_bytes": found.firmware.flash_bytes,
        "ram_bytes": stack + network.graph[network.graph.input].size,
        "arena_bytes": 0,
        "stack_bytes": stack,
        "fits": "the emulator's own memory",
        "largest_nodes": c_emx.largest_nodes(found),
        **agreement(found.emulation.outputs, expected),
        "steps_from_onnxruntime": agreement(found.emulation.outputs, onnxruntime_integers(network))["max_steps"],
    }


def onnxruntime_integers(network: Network) -> NDArray[np.int8]:
    """The network's logits in ONNX Runtime on the output's grid, no operator fused."""
    artefact, output = onnx_artefact(onnx_bytes(network.graph)), network.graph[network.graph.output]
    with open_runner(artefact, "onnxruntime", optimisation="disable") as runner:
        logits = runner.predict(network.clips)
    return (np.rint(logits / np.float32(output.scale)) + output.zero_point).astype(np.int8)


def tflm(network: Network, expected: NDArray[np.int8], timeout: float) -> Row:
    """TFLM's arena, measured by itself on this machine; it has no instructions here."""
    payload, output = tflite_bytes(network.graph), network.graph[network.graph.output]
    with open_runner(tflite_artefact(payload), "tflm", timeout=timeout) as runner:
        logits = runner.predict(network.clips)
        arena, version = runner.notes["arena_bytes"], runner.version
    integers = (np.rint(logits / np.float32(output.scale)) + output.zero_point).astype(np.int8)
    return {
        "generator": "TFLM (arena on this host)",
        "version": version,
        "flash_bytes": None,
        "file_bytes": len(payload),
        "ram_bytes": arena,
        **agreement(integers, expected),
    }


def measured(options: argparse.Namespace, network: Network) -> dict[str, Any]:
    """One network through everything."""
    expected = network.expected()
    kinds = [kind for kind in c_emx.KINDS if kind not in options.without]
    rows = [
        *(ours(network, how, options.core, expected, options.timeout) for how in OURS),
        *(emx(network, kind, options.core, expected, options.timeout) for kind in kinds),
        tflm(network, expected, options.timeout),
    ]
    macs = count(network.graph).macs
    for row in rows:
        if "instructions" in row:
            row["per_mac"] = round(row["instructions"] / macs, 3)
    return {
        "network": network.name,
        "form": network.form,
        "source": network.source,
        "zeros": round(zeros(network.graph), 4),
        "input_shape": list(network.graph[network.graph.input].shape),
        "macs": macs,
        "rows": rows,
        "ratios": ratios(rows),
    }


def ratios(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Dense over every sparse form of ours, and TFLM's arena over its RAM."""
    dense, arena = rows[0], rows[-1]["ram_bytes"]
    return {
        row["generator"]: {
            "weight_bytes": round(dense["weight_bytes"] / row["weight_bytes"], 3),
            "flash_bytes": round(dense["flash_bytes"] / row["flash_bytes"], 3),
            "instructions": round(dense["instructions"] / row["instructions"], 3),
            "tflm_arena": round(arena / row["ram_bytes"], 3),
        }
        for row in rows[1 : len(OURS)]
    }


def blocks(document: dict[str, Any]) -> list[Block]:
    """The document as paragraphs and tables."""
    found: list[Block] = []
    for each in document["networks"]:
        rows = [_cells(row) for row in each["rows"]]
        headings = (
            "generator", ">instructions", ">per MAC", ">weights + indices B", ">flash B", ">RAM B",
            "equal to the reference",
        )  # fmt: skip
        title = (
            f"{each['network']}: {each['macs']:,} MACs, {100 * each['zeros']:.1f} % of weights zero, weights "
            f"{each['source']}, {document['core']}"
        )
        found.append(Table(headings, rows, title))
        gains = [
            (name, *(f"{r[key]:.2f}" for key in ("weight_bytes", "instructions", "flash_bytes", "tflm_arena")))
            for name, r in each["ratios"].items()
        ]
        words = ("dense over", ">weights + indices", ">instructions", ">flash", ">TFLM's arena over RAM")
        found.append(Table(words, gains))
        for row in (row for row in each["rows"] if "constant_bytes" in row):
            found.append(_where(row, each))
    return found


def _cells(row: Row) -> tuple[str, ...]:
    if "error" in row:
        return (row["generator"], "", "", "", "", "", row["error"])

    def number(key: str) -> str:
        return "" if row.get(key) is None else f"{row[key]:,}"

    same = f"{row['equal']}/{row['runs']}"
    same += "" if row["equal"] == row["runs"] else f", at most {row['max_steps']} steps"
    if "steps_from_onnxruntime" in row:
        same += f"; {row['steps_from_onnxruntime']} from ONNX Runtime"
    per_mac = f"{row['per_mac']:.2f}" if "per_mac" in row else ""
    return (
        row["generator"], number("instructions"), per_mac, number("weight_bytes"), number("flash_bytes"),
        number("ram_bytes"), same,
    )  # fmt: skip


def _where(row: Row, network: dict[str, Any]) -> Table:
    """Where a generator's instructions and flash go."""
    spent: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    for layer in row["layers"]:
        kind = layer["kernel"]
        spent[kind] += layer["instructions"]
        macs[kind] += layer["macs"]
    lines: Iterable[tuple[str, ...]] = [
        (kind, f"{n:,}", f"{n / macs[kind]:.2f}" if macs[kind] else "", f"{100 * n / row['instructions']:.1f} %")
        for kind, n in spent.most_common()
    ]
    flash = ", ".join(f"{role} {size:,} B" for role, size in row["constant_bytes"].items() if size)
    title = f"{network['network']}, {row['generator']}: flash is {flash}, code {row['code_bytes']:,} B"
    return Table(("kernel", ">instructions", ">per MAC", ">share"), list(lines), title)


def main() -> int:
    options = arguments()
    dataset = open_dataset(options.data)
    document: dict[str, Any] = {
        "schema": 1,
        "benchmark": "c-compare",
        "date": date.today().isoformat(),
        "data": dataset.name,
        "core": options.core,
        "origin": "emulated",
        "machine": describe_machine(),
        "networks": [measured(options, network) for network in networks(options, dataset, options.clips, 0)],
    }
    path: Path = options.out / f"{document['date']}-c-compare.json"
    write_json(path, document)
    text = as_markdown(blocks(document))
    write_text(path.with_suffix(".md"), text)
    print(text)
    print(path)
    wrong = [
        row for each in document["networks"] for row in each["rows"]
        if "emx" not in row["generator"] and row["equal"] != row["runs"]
    ]  # fmt: skip
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
