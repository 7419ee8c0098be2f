"""Cross-validation on ESC-10: float and compressed accuracy over folds and seeds, with their paired difference.

    python benchmarks/esc10.py --data DIR [--c 10] [--seeds 0 1 2] [--folds 1 2 3 4] [--budget 128KiB | --sparsity 0.89]

Every (fold, seed) is a job of its own, trained on the other folds without looking at the held-out one: no validation
part, no choice of epoch, last weights. Accuracy on whole clips and averaged over crops are both given, never mixed.
Writes benchmarks/results/<date>-esc10-<name>.json and prints a table.
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

HERE = Path(__file__).parent
CROPS = 8
WHOLE_SECONDS = 5.0  # what a clip of this data set is
CROP_SECONDS = 4.0  # of the crops averaged where the network was trained on whole clips


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder in ESC-50 layout")
    parser.add_argument("--recipe", default="esc10")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=V", help="change the recipe")
    parser.add_argument("--c", type=int, default=10, help="width of BC-ResNet-Mod")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--budget", default=None, help="size, such as 128KiB")
    parser.add_argument("--sparsity", type=float, default=None)
    parser.add_argument("--form", default="int8", choices=["int8", "island"])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="jobs at once, one thread each")
    parser.add_argument("--name", default=None, help="of the result file")
    parser.add_argument("--work", type=Path, default=None, help="keep run folders here, and take up finished ones")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--job", type=int, nargs=2, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_job(options: argparse.Namespace, fold: int, seed: int, work: Path) -> dict[str, Any]:
    """Train, compress and score one held-out fold; per-clip correctness for the paired comparison."""
    import torch

    from edgeasc.compress.quantized import load_quantized, net_predict
    from edgeasc.compress.run import Request, compress_run
    from edgeasc.data.layouts import open_dataset
    from edgeasc.data.split import split
    from edgeasc.recipes import load_recipe
    from edgeasc.sizes import parse_size
    from edgeasc.train.predict import log_probabilities, network_predict
    from edgeasc.train.run import clip_arrays, load_network, train_run

    torch.set_num_threads(1)
    settings = (
        *options.set,
        f"model.options.c={options.c}",
        f"train.seed={seed}",
        "train.threads=1",
        "data.validation=0",
    )
    recipe = load_recipe(options.recipe, settings)
    dataset = open_dataset(options.data)
    parts = split(dataset, fold=fold, validation=0.0)
    base, cache = work / f"fold{fold}-seed{seed}", work / "cache"
    started = time.perf_counter()
    train_run(recipe, dataset, parts, base / "float", resume=True, cache=cache)
    trained = time.perf_counter()
    budget = None if options.budget is None else parse_size(options.budget)
    request = Request(budget=budget, sparsity=options.sparsity, form=options.form, resume=True)
    if not (base / "int8" / "model.onnx").exists():
        compress_run(base / "float", dataset, base / "int8", request, cache=cache)
    compressed = time.perf_counter()
    test = clip_arrays(dataset, parts.test, recipe, cache)
    network, net = load_network(base / "float")[0], load_quantized(base / "int8")
    spec = recipe.features
    crop_seconds = recipe.data.clip_seconds if recipe.data.crop == "random" else CROP_SECONDS
    whole, crop = (spec.n_frames(round(seconds * spec.sample_rate)) for seconds in (WHOLE_SECONDS, crop_seconds))
    floats, whole_net, crop_net = network_predict(network), net.resized(whole), net.resized(crop)

    def right(predict: Any, n_frames: int, crops: int) -> list[int]:
        # A few files are longer than 5 s, and all are stored padded to the longest: cut to what a clip is.
        logs = log_probabilities(
            predict, test.features[..., :whole], n_frames=n_frames, crops=crops, silence=spec.silence
        )
        return (logs.argmax(1) == test.labels).astype(int).tolist()  # type: ignore[no-any-return]

    document = json.loads((base / "int8" / "stages.json").read_text())
    return {
        "fold": fold,
        "seed": seed,
        "n": len(test),
        "clips": [clip.id for clip in parts.test],
        "right": {
            "float": {"whole": right(floats, whole, 1), "crops": right(floats, crop, CROPS)},
            "compressed": {
                "whole": right(net_predict(whole_net, "exact"), whole, 1),
                "crops": right(net_predict(crop_net, "exact"), crop, CROPS),
            },
        },
        "crop_seconds": crop_seconds,
        "nonzero_bytes": document["nonzero_bytes"],
        "plan": document["plan"],
        "seconds": {"train": round(trained - started, 1), "compress": round(compressed - trained, 1)},
    }


def collect(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """All jobs, each in a process of its own."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")

    def one(job: tuple[int, int]) -> dict[str, Any]:
        command = [sys.executable, __file__, *sys.argv[1:], "--work", str(work), "--job", str(job[0]), str(job[1])]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        scores = {stage: np.mean(result["right"][stage]["crops"]) for stage in ("float", "compressed")}
        print(f"fold {job[0]} seed {job[1]}: " + ", ".join(f"{k} {v:.1%}" for k, v in scores.items()), file=sys.stderr)
        return result

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(one, [(fold, seed) for seed in options.seeds for fold in options.folds]))


