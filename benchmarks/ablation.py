"""What each part of the primates' training does for a small CNN10 on ESC-10: the rows of the paper's Table 3.

    python benchmarks/ablation.py --data DIR [--folds 1 2 3 4] [--seeds 0] [--iterations 500] [--width 0.25] [--thinned]

Every (fold, seed, row) is one training on the other folds, without looking at the held-out one: no validation part, no
choice of epoch, last weights. The row without moving average is not trained again: it is the trained weights of the
row above it, which an average does not touch. ESC-10 has equally many clips of each class, the primates have not; with
--thinned the two rows that compare the samplers are also trained on clips thinned to the primates' proportions.
Clips are heard as the mean of eight crops. Writes benchmarks/results/<date>-ablation.json and .md.
Source of rows: Pellegrini, Interspeech 2021, Table 3, from `edgeasc reproduce primates-table3`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
TABLE = HERE.parent / "edgeasc" / "reproduce" / "primates-table3.toml"
CROPS = 8
WITHOUT_EMA = "train.ema=none"
# Of 24 training clips, so many per class: 50.0, 32.1, 2.3, 12.6 and 3.0 % of the primates, but never fewer than two.
THINNED = (24, 15, 2, 6, 2)
THIN = ", thinned"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder in ESC-50 layout")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--seconds", type=float, default=2.0, help="of the crops that are trained on")
    parser.add_argument("--precision", choices=["32", "bf16"], default="bf16")
    parser.add_argument("--thinned", action="store_true", help="also compare the samplers on unequal classes")
    parser.add_argument("--work", type=Path, default=None, help="keep run folders here, and take up those there")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def table_rows() -> dict[str, tuple[str, ...]]:
    """The rows of the paper's table with their settings, and the thinned ones."""
    rows = {row["name"]: tuple(row.get("settings", ())) for row in tomllib.loads(TABLE.read_text())["rows"]}
    return rows | {name + THIN: rows[name] for name in list(rows)[:2]}


def settings(options: argparse.Namespace, seed: int, row: Sequence[str]) -> tuple[str, ...]:
    """What is changed in the recipe `cnn10`."""
    return (
        f"model.options.width={options.width}",
        f"data.clip_seconds={options.seconds}",
        "data.crop=random",
        f"data.test_crops={CROPS}",
        "data.validation=0",
        f"train.iterations={options.iterations}",
        f"train.evaluate_every={options.iterations}",
        f"train.ema_start={options.iterations // 4}",
        f"train.precision='{options.precision}'",
        "train.threads=1",
        f"train.seed={seed}",
        *row,
    )


def thinned(clips: Sequence[Any], fold: int) -> tuple[Any, ...]:
    """Training clips in unequal numbers, which are the same for every row."""
    kept = []
    for label in sorted({clip.label for clip in clips}):
        own = [clip for clip in clips if clip.label == label]
        order = np.random.default_rng([fold, label]).permutation(len(own))
        kept += [own[index] for index in order[: THINNED[label % len(THINNED)]]]
    return tuple(kept)


def run_job(options: argparse.Namespace, work: Path, fold: int, seed: int, name: str) -> list[dict[str, Any]]:
    """Train one row and score it; the row with everything also without its average."""
    from edgeasc.data.layouts import open_dataset
    from edgeasc.data.split import split
    from edgeasc.recipes import load_recipe
    from edgeasc.train.run import clip_arrays, load_network, train_run

    recipe = load_recipe("cnn10", settings(options, seed, table_rows()[name]))
    dataset = open_dataset(options.data)
    parts = split(dataset, fold=fold, validation=0.0)
    if name.endswith(THIN):
        parts = replace(parts, train=thinned(parts.train, fold), rule=parts.rule + "; thinned")
    folder = work / f"fold{fold}-seed{seed}" / "".join(c if c.isalnum() else "-" for c in name)
    started = time.perf_counter()
    run = train_run(recipe, dataset, parts, folder, resume=True, cache=work / "cache")
    test = clip_arrays(dataset, parts.test, recipe, work / "cache")
    base = {
        "fold": fold,
        "seed": seed,
        "n_train": len(parts.train),
        "clips": [clip.id for clip in parts.test],
        "seconds": round(time.perf_counter() - started, 1),
    }
    network = load_network(run.path)[0]
    results = [{"row": name, **base, **scored(network, test, recipe)}]
    if not table_rows()[name]:
        training = clip_arrays(dataset, parts.train, recipe, work / "cache")
        network = without_average(network, run, training, recipe)
        results.append({"row": WITHOUT_EMA, **base, **scored(network, test, recipe)})
    return results


def without_average(network: Any, run: Any, training: Any, recipe: Any) -> Any:
    """The trained weights of a run, with statistics measured as those of its average were."""
    from edgeasc.train.loop import plain_inputs
    from edgeasc.train.norm_statistics import reestimate
    from edgeasc.train.weights import load_weights, read_tensors

    stored = read_tensors(run.optimizer)[0]
    trained = {name.removeprefix("network."): t for name, t in stored.items() if name.startswith("network.")}
    load_weights(network, trained, run.optimizer)
    if recipe.train.precision != "32":
        reestimate(network, plain_inputs(training, recipe, recipe.train.batch_size))
    return network.eval()


