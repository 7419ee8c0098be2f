"""How near the integer front end is to the float one on recordings, and what that does to accuracy.

    python benchmarks/integer_frontend.py --data DIR --runs RUN... [--runtime native-c] [--out DIR]

Each RUN is a compressed run that was trained on float features, with a fold of DIR held out. Its held-out clips, as
16-bit samples, go through both front ends into the same integers: log units apart, int8 inputs apart, and how many
clips change their scene. The interval of the difference is a bootstrap over clips (one recording is one draw, seeded).
Writes benchmarks/results/<date>-integer-frontend.json and prints a table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.compress.run import run_clips
from edgeasc.data.clips import Clip, Dataset
from edgeasc.data.inputs import fit_length
from edgeasc.data.layouts import open_dataset
from edgeasc.features.integer import integer_log_mel, pcm16
from edgeasc.features.logmel import log_mel
from edgeasc.features.quantize import quantize
from edgeasc.files import write_json
from edgeasc.runs import Run
from edgeasc.runtime.runner import load_runner
from edgeasc.specs import Recipe

HERE = Path(__file__).parent
QUANTILES = (0.5, 0.99, 0.999, 1.0)
DRAWS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--runtime", default=None)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    chosen = parser.parse_args()
    dataset = open_dataset(chosen.data)
    rows = [measure(Run(path), dataset, chosen.runtime) for path in chosen.runs]
    document = {
        "schema": 1,
        "date": date.today().isoformat(),
        "data": dataset.name,
        "machine": describe_machine(),
        "runs": rows,
        "together": together(rows),
    }
    path = chosen.out / f"{document['date']}-integer-frontend.json"
    write_json(path, document)
    for row in (*rows, document["together"]):
        print(line(row))
    print(f"written: {path}")


def measure(run: Run, dataset: Dataset, runtime: str | None) -> dict[str, Any]:
    """One run on its held-out clips, heard by both front ends."""
    recipe, clips = run.recipe(), run_clips(run, dataset, run.info().labels)["test"]
    heard = [both_features(dataset, clip, recipe) for clip in clips]
    floats, integers = (np.stack([pair[i] for pair in heard]) for i in (0, 1))
    with load_runner(run.path, runtime) as runner:
        port = runner.artefact.input
        if port is None:
            raise SystemExit(f"{run.path}: does not say how its input is quantised")
        steps = [quantize(part, port.scale, port.zero_point).astype(np.int64) for part in (floats, integers)]
        predicted = [runner.predict(part).argmax(axis=1) for part in (floats, integers)]
    truth = np.array([clip.label for clip in clips])
    right = [answer == truth for answer in predicted]
    apart = np.abs(floats - integers)
    return {
        "run": "/".join(run.path.parts[-3:]),
        "model": {**recipe.model.options, "name": recipe.model.name},
        "features": recipe.features.model_dump(mode="json"),
        "clips": len(clips),
        "log_units": {"mean": float(apart.mean())} | {f"q{q:g}": float(np.quantile(apart, q)) for q in QUANTILES},
        "input_step": port.scale,
        "equal_inputs": float((steps[0] == steps[1]).mean()),
        "largest_step": int(np.abs(steps[0] - steps[1]).max()),
        "float_right": int(right[0].sum()),
        "integer_right": int(right[1].sum()),
        "same_answer": int((predicted[0] == predicted[1]).sum()),
        "gained": (right[1].astype(int) - right[0].astype(int)).tolist(),
        "recordings": [clip.group or clip.id for clip in clips],
    }


def both_features(dataset: Dataset, clip: Clip, recipe: Recipe) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Float and integer features [1, n_mels, n_frames] of the same 16-bit samples."""
    spec = recipe.features.with_arithmetic("float")
    sound = pcm16(dataset.waveform(clip, spec.sample_rate)).astype(np.float32) / np.float32(32768)
    kept = (part(sound, spec)[None] for part in (log_mel, integer_log_mel))
    first, second = (fit_length(part, recipe.n_frames, spec.silence) for part in kept)
    return first, second


def together(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All runs as one: accuracy by each front end, and the difference with its interval."""
    gained = np.concatenate([row["gained"] for row in rows])
    names = [name for row in rows for name in row["recordings"]]
    _, group = np.unique(names, return_inverse=True)
    sums, sizes = np.bincount(group, gained), np.bincount(group)
    draws = np.random.default_rng(0).integers(0, len(sums), (DRAWS, len(sums)))
    shares = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    total, weights = len(gained), [row["clips"] for row in rows]
    return {
        "run": "together",
        "clips": total,
        "float_right": sum(row["float_right"] for row in rows),
        "integer_right": sum(row["integer_right"] for row in rows),
        "same_answer": sum(row["same_answer"] for row in rows),
        "difference": float(gained.mean()),
        "interval_95": [float(np.quantile(shares, q)) for q in (0.025, 0.975)],
        "log_units_mean": float(np.average([row["log_units"]["mean"] for row in rows], weights=weights)),
        "log_units_largest": max(row["log_units"]["q1"] for row in rows),
        "equal_inputs": float(np.average([row["equal_inputs"] for row in rows], weights=weights)),
        "largest_step": max(row["largest_step"] for row in rows),
    }


def line(row: dict[str, Any]) -> str:
    n = row["clips"]
    shares = [100 * row[key] / n for key in ("float_right", "integer_right")]
    text = f"{row['run']:>28}: {shares[0]:5.1f} % float, {shares[1]:5.1f} % integer of {n},"
    text += f" same answer {row['same_answer']}; int8 inputs equal {100 * row['equal_inputs']:.2f} %,"
    text += f" largest difference {row['largest_step']}"
    if "interval_95" in row:
        low, high = (100 * value for value in row["interval_95"])
        text += f"; {100 * row['difference']:+.2f} points [{low:+.2f}, {high:+.2f}]"
    return text


if __name__ == "__main__":
    main()
