"""What a point-wise layer costs on an emulated Cortex-M4 in every storage, and the model that chooses between them.

    python benchmarks/storage.py [--check]

Chains of point-wise layers of many widths, densities and numbers of pixels are built in every storage and run under
emulation; every layer's instructions are counted. A model linear in rows, blocks, multiplications and
bytes to unpack is fitted to them, relative errors weighted alike. Writes benchmarks/results/<date>-storage.json and
prints the figures that edgeasc/export/c/choice.py holds. `--check` only compares those with new counts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.export.c import lower
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.choice import COSTS, Pixels, choose, instructions, work
from edgeasc.export.c.program import Storage
from edgeasc.export.c.sparse import Stored, store
from edgeasc.files import write_json
from edgeasc.graph.model import Conv, IntegerGraph, Node, QTensor
from edgeasc.runtime.artefact import c_artefact
from edgeasc.tables import Table, as_text

HERE = Path(__file__).parent
STORAGES: tuple[Storage, ...] = ("dense", "delta8", "nibble", "bitmap")
SHAPES = ((1, 8), (1, 34), (4, 16), (16, 17))  # frequencies x frames
WIDTHS = (20, 40, 80, 120, 160, 200, 64, 128)
DENSITIES = (0.02, 0.05, 0.11, 0.2, 0.35, 0.6)


def chain(shape: tuple[int, int], seed: int) -> IntegerGraph:
    """Point-wise layers after each other, int8 everywhere, weights of many densities."""
    rng = np.random.default_rng(seed)
    names = ["input"]
    tensors = {"input": QTensor("input", (1, WIDTHS[0], *shape), np.float32(0.05), -3, None)}
    nodes: list[Node] = []
    for index in range(len(WIDTHS) * 2):
        c_in, c_out = WIDTHS[index % len(WIDTHS)], WIDTHS[(index + 1) % len(WIDTHS)]
        weight = rng.integers(-127, 128, (c_out, c_in, 1, 1), dtype=np.int8)
        weight[rng.random(weight.shape) >= DENSITIES[index % len(DENSITIES)]] = 0
        scale = (rng.uniform(1, 3, (1, c_out)) * 2e-3).astype(np.float32)
        bias = rng.integers(-5000, 5000, (1, c_out)).astype(np.int32)
        names.append(f"layer{index}")
        tensors[names[-1]] = QTensor(names[-1], (1, c_out, *shape), np.float32(0.05), int(rng.integers(-40, 40)), None)
        sign = np.ones((1, c_out), np.int8)
        nodes.append(
            Conv(f"pw{index}", (names[-2],), names[-1], weight=weight, scale=scale, sign=sign, bias=bias, groups=1)
        )
    return IntegerGraph("int8", "input", names[-1], tensors, tuple(nodes))


def measure(graph: IntegerGraph, storage: Storage) -> list[dict[str, Any]]:
    """A row for every layer of `graph` in one storage."""

    def forced(weights: NDArray[np.int8], *_: object) -> Stored:
        return store(weights, storage)

    with mock.patch.object(lower, "choose", forced):
        text = bundle(graph)
    inputs = np.random.default_rng(1).integers(-128, 128, (1, *graph[graph.input].shape[1:]), dtype=np.int8)
    row, _ = bench_emulated(c_artefact(text), "cortex-m4", inputs)
    return [
        _row(node, graph, storage, layer["instructions"])
        for node, layer in zip(graph.nodes, row["layers"], strict=True)
    ]


def _row(node: Node, graph: IntegerGraph, storage: Storage, counted: int) -> dict[str, Any]:
    assert isinstance(node, Conv)
    weights = node.weight[:, :, 0, 0]
    pixels = Pixels(int(np.prod(graph[node.output].shape[2:])), 1)
    stored = store(weights, storage)
    return {
        "storage": storage,
        "c_in": weights.shape[1],
        "c_out": weights.shape[0],
        "pixels": pixels.count,
        "density": round(float(np.count_nonzero(weights) / weights.size), 4),
        "bytes": stored.bytes,
        "instructions": counted,
        "modelled": round(instructions(stored, weights, pixels)),
        "work": work(stored, weights, pixels),
        "chosen for speed": choose(weights, pixels, "speed").storage,
    }


def fit(rows: list[dict[str, Any]]) -> tuple[float, ...]:
    """Instructions per unit of work, by least squares of relative errors."""
    counted = np.array([row["instructions"] for row in rows], np.float64)
    features = np.array([row["work"] for row in rows], np.float64)
    used = features.any(axis=0)
    solved = np.zeros(features.shape[1])
    solved[used] = np.linalg.lstsq(features[:, used] / counted[:, None], np.ones(len(rows)), rcond=None)[0]
    return tuple(round(float(value), 2) for value in solved)


def errors(rows: list[dict[str, Any]], costs: tuple[float, ...]) -> NDArray[np.float64]:
    """Relative errors of the model."""
    return np.array([np.dot(row["work"], costs) / row["instructions"] - 1 for row in rows])


def regret(rows: list[dict[str, Any]]) -> Iterator[float]:
    """How many instructions more the model's choice takes than the fastest storage, layer by layer, relative."""
    layers: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        layers.setdefault((row["c_in"], row["c_out"], row["pixels"], row["density"]), {})[row["storage"]] = row
    for found in layers.values():
        fastest = min(row["instructions"] for row in found.values())
        yield found[found["dense"]["chosen for speed"]]["instructions"] / fastest - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare the model with new counts")
    options = parser.parse_args()
    rows = [row for seed, shape in enumerate(SHAPES) for name in STORAGES for row in measure(chain(shape, seed), name)]
    table, fitted = [], {}
    for name in STORAGES:
        part = [row for row in rows if row["storage"] == name]
        fitted[name] = fit(part)
        now, then = errors(part, fitted[name]), errors(part, COSTS[name])
        table.append(
            (
                name,
                str(fitted[name]),
                f"{np.abs(now).mean():.1%}",
                f"{np.abs(now).max():.1%}",
                f"{np.abs(then).max():.1%}",
            )
        )
    print(as_text([Table(("storage", "fitted", ">mean error", ">largest", ">largest of choice.py"), table)]))
    worse = list(regret(rows))
    print(f"choice.py for speed: {np.mean(worse):.2%} more instructions than the fastest, {max(worse):.1%} at most")
    if not options.check:
        document = {
            "schema": 1, "machine": describe_machine(), "core": "cortex-m4", "origin": "emulated", "fitted": fitted,
            "regret": {"mean": float(np.mean(worse)), "largest": max(worse)}, "layers": rows,
        }  # fmt: skip
        write_json(HERE / "results" / f"{date.today().isoformat()}-storage.json", document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
