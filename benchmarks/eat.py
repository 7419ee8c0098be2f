"""EAT-S with anti-aliased and with GMME pooling at equal training, and their paired difference over clips.

    python benchmarks/eat.py --data DIR [--models eat-s-aa eat-s-gmme] [--folds 1 2 3 4] [--seeds 0] [--jobs 1]

DIR is a folder in ESC-50 layout, such as ESC-10. Each (model, fold, seed) is a training of its own on the other folds,
without validation, without a choice of epoch: the recipe of the model with the same settings for both, reduced to what
a processor core trains in minutes (`SETTINGS`, recorded in the result; `--set` changes them). The paper trains 3500
epochs of whole clips at 22.05 kHz with all 16 channels: no figure here is to be compared with a printed one.
Test clips are heard as evenly spaced crops whose probabilities are averaged. Intervals are over test clips, seeds
averaged, with the clips of one recording counted as one draw.
Writes benchmarks/results/<date>-eat-<name>.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from resnorm import clustered_error

HERE = Path(__file__).parent
BASELINE = "eat-s-aa"
MODELS = (BASELINE, "eat-s-gmme")
SETTINGS = (
    "features.sample_rate=8000",
    "data.clip_seconds=2.56",
    'data.crop="random"',
    "data.test_crops=4",
    "data.validation=0.0",
    "model.options.samples=20480",
    'model.options.factors="8 4 4"',
    "model.options.channels=8",
    "model.options.embedding=64",
    "model.options.layers=2",
    "train.epochs=40",
    "train.batch_size=8",
    "train.lr=1e-3",
    'train.ema="none"',  # an average over hundreds of epochs is none over forty
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder in ESC-50 layout")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="recipes; the first is the baseline")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=V", help="further settings, for all models")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=1, help="jobs at once, one thread each")
    parser.add_argument("--name", default="esc10", help="of the result file")
    parser.add_argument("--work", type=Path, default=None, help="keep run folders here, and take up finished ones")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--job", nargs=3, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_job(options: argparse.Namespace, model: str, fold: int, seed: int, work: Path) -> dict[str, Any]:
    """Train one model on all folds but one and score that one; `right` has one digit per clip, 1 for right."""
    from edgeasc.data.layouts import open_dataset
    from edgeasc.data.split import split
    from edgeasc.recipes import load_recipe
    from edgeasc.train.predict import log_probabilities, network_predict
    from edgeasc.train.run import clip_arrays, cpu_threads, load_network, train_run

    settings = (*SETTINGS, *options.set, f"train.seed={seed}", "train.threads=1")
    recipe = load_recipe(model, settings)
    dataset = open_dataset(options.data)
    parts = split(dataset, fold, recipe.data.validation, seed)
    base, cache = work / f"{model}-fold{fold}-seed{seed}", work / "cache"
    run = train_run(recipe, dataset, parts, base, resume=True, cache=cache)
    network = load_network(base)[0]
    # Chosen by nothing: with validation clips these would be judged instead, never the held-out fold.
    clips = parts.validation or parts.test
    judged = clip_arrays(dataset, clips, recipe, cache)
    with cpu_threads(1):
        logs = log_probabilities(
            network_predict(network),
            judged.features,
            n_frames=recipe.n_frames,
            crops=recipe.data.test_crops,
            silence=recipe.features.silence,
            lengths=judged.lengths,
        )
    history = run.history()
    return {
        "model": model,
        "fold": fold,
        "seed": seed,
        "split": parts.rule,
        "judged": "validation" if parts.validation else "test",
        "recipe": recipe.model_dump(mode="json"),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "n_trained": len(parts.train),
        "clips": [clip.id for clip in clips],
        "recordings": [clip.group for clip in clips],
        "right": "".join("01"[hit] for hit in (logs.argmax(1) == judged.labels).astype(int)),
        "log_loss": float(-logs[np.arange(len(clips)), judged.labels].mean()),
        "train_loss": float(history[-1]["train_loss"]),
        "epoch_seconds": round(sum(float(row["seconds"]) for row in history), 1),
        "cpu_seconds": round(time.process_time(), 1),  # of this process: little where a finished run was taken up
    }


def collect(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """All jobs, each in a process of its own; both models of a fold one after the other."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")

    def one(job: tuple[str, int, int]) -> dict[str, Any]:
        words = [str(word) for word in job]
        command = [sys.executable, __file__, *sys.argv[1:], "--work", str(work), "--job", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        told = f"{accuracy(result):.1%} of {len(result['right'])} {result['judged']} clips"
        print(f"{' '.join(words)}: {told}, {result['cpu_seconds']:.0f} s of CPU", file=sys.stderr, flush=True)
        return result

    jobs = [(model, fold, seed) for seed in options.seeds for fold in options.folds for model in options.models]
    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(one, jobs))


def accuracy(job: dict[str, Any]) -> float:
    return job["right"].count("1") / len(job["right"])


