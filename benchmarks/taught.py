"""A small network alone and taught by a large one with another front end, and their paired difference over clips.

    python benchmarks/taught.py --data DIR [--teachers 'RUNS/fold{fold}-seed{seed}'] [--folds 1 2 3 4] [--seeds 0]

DIR is a folder in ESC-50 layout, such as ESC-10. For each (fold, seed) the teacher trains on the other folds (or is a
run that did, where `--teachers` names those: refused, unless its test clips are the held-out fold), then the student
(recipe `esc10-taught`, BC-ResNet-Mod-1) twice on the same clips, alone and with `--teacher`: without validation,
without a choice of epoch, at settings that a processor core trains in minutes (recorded in the result). Test clips are
heard as evenly spaced crops. Intervals are over test clips, seeds averaged, with the clips of one recording counted as
one draw. Writes benchmarks/results/<date>-taught-<name>.json and prints a table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from resnorm import clustered_error

from edgeasc.bench.machine import describe_machine
from edgeasc.data.clips import Dataset
from edgeasc.data.layouts import open_dataset
from edgeasc.data.split import Split, split
from edgeasc.files import write_json
from edgeasc.recipes import load_recipe
from edgeasc.runs import Run
from edgeasc.specs import Recipe
from edgeasc.train.batches import ClipArrays
from edgeasc.train.predict import Predict, log_probabilities, network_predict
from edgeasc.train.run import clip_arrays, load_network, train_run

HERE = Path(__file__).parent
HEARD = ("data.clip_seconds=2.5", 'data.crop="random"', "data.test_crops=3", "data.validation=0.0", "train.threads=1")
TEACHER = (
    "model.options.width=0.125",
    'augment.place="input"',
    "augment.mixup_alpha=0.2",
    'augment.mixup_of="batch"',
    "augment.roll_seconds=1.25",
    'train.loss="cross-entropy"',
    'train.ema="none"',
    "train.iterations=0",
    "train.epochs=40",
    'train.schedule="cosine"',
    "train.lr=2e-3",
    "train.batch_size=16",
    'train.sampler="shuffle"',
    'train.precision="bf16"',
)
STUDENT = ("augment.roll_seconds=1.25", "train.epochs=30", 'train.precision="bf16"')
WAYS = ("teacher", "alone", "taught")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder in ESC-50 layout")
    parser.add_argument("--teacher", default="cnn10", help="recipe of the teacher")
    parser.add_argument(
        "--teachers", default=None, metavar="PATTERN", help="teachers trained already, by fold and seed"
    )
    parser.add_argument("--student", default="esc10-taught", help="recipe of the student")
    parser.add_argument("--set-teacher", action="append", default=[], metavar="A.B=V")
    parser.add_argument("--set-student", action="append", default=[], metavar="A.B=V")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--name", default="esc10", help="of the result file")
    parser.add_argument("--work", type=Path, default=None, help="keep run folders here, and take up finished ones")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def run_job(options: argparse.Namespace, way: str, fold: int, seed: int, work: Path) -> dict[str, Any]:
    """Train one network on all folds but one and score that one; `right` has one digit per clip, 1 for right."""
    dataset = open_dataset(options.data)
    parts, cache = split(dataset, fold, validation=0.0), work / "cache"
    teacher = work / f"teacher-fold{fold}-seed{seed}"
    if options.teachers:
        teacher = Path(options.teachers.format(fold=fold, seed=seed))
        tested = {row.clip for row in Run(teacher).split() if row.role == "test"}
        if tested != {clip.id for clip in parts.test}:
            raise SystemExit(f"{teacher}: its test clips are not those of fold {fold}")
    folder = teacher if way == "teacher" else work / f"{way}-fold{fold}-seed{seed}"
    if way != "teacher" or not options.teachers:
        settings = (*TEACHER, *options.set_teacher) if way == "teacher" else (*STUDENT, *options.set_student)
        name = options.teacher if way == "teacher" else options.student
        recipe = load_recipe(name, (*HEARD, *settings, f"train.seed={seed}"))
        train_run(recipe, dataset, parts, folder, teacher if way == "taught" else None, resume=True, cache=cache)
    run = Run(folder)
    return {"way": way, "fold": fold, "seed": seed, "split": parts.rule} | judge(run, dataset, parts, cache)


def judge(run: Run, dataset: Dataset, parts: Split, cache: Path) -> dict[str, Any]:
    """What a trained run does on the test clips, heard as its recipe says."""
    network, recipe, _ = load_network(run.path)
    test = clip_arrays(dataset, parts.test, recipe, cache)
    logs = judged_logs(network_predict(network), test, recipe)
    return {
        "recipe": recipe.model_dump(mode="json"),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "clips": [clip.id for clip in parts.test],
        "recordings": [clip.group for clip in parts.test],
        "right": "".join("01"[hit] for hit in (logs.argmax(1) == test.labels).astype(int)),
        "log_loss": float(-logs[np.arange(len(test)), test.labels].mean()),
        "epoch_seconds": round(sum(float(row["seconds"]) for row in run.history()), 1),
    }


def judged_logs(predict: Predict, test: ClipArrays, recipe: Recipe) -> NDArray[np.float64]:
    """Log probabilities of clips, heard as the recipe says."""
    return log_probabilities(
        predict,
        test.features,
        n_frames=recipe.n_frames,
        crops=recipe.data.test_crops,
        silence=recipe.features.silence,
        lengths=test.lengths,
    )


def per_clip(jobs: list[dict[str, Any]], way: str) -> tuple[np.ndarray, np.ndarray]:
    """Share of seeds that are right for every clip, clips by name, and the clips' recordings."""
    right: dict[str, list[int]] = {}
    recordings: dict[str, str] = {}
    for job in jobs:
        if job["way"] == way:
            for clip, recording, digit in zip(job["clips"], job["recordings"], job["right"], strict=True):
                right.setdefault(clip, []).append(int(digit))
                recordings[clip] = recording
    names = sorted(right)
    return np.array([np.mean(right[name]) for name in names]), np.array([recordings[name] for name in names])


