"""Accuracy on seen and unseen devices with and without residual normalisation, and their paired difference.

    python benchmarks/resnorm.py [--data DIR] [--seeds 0 1 2] [--norms resnorm none freqin pre-resnorm] [--jobs 2]

Without --data: the built-in scenes with the recipe `scenes-demo`; devices a, b, c, s1, s2 and s3 are heard in
training, s4, s5 and s6 are not. With --data, a folder in ESC-50 layout: the recipe `esc10`, one fold held out,
training on the files as recorded; the held-out clips are heard as recorded (seen) and through each of the simulated
devices b, c and s1 to s6 (all unseen), at the level of their files.

Every (norm, seed) is a float training of its own; nothing but the norm differs within a seed, and no norm has
settings of its own: the recipes were made for `resnorm`. Intervals are over the test clips, seeds averaged, with the
clips of one recording counted as one draw: they say how far other clips might change the difference, not how far
other seeds, another fold or other devices might.
Writes benchmarks/results/<date>-resnorm-<name>.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeasc.data.clips import Clip, Dataset

HERE = Path(__file__).parent
NORMS = ("resnorm", "none", "freqin", "pre-resnorm")
AS_RECORDED = "as recorded"
BASELINE = "none"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder in ESC-50 layout; default: built-in scenes")
    parser.add_argument("--fold", type=int, default=None, help="fold to test on, with --data; default: the largest")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--norms", nargs="+", default=list(NORMS), choices=[*NORMS, "global-freqnorm"])
    parser.add_argument("--epochs", type=int, default=None, help="instead of the recipe's")
    parser.add_argument("--jobs", type=int, default=2, help="jobs at once, one thread each")
    parser.add_argument("--name", default=None, help="of the result file")
    parser.add_argument("--work", type=Path, default=None, help="keep run folders here, and take up finished ones")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--job", nargs=2, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_job(options: argparse.Namespace, norm: str, seed: int, work: Path) -> dict[str, Any]:
    """Train with one norm and seed and score every test clip; `right` has one digit per clip, 1 for right."""
    from edgeasc.data.layouts import open_dataset
    from edgeasc.data.split import split
    from edgeasc.recipes import load_recipe
    from edgeasc.train.predict import log_probabilities, network_predict
    from edgeasc.train.run import clip_arrays, cpu_threads, load_network, train_run

    settings = [f'model.options.norm="{norm}"', f"train.seed={seed}", "train.threads=1"]
    settings += [f"train.epochs={options.epochs}"] if options.epochs else []
    recipe = load_recipe(recipe_name(options), tuple(settings))
    dataset = open_dataset(options.data)
    parts = split(dataset, options.fold, recipe.data.validation, seed)
    base, cache = work / f"{norm}-seed{seed}", work / "cache"
    run = train_run(recipe, dataset, parts, base, resume=True, cache=cache)
    network = load_network(base)[0]
    rows: list[dict[str, str]] = []
    right = ""
    for heard, clips in hearings(dataset, parts.test, simulated=options.data is not None):
        test = clip_arrays(heard, clips, recipe, cache)
        with cpu_threads(1):
            logs = log_probabilities(
                network_predict(network),
                test.features,
                n_frames=recipe.n_frames,
                crops=recipe.data.test_crops,
                silence=recipe.features.silence,
            )
        right += "".join("01"[hit] for hit in (logs.argmax(1) == test.labels).astype(int))
        rows += [{"clip": c.id, "recording": c.group, "device": c.device or AS_RECORDED} for c in clips]
    return {
        "norm": norm,
        "seed": seed,
        "split": parts.rule,
        "labels": list(dataset.labels),
        "recipe": recipe.model_dump(mode="json"),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "seen_devices": sorted({clip.device or AS_RECORDED for clip in parts.train}),
        "rows": rows,
        "right": right,
        "epoch_seconds": round(sum(float(row["seconds"]) for row in run.history()), 1),
        "cpu_seconds": round(time.process_time(), 1),  # of this process: little where a finished run was taken up
    }


def hearings(dataset: Dataset, clips: Sequence[Clip], simulated: bool) -> Iterator[tuple[Dataset, Sequence[Clip]]]:
    """The test clips as they are and, where `simulated`, through every simulated device but the reference."""
    yield dataset, clips
    if simulated:
        from edgeasc.data.scene_devices import DEVICES
        from edgeasc.data.through_devices import heard_through

        for device in DEVICES[1:]:
            heard = heard_through(dataset, device.name)
            yield heard, heard.find(clip.id for clip in clips)


def recipe_name(options: argparse.Namespace) -> str:
    return "scenes-demo" if options.data is None else "esc10"


def collect(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """All jobs, each in a process of its own."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")

    def one(job: tuple[str, int]) -> dict[str, Any]:
        command = [sys.executable, __file__, *sys.argv[1:], "--work", str(work), "--job", job[0], str(job[1])]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        told = f"{np.mean([int(digit) for digit in result['right']]):.1%} of all test clips"
        print(f"{job[0]} seed {job[1]}: {told}, {result['cpu_seconds']:.0f} s of CPU", file=sys.stderr)
        return result

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(one, [(norm, seed) for seed in options.seeds for norm in options.norms]))