def summary(jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean accuracies over folds and seeds, and the paired loss in points with its 95 % interval over clips."""
    document: dict[str, Any] = {}
    for view in ("whole", "crops"):
        per_clip: dict[str, dict[str, list[int]]] = {}
        for job in jobs:
            for stage in ("float", "compressed"):
                for clip, right in zip(job["clips"], job["right"][stage][view], strict=True):
                    per_clip.setdefault(clip, {"float": [], "compressed": []})[stage].append(right)
        means = {s: np.array([np.mean(clip[s]) for clip in per_clip.values()]) for s in ("float", "compressed")}
        loss = means["float"] - means["compressed"]
        half = 1.96 * loss.std(ddof=1) / np.sqrt(len(loss))
        by_seed = {
            s: [
                float(np.mean([r for j in jobs if j["seed"] == seed for r in j["right"][s][view]]))
                for seed in _seeds(jobs)
            ]
            for s in ("float", "compressed")
        }
        document[view] = {
            "n_clips": len(loss),
            "seeds": _seeds(jobs),
            "float": float(means["float"].mean()),
            "compressed": float(means["compressed"].mean()),
            "by_seed": by_seed,
            "loss_points": float(100 * loss.mean()),
            "loss_95": [float(100 * (loss.mean() - half)), float(100 * (loss.mean() + half))],
        }
    return document


def _seeds(jobs: list[dict[str, Any]]) -> list[int]:
    return sorted({job["seed"] for job in jobs})


def _command(options: argparse.Namespace, work: Path) -> str:
    """The arguments, without the folders of this machine."""
    text = " ".join(sys.argv[1:])
    for folder, name in ((work, "WORK"), (options.data, "DIR"), (options.out, "OUT")):
        text = text.replace(str(folder), name)
    return text


def table(document: dict[str, Any]) -> str:
    lines = [
        f"ESC-10, folds {document['folds']}, c={document['c']}, form {document['form']}, seeds {document['seeds']}"
    ]
    for view, title in (
        ("whole", "whole clips"),
        ("crops", f"mean of {CROPS} crops of {document['crop_seconds']:g} s"),
    ):
        row = document["summary"][view]
        low, high = row["loss_95"]
        lines.append(
            f"  {title:23} float {row['float']:6.2%}  compressed {row['compressed']:6.2%}  "
            f"lost {row['loss_points']:+.2f} points [{low:+.2f}, {high:+.2f}] (95 %, n={row['n_clips']} clips)"
        )
    lines.append(f"  non-zero bytes {min(document['nonzero_bytes']):,} to {max(document['nonzero_bytes']):,}")
    return "\n".join(lines)


def main() -> None:
    options = arguments()
    work = options.work or Path(tempfile.mkdtemp(prefix="edgeasc-esc10-"))
    if options.job is not None:
        print(json.dumps(run_job(options, *options.job, work)))
        return
    from edgeasc.bench.machine import describe_machine
    from edgeasc.files import write_json

    jobs = collect(options, work)
    document = {
        "schema": 1,
        "benchmark": "esc10",
        "date": date.today().isoformat(),
        "command": _command(options, work),
        "machine": describe_machine(),
        "c": options.c,
        "form": options.form,
        "folds": options.folds,
        "seeds": options.seeds,
        "crop_seconds": jobs[0]["crop_seconds"],
        "nonzero_bytes": [job["nonzero_bytes"] for job in jobs],
        "summary": summary(jobs),
        "jobs": jobs,
    }
    name = options.name or f"c{options.c}-{options.form}"
    path = options.out / f"{document['date']}-esc10-{name}.json"
    write_json(path, document)
    print(table(document))
    print(path)


if __name__ == "__main__":
    main()