def interval(points: np.ndarray, recordings: np.ndarray) -> dict[str, Any]:
    """Mean of points per clip with its 95 % interval."""
    mean, half = float(points.mean()), 1.96 * clustered_error(points, recordings)
    found = {"points": mean, "95": [mean - half, mean + half], "n_clips": len(points)}
    return found | {"n_recordings": len(set(recordings.tolist()))}


def row(jobs: list[dict[str, Any]], way: str) -> dict[str, Any]:
    mine = [job for job in jobs if job["way"] == way]
    values, recordings = per_clip(mine, way)
    return {
        "accuracy": interval(100 * values, recordings),
        "log_loss": float(np.mean([job["log_loss"] for job in mine])),
        "parameters": mine[0]["parameters"],
        "by_job": [{key: job[key] for key in ("fold", "seed", "right", "log_loss", "epoch_seconds")} for job in mine],
        "recipe": mine[0]["recipe"],
    }


def table(document: dict[str, Any]) -> str:
    lines = [f"folds {document['folds']}, seeds {document['seeds']}, n = {document['gain']['n_clips']} clips"]
    lines.append(f"  {'network':10}{'parameters':>12}{'accuracy':>10}{'95 %':>16}{'log loss':>10}")
    for way, found in document["ways"].items():
        low, high = found["accuracy"]["95"]
        told = f"{found['accuracy']['points']:>9.1f} %{f'[{low:.1f}, {high:.1f}]':>16}{found['log_loss']:>10.3f}"
        lines.append(f"  {way:10}{found['parameters']:>12,}{told}")
    gain = document["gain"]
    low, high = gain["95"]
    lines.append(f"  taught - alone: {gain['points']:+.2f} points [{low:+.2f}, {high:+.2f}] (95 %)")
    return "\n".join(lines)


def main() -> None:
    options = arguments()
    work = options.work or Path(tempfile.mkdtemp(prefix="edgeasc-taught-"))
    machine = describe_machine()
    jobs = []
    for seed in options.seeds:
        for fold in options.folds:
            for way in WAYS:
                jobs.append(run_job(options, way, fold, seed, work))
                right = jobs[-1]["right"]
                print(f"{way} fold {fold} seed {seed}: {right.count('1')} of {len(right)}", file=sys.stderr, flush=True)
    (alone, recordings), (taught, _) = (per_clip(jobs, way) for way in ("alone", "taught"))
    words = " ".join(sys.argv[1:]).replace(str(work), "WORK").replace(str(options.data), "DIR")
    if options.teachers:
        words = words.replace(str(Path(options.teachers).parent.parent), "RUNS")
    document = {
        "schema": 1,
        "benchmark": "taught",
        "date": date.today().isoformat(),
        "command": words.replace(str(options.out), "OUT"),
        "machine": machine,
        "split": [job["split"] for job in jobs if job["way"] == "alone"],
        "folds": options.folds,
        "seeds": options.seeds,
        "ways": {way: row(jobs, way) for way in WAYS},
        "gain": interval(100 * (taught - alone), recordings),
        "clips": {str(job["fold"]): job["clips"] for job in jobs},
    }
    path = options.out / f"{document['date']}-taught-{options.name}.json"
    write_json(path, document)
    print(table(document))
    print(path.name)


if __name__ == "__main__":
    main()