@dataclass(frozen=True)
class Scored:
    """Which of the n heard clips were right, for all norms and seeds."""

    right: dict[str, NDArray[np.float64]]  # by norm, [n_seeds, n]
    devices: NDArray[np.str_]  # [n]
    recordings: NDArray[np.str_]  # [n]
    seen_devices: tuple[str, ...]

    @classmethod
    def of(cls, jobs: list[dict[str, Any]]) -> Scored:
        first = jobs[0]
        if any(job["rows"] != first["rows"] for job in jobs):
            raise SystemExit("the jobs scored different clips")
        right: dict[str, list[list[int]]] = {}
        for job in jobs:
            right.setdefault(job["norm"], []).append([int(digit) for digit in job["right"]])
        return cls(
            {norm: np.array(rows, np.float64) for norm, rows in right.items()},
            np.array([row["device"] for row in first["rows"]]),
            np.array([row["recording"] for row in first["rows"]]),
            tuple(first["seen_devices"]),
        )

    @cached_property
    def parts(self) -> dict[str, NDArray[np.bool_]]:
        """Which clips are heard through seen devices and which through unseen ones."""
        seen = np.isin(self.devices, self.seen_devices)
        return {"seen": seen, "unseen": ~seen}

    def accuracies(self, norm: str) -> dict[str, Any]:
        """Mean over seeds, per seed, and per device."""
        right = self.right[norm]
        document: dict[str, Any] = {
            part: {"accuracy": float(right[:, which].mean()), "by_seed": right[:, which].mean(1).tolist()}
            for part, which in self.parts.items()
        }
        devices = np.unique(self.devices).tolist()
        return document | {"per_device": {name: float(right[:, self.devices == name].mean()) for name in devices}}

    def differences(self, norm: str) -> dict[str, Any]:
        """Points gained over the baseline, with their 95 % interval."""
        gained = self.right[norm] - self.right[BASELINE]
        document = {}
        for part, which in self.parts.items():
            points = 100 * gained[:, which]
            half = 1.96 * clustered_error(points.mean(0), self.recordings[which])
            mean = float(points.mean())
            document[part] = {
                "points": mean,
                "95": [mean - half, mean + half],
                "by_seed": points.mean(1).tolist(),
                "n_clips": int(which.sum()),
                "n_recordings": len(set(self.recordings[which].tolist())),
            }
        return document


def clustered_error(values: NDArray[np.float64], groups: NDArray[np.str_]) -> float:
    """Standard error of the mean of `values` [n] when whole `groups` [n] are drawn; the usual one for groups of one."""
    _, index = np.unique(groups, return_inverse=True)
    sums = np.bincount(index, values - values.mean())
    count = len(sums)
    return float(np.sqrt(count / (count - 1) * np.square(sums).sum()) / len(values))