def scores(jobs: list[dict[str, Any]], model: str) -> dict[str, Any]:
    """Accuracy of one model over all clips, its 95 % interval, and by fold and seed."""
    mine = [job for job in jobs if job["model"] == model]
    values, recordings = per_clip(mine)
    half = 196 * clustered_error(values, recordings)
    points = 100 * float(values.mean())
    return {
        "accuracy": points / 100,
        "95": [(points - half) / 100, (points + half) / 100],
        "n_clips": len(values),
        "by_fold": {str(fold): mean_of(mine, fold=fold) for fold in sorted({job["fold"] for job in mine})},
        "by_seed": {str(seed): mean_of(mine, seed=seed) for seed in sorted({job["seed"] for job in mine})},
        "log_loss": float(np.mean([job["log_loss"] for job in mine])),
        "parameters": mine[0]["parameters"],
        "epoch_seconds": sum(job["epoch_seconds"] for job in mine),
    }


def mean_of(jobs: list[dict[str, Any]], **where: int) -> float:
    """Mean accuracy of the jobs of one fold or seed."""
    return float(np.mean([accuracy(job) for job in jobs if all(job[key] == value for key, value in where.items())]))


def per_clip(jobs: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Share of seeds that are right for every clip, clips by name, and the clips' recordings."""
    right: dict[str, list[int]] = {}
    recordings: dict[str, str] = {}
    for job in jobs:
        for clip, recording, digit in zip(job["clips"], job["recordings"], job["right"], strict=True):
            right.setdefault(clip, []).append(int(digit))
            recordings[clip] = recording
    names = sorted(right)
    return np.array([np.mean(right[name]) for name in names]), np.array([recordings[name] for name in names])


def difference(jobs: list[dict[str, Any]], model: str, baseline: str) -> dict[str, Any]:
    """Points that `model` gains over `baseline` on the same clips, with their 95 % interval."""
    (mine, recordings), (theirs, _) = (per_clip([j for j in jobs if j["model"] == name]) for name in (model, baseline))
    points = 100 * (mine - theirs)
    half = 1.96 * clustered_error(points, recordings)
    mean = float(points.mean())
    n_recordings = len(set(recordings.tolist()))
    return {"points": mean, "95": [mean - half, mean + half], "n_clips": len(points), "n_recordings": n_recordings}


def table(document: dict[str, Any]) -> str:
    lines = [f"{document['data']}: folds {document['folds']}, seeds {document['seeds']}, {document['epochs']} epochs"]
    lines.append(f"  {'model':12}{'parameters':>12}{'accuracy':>10}{'95 %':>18}{'log loss':>10}  by fold")
    for model, row in document["models"].items():
        low, high = row["95"]
        folds = " ".join(f"{value:.1%}" for value in row["by_fold"].values())
        interval = f"[{low:.1%}, {high:.1%}]"
        told = f"{row['parameters']:>12,}{row['accuracy']:>10.1%}{interval:>18}{row['log_loss']:>10.3f}"
        lines.append(f"  {model:12}{told}  {folds}")
    for model, gain in document["gain"].items():
        low, high = gain["95"]
        n = f"n={gain['n_clips']} clips of {gain['n_recordings']} recordings"
        told = f"{gain['points']:+.2f} points [{low:+.2f}, {high:+.2f}]"
        lines.append(f"  {model} - {document['baseline']}: {told} (95 %, {n})")
    return "\n".join(lines)


def main() -> None:
    options = arguments()
    work = options.work or Path(tempfile.mkdtemp(prefix="edgeasc-eat-"))
    if options.job is not None:
        model, fold, seed = options.job
        print(json.dumps(run_job(options, model, int(fold), int(seed), work)))
        return
    from edgeasc.bench.machine import describe_machine
    from edgeasc.files import write_json

    machine = describe_machine()
    jobs = collect(options, work)
    baseline, *others = options.models
    words = " ".join(sys.argv[1:]).replace(str(work), "WORK").replace(str(options.data), "DIR")
    kept = ("model", "fold", "seed", "split", "right", "log_loss", "train_loss", "epoch_seconds", "cpu_seconds")
    document = {
        "schema": 1,
        "benchmark": "eat",
        "date": date.today().isoformat(),
        "command": words.replace(str(options.out), "OUT"),
        "machine": machine,
        "data": f"ESC-50 layout, {len(set(jobs[0]['clips']))} clips held out a fold",
        "settings": [*SETTINGS, *options.set],
        "recipes": {model: next(j["recipe"] for j in jobs if j["model"] == model) for model in options.models},
        "epochs": jobs[0]["recipe"]["train"]["epochs"],
        "folds": options.folds,
        "seeds": options.seeds,
        "judged": jobs[0]["judged"],
        "n_trained": jobs[0]["n_trained"],
        "baseline": baseline,
        "models": {model: scores(jobs, model) for model in options.models},
        "gain": {model: difference(jobs, model, baseline) for model in others},
        "clips": {str(job["fold"]): job["clips"] for job in jobs},
        "jobs": [{key: job[key] for key in kept} for job in jobs],
    }
    path = options.out / f"{document['date']}-eat-{options.name}.json"
    write_json(path, document)
    print(table(document))
    print(path)


if __name__ == "__main__":
    main()