def scored(network: Any, test: Any, recipe: Any) -> dict[str, Any]:
    """Which test clips are right, and the mean average precision of this fold."""
    from edgeasc.train.metrics import scores
    from edgeasc.train.predict import class_probabilities, crop_logits, mean_log_softmax, network_predict

    logits = crop_logits(
        network_predict(network),
        test.features,
        n_frames=recipe.n_frames,
        crops=CROPS,
        silence=recipe.features.silence,
        lengths=test.lengths,
    )
    logs = mean_log_softmax(logits)
    found = scores(logs, test.labels, class_probabilities(logits, recipe.sigmoids))
    return {
        "right": (logs.argmax(1) == test.labels).astype(int).tolist(),
        "labels": test.labels.tolist(),
        "macro_accuracy": found.macro_accuracy,
        "mean_average_precision": found.mean_average_precision,
    }


def collect(options: argparse.Namespace, work: Path) -> list[dict[str, Any]]:
    """All jobs: complete folds first, the thinned ones last."""
    import torch

    torch.set_num_threads(1)
    names = [name for name, row in table_rows().items() if WITHOUT_EMA not in row]
    kinds = (False, True) if options.thinned else (False,)
    order = [(thin, fold, seed) for thin in kinds for seed in options.seeds for fold in options.folds]
    results = []
    for thin, fold, seed in order:
        for name in names:
            if name.endswith(THIN) != thin:
                continue
            for result in run_job(options, work, fold, seed, name):
                results.append(result)
                words = f"UAR {result['macro_accuracy']:.1%}  mAP {result['mean_average_precision']:.1%}"
                print(f"fold {fold} seed {seed} {result['row']:32} {words}  {result['seconds']} s", file=sys.stderr)
    return results


def summary(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per row: means, and the paired difference of accuracy to another row with its 95 % interval.

    The sampler is compared with the row before, what is added to it with it, and the row without average with that
    with it. Of a clip scored with several seeds the mean counts; the interval is over clips.
    """
    rows: list[dict[str, Any]] = []
    found: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(job["row"] for job in jobs):
        own = [job for job in jobs if job["row"] == name]
        clips = per_clip(own)
        row = {
            "row": "w/o EMA" if name == WITHOUT_EMA else name,
            "n_clips": len(clips),
            "folds": sorted({job["fold"] for job in own}),
            "seeds": sorted({job["seed"] for job in own}),
            "macro_accuracy": float(np.mean([job["macro_accuracy"] for job in own])),
            "mean_average_precision": float(np.mean([job["mean_average_precision"] for job in own])),
            "macro_accuracy_by_run": [job["macro_accuracy"] for job in own],
        }
        other = compared_with(name)
        if other in found:
            row |= {"compared_with": other}
            row["difference_points"], row["difference_95"] = paired(found[other], clips)
        rows.append(row)
        found[name] = clips
    return rows


def compared_with(name: str) -> str:
    """The row that differs from this one by what its name adds."""
    plain, balanced, *_ = names = list(table_rows())
    if name == WITHOUT_EMA:
        return next(other for other in names if not table_rows()[other])
    if name.startswith(balanced):
        return name.replace(balanced, plain)
    return "" if name.startswith(plain) else balanced


def per_clip(jobs: list[dict[str, Any]]) -> dict[str, float]:
    """How often every clip was right, over the seeds."""
    found: dict[str, list[int]] = {}
    for job in jobs:
        for clip, right in zip(job["clips"], job["right"], strict=True):
            found.setdefault(clip, []).append(right)
    return {clip: float(np.mean(rights)) for clip, rights in found.items()}


def paired(before: dict[str, float], after: dict[str, float]) -> tuple[float, list[float]]:
    """Mean difference in points over the clips that both have, and its 95 % interval."""
    difference = 100 * np.array([after[clip] - before[clip] for clip in after if clip in before])
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    return float(difference.mean()), [float(difference.mean() - half), float(difference.mean() + half)]


def table(document: dict[str, Any]) -> str:
    o = document["options"]
    lines = [
        "# What each part of the training does",
        "",
        f"CNN10 at width {o['width']:g} on ESC-10, folds {o['folds']} each held out once, seeds {o['seeds']}, "
        f"{o['iterations']} iterations of 32 on crops of {o['seconds']:g} s, moving average from iteration "
        f"{o['iterations'] // 4}, last weights, {o['precision']}; scores of {CROPS} crops averaged. The paper trains "
        "60,000 iterations on 6,915 clips.",
        "",
        "| row | UAR | mAP | difference, points [95 %] | to | n clips |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for row in document["rows"]:
        change = "-"
        if "difference_points" in row:
            low, high = row["difference_95"]
            change = f"{row['difference_points']:+.1f} [{low:+.1f}, {high:+.1f}]"
        scores = f"{row['macro_accuracy']:.1%} | {row['mean_average_precision']:.1%}"
        lines.append(f"| {row['row']} | {scores} | {change} | {row.get('compared_with', '')} | {row['n_clips']} |")
    lines += [
        "",
        f"Thinned: {THINNED} of 24 clips per class, twice over the ten classes, as unequal as the primates are.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    from edgeasc.bench.machine import describe_machine
    from edgeasc.files import write_json, write_text

    options = arguments()
    work = options.work or Path(tempfile.mkdtemp(prefix="edgeasc-ablation-"))
    jobs = collect(options, work)
    document = {
        "schema": 1,
        "benchmark": "ablation",
        "date": date.today().isoformat(),
        "machine": describe_machine(),
        "options": {key: value for key, value in vars(options).items() if key not in ("data", "work", "out")},
        "settings": {name: list(settings(options, options.seeds[0], row)) for name, row in table_rows().items()},
        "rows": summary(jobs),
        "jobs": jobs,
    }
    path = options.out / f"{document['date']}-ablation.json"
    write_json(path, document)
    write_text(path.with_suffix(".md"), table(document))
    print(table(document), path, sep="\n")


if __name__ == "__main__":
    main()