def table(document: dict[str, Any]) -> str:
    unseen = [name for name in document["devices"] if name not in document["seen_devices"]]
    lines = [
        f"{document['data']}: {document['n_heard']} hearings, seeds {document['seeds']}, {document['epochs']} epochs",
        f"  seen: {', '.join(document['seen_devices'])}; unseen: {', '.join(unseen)}",
    ]
    widths = [max(len(name), 6) + 2 for name in document["devices"]]
    heads = "".join(f"{name:>{width}}" for name, width in zip(document["devices"], widths, strict=True))
    lines.append(f"  {'norm':16}{'seen':>8}{'unseen':>8}  {heads}")
    for norm, row in document["accuracy"].items():
        each = "".join(f"{v:{width}.1%}" for v, width in zip(row["per_device"].values(), widths, strict=True))
        lines.append(f"  {norm:16}{row['seen']['accuracy']:8.1%}{row['unseen']['accuracy']:8.1%}  {each}")
    for norm, row in document["gain_over_none"].items():
        for part, gain in row.items():
            low, high = gain["95"]
            n = f"n={gain['n_clips']} clips of {gain['n_recordings']} recordings"
            seeds = ", ".join(f"{points:+.1f}" for points in gain["by_seed"])
            words = f"{gain['points']:+6.2f} points [{low:+.2f}, {high:+.2f}] (95 %, {n}; by seed {seeds})"
            lines.append(f"  {norm} - {BASELINE}, {part:6} {words}")
    return "\n".join(lines)


def without_norm(model_options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model_options.items() if key != "norm"}


def check(options: argparse.Namespace) -> None:
    """Refuse data whose clips name their devices: 'as recorded' would mean several."""
    if options.data is None:
        return
    from edgeasc.data.layouts import open_dataset

    devices = open_dataset(options.data).devices
    if devices:
        raise SystemExit(f"--data: the clips were recorded by {', '.join(devices)}; expected no named devices")


def main() -> None:
    options = arguments()
    work = options.work or Path(tempfile.mkdtemp(prefix="edgeasc-resnorm-"))
    if options.job is not None:
        print(json.dumps(run_job(options, options.job[0], int(options.job[1]), work)))
        return
    from edgeasc.bench.machine import describe_machine
    from edgeasc.files import write_json

    check(options)
    machine = describe_machine()
    jobs = collect(options, work)
    scored = Scored.of(jobs)
    rows, recipe = jobs[0]["rows"], jobs[0]["recipe"]
    words = " ".join(sys.argv[1:]).replace(str(work), "WORK")
    document = {
        "schema": 1,
        "benchmark": "resnorm",
        "date": date.today().isoformat(),
        "command": words if options.data is None else words.replace(str(options.data), "DIR"),
        "machine": machine,
        "data": "built-in scenes" if options.data is None else "ESC-50 layout through simulated devices",
        "recipe": recipe_name(options),
        "model": {"name": recipe["model"]["name"], "options": without_norm(recipe["model"]["options"])},
        "epochs": recipe["train"]["epochs"],
        "labels": jobs[0]["labels"],
        "seeds": options.seeds,
        "n_heard": len(rows),
        "devices": sorted({row["device"] for row in rows}),
        "seen_devices": jobs[0]["seen_devices"],
        "accuracy": {norm: scored.accuracies(norm) for norm in options.norms},
        "gain_over_none": {
            norm: scored.differences(norm) for norm in options.norms if norm != BASELINE and BASELINE in options.norms
        },
        "clips": [f"{row['clip']} ({row['device']})" for row in rows],
        "jobs": [
            {key: job[key] for key in ("norm", "seed", "split", "parameters", "right", "epoch_seconds", "cpu_seconds")}
            for job in jobs
        ],
    }
    name = options.name or ("scenes" if options.data is None else "esc10")
    path = options.out / f"{document['date']}-resnorm-{name}.json"
    write_json(path, document)
    print(table(document))
    print(path)


if __name__ == "__main__":
    main()
