"""Residual normalisation in its two forms: the chain of int8 operators that TFLite has, and one fused integer kernel.

    python benchmarks/forms.py --run int8=RUN --run island=RUN [--accuracy int8=RESULT --accuracy island=RESULT]

RUN is a compressed run of each form, from the same float network; RESULT what `esc10.py` wrote for each, over the same
folds and seeds. Written down are, for every form, instructions of the whole network and of its ResNorms on emulated
Cortex-M4, arena and flash, how far the integers of each ResNorm lie from the float formula on the run's own parity
inputs (in output steps), and the accuracy with the paired difference between the forms.
Writes benchmarks/results/<date>-forms.json.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.errors import UsageError
from edgeasc.export.c.bundle import bundle
from edgeasc.files import read_json, write_json
from edgeasc.graph.model import IntegerGraph, QTensor
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.reference import Reference
from edgeasc.runs import Run
from edgeasc.runtime.artefact import c_artefact
from edgeasc.tables import Table, as_text

FORMS = ("int8", "island")
PLACES = ("norm0", "stage1.norm", "stage2.norm", "stage3.norm", "stage4.norm")
CLIPS, CORE = 40, "cortex-m4"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="append", required=True, metavar="FORM=RUN")
    parser.add_argument("--accuracy", action="append", default=[], metavar="FORM=RESULT")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def by_form(given: list[str]) -> dict[str, Path]:
    """The paths by form.

    Raises:
        UsageError: a form is missing or is none.
    """
    found = {form: Path(path) for form, _, path in (item.partition("=") for item in given)}
    if set(found) != set(FORMS):
        raise UsageError("forms", f"give both {' and '.join(FORMS)}")
    return found


def cost(path: Path) -> dict[str, Any]:
    """What the run costs on the chip, and how exact its ResNorms are."""
    from safetensors.numpy import load_file

    run = Run(path)
    recipe, graph = run.recipe(), read_onnx(run.onnx.read_bytes())
    inputs = load_file(path / "parity.safetensors")["inputs"][:CLIPS]
    row, outputs = bench_emulated(c_artefact(bundle(graph)), CORE, inputs[:3])
    tensors = Reference(graph).run(inputs)
    expected = tensors[graph.output][:3].reshape(3, -1)
    if not np.array_equal(outputs, expected):
        raise SystemExit(f"{path}: the emulated core and the reference differ")
    options = recipe.model.options
    lam, eps = float(options.get("lam", 0.1)), float(options.get("eps", 1e-3))
    norms = [layer for layer in row["layers"] if layer["name"].split("/")[0] in PLACES]
    return {
        "form": graph.form,
        "instructions": row["instructions"],
        "resnorm_instructions": sum(layer["instructions"] for layer in norms),
        "resnorm_elements": sum(graph[place].size for place in PLACES),
        "arena_bytes": row["arena_bytes"],
        "flash_bytes": row["flash_bytes"],
        "macs": row["macs"],
        "steps_from_float": {place: distance(graph, place, tensors, lam, eps) for place in PLACES},
    }


def distance(
    graph: IntegerGraph, place: str, tensors: dict[str, NDArray[np.int8]], lam: float, eps: float
) -> dict[str, float]:
    """Mean and largest distance of a ResNorm's integers from the float formula on the same inputs, in output steps."""
    source = next(node.inputs[0] for node in graph.nodes if node.name in (place, f"{place}/mean"))
    real = values(graph[source], tensors[source])
    mean = real.mean(axis=(1, 3), keepdims=True)
    variance = real.var(axis=(1, 3), keepdims=True)
    wanted = lam * real + (real - mean) / np.sqrt(variance + eps)
    output = graph[place]
    steps = np.clip(np.rint(wanted / float(output.scale)) + output.zero_point, -128, 127)
    away = np.abs(steps - tensors[place].astype(np.int64))
    return {"mean": round(float(away.mean()), 4), "largest": int(away.max())}


def values(tensor: QTensor, integers: NDArray[np.int8]) -> NDArray[np.float64]:
    """What the integers of a tensor stand for."""
    return (integers.astype(np.float64) - tensor.zero_point) * float(tensor.scale)


def accuracies(paths: dict[str, Path]) -> dict[str, Any]:
    """Accuracy of the compressed networks of both forms, and its paired difference over clips with a 95 % interval."""
    right: dict[str, dict[tuple[int, int, str], int]] = {}
    for form, path in paths.items():
        jobs = read_json(path, "result")["jobs"]
        right[form] = {
            (job["fold"], job["seed"], clip): hit
            for job in jobs
            for clip, hit in zip(job["clips"], job["right"]["compressed"]["whole"], strict=True)
        }
    keys = sorted(set.intersection(*(set(found) for found in right.values())))
    clips = sorted({key[2] for key in keys})
    gains = []
    for clip in clips:
        mine = [key for key in keys if key[2] == clip]
        gains.append(np.mean([right["island"][key] - right["int8"][key] for key in mine]))
    gain, half = float(np.mean(gains)), float(1.96 * np.std(gains, ddof=1) / np.sqrt(len(gains)))
    return {
        "split": "whole clips, folds of the runs",
        "n_clips": len(clips),
        "seeds": sorted({key[1] for key in keys}),
        **{form: float(np.mean([right[form][key] for key in keys])) for form in FORMS},
        "island_gains_points": 100 * gain,
        "interval_95": [100 * (gain - half), 100 * (gain + half)],
    }


def main() -> None:
    options = arguments()
    rows = {form: cost(path) for form, path in by_form(options.run).items()}
    for form, row in rows.items():
        if row["form"] != form:
            raise SystemExit(f"the run given as {form} is of form {row['form']}")
    judged = accuracies(by_form(options.accuracy)) if options.accuracy else None
    document = {
        "schema": 1,
        "benchmark": "forms",
        "date": date.today().isoformat(),
        "machine": describe_machine(),
        "core": f"qemu:{CORE}, instructions, emulated",
        "clips": CLIPS,
        "rows": rows,
        "accuracy": judged,
    }
    write_json(options.out / f"{date.today().isoformat()}-forms.json", document)
    print(as_text([table(rows)]))
    if judged:
        low, high = judged["interval_95"]
        print(
            f"accuracy, n = {judged['n_clips']}: int8 {judged['int8']:.1%}, island {judged['island']:.1%}, "
            f"island gains {judged['island_gains_points']:+.1f} points [{low:+.1f}, {high:+.1f}]"
        )


def table(rows: dict[str, dict[str, Any]]) -> Table:
    """The two forms side by side."""
    lines = [
        ("instructions of the network", "instructions"),
        ("instructions of its ResNorms", "resnorm_instructions"),
        ("arena, B", "arena_bytes"),
        ("flash, B", "flash_bytes"),
    ]
    body = [(words, *(f"{rows[form][key]:,}" for form in FORMS)) for words, key in lines]
    each = "instructions per value of a ResNorm"
    body.append(
        (each, *(f"{r['resnorm_instructions'] / r['resnorm_elements']:.1f}" for r in map(rows.get, FORMS) if r))
    )
    for place in PLACES:
        found = [rows[form]["steps_from_float"][place] for form in FORMS]
        body.append((f"{place}: steps from float", *(f"{d['mean']:.3f} mean, {d['largest']} at most" for d in found)))
    return Table(("residual normalisation", *(f">{form}" for form in FORMS)), body)


if __name__ == "__main__":
    main()
