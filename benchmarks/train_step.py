"""Time and memory of a training step of EAT-S-GMME and CNN10: the package's loop against a plain torch loop.

    python benchmarks/train_step.py [--models cnn10 eat-s-gmme] [--batch 8] [--steps 12] [--precision 32]

`bare`: the recipe without augmentation, average and mixing, which does what the plain loop does. `recipe`: everything
that the recipe asks for. The plain loop runs between two steps of ours, on the same clips of noise and with the same
optimiser: steps alternate, so that whatever else the machine does meets both, and time is that of the processor for
this one thread. Peak memory is that of a process of its own for each.
Writes benchmarks/results/<date>-train-step.json and .md.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
CLASSES, CLIPS, UNCOUNTED = 10, 32, 2
BARE = {
    "cnn10": ("augment.mixup_alpha=0", "augment.freq_masks=0", "augment.time_masks=0", "train.ema=none"),
    "eat-s-gmme": ("wave_augment.probability=0", "wave_augment.mixes=[]", "wave_augment.resample_probability=0"),
}
KINDS = ("bare", "recipe", "plain")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(BARE), choices=list(BARE))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--precision", choices=["32", "bf16"], default="32")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--memory-of", nargs=2, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


class Bench:
    """One network with its recipe, training clips of noise, and both loops."""

    def __init__(self, options: argparse.Namespace, model: str, kind: str) -> None:
        from edgeasc.recipes import load_recipe
        from edgeasc.train.batches import ClipArrays

        fixed = (
            f"train.batch_size={options.batch}",
            f"train.iterations={options.steps}",
            f"train.evaluate_every={options.steps}",
            f"train.precision='{options.precision}'",
            "train.ema_start=0",
        )
        self.recipe = load_recipe(model, (*fixed, *(BARE[model] if kind == "bare" else ())))
        self.steps, self.batch = options.steps, options.batch
        spec = self.recipe.features
        shape = (CLIPS, 1, spec.n_mels, self.recipe.n_frames)
        noise = np.random.default_rng(0).normal(0.0, 0.3, shape).astype(np.float32)
        self.clips = ClipArrays(noise, np.arange(CLIPS) % CLASSES, CLASSES)

    def network(self) -> Any:
        """A fresh network."""
        import torch

        from edgeasc.nn.registry import create_model

        torch.manual_seed(0)
        return create_model(self.recipe.model.name, CLASSES, **self.recipe.model.options)

    def plain_step(self) -> Callable[[], None]:
        """One step of a loop as one would write it down: take clips, forward, backward, update."""
        import torch
        from torch.nn import functional

        network, train = self.network().train(), self.recipe.train
        betas = (train.momentum, train.beta2)
        kind = torch.optim.AdamW if train.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(
            network.parameters(), lr=train.lr, betas=betas, weight_decay=train.weight_decay, amsgrad=train.amsgrad
        )
        rng = np.random.default_rng(1)
        half = torch.autocast("cpu", torch.bfloat16) if train.precision == "bf16" else nullcontext()

        def step() -> None:
            chosen = rng.integers(0, CLIPS, self.batch)
            inputs = torch.from_numpy(self.clips.features[chosen])
            labels = torch.from_numpy(self.clips.labels[chosen])
            optimizer.zero_grad()
            with half:
                logits = network(inputs)
            functional.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

        return step

    def ours(self, between: Callable[[], None]) -> None:
        """The package's loop, with something done after every step."""
        from edgeasc.train.loop import fit
        from edgeasc.train.phase import Hooks, Phase

        fit(self.network(), self.clips, Phase.of(self.recipe), self.recipe, hooks=Hooks(after_step=lambda _: between()))


def timed(bench: Bench) -> dict[str, Any]:
    """Processor seconds of every counted step of both loops, alternating."""
    plain, marks = bench.plain_step(), [time.process_time()]
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}

    def between() -> None:
        seconds["ours"].append(time.process_time() - marks[-1])
        started = time.process_time()
        plain()
        marks.append(time.process_time())
        seconds["plain"].append(marks[-1] - started)

    bench.ours(between)
    counted = {name: np.array(values[UNCOUNTED:]) for name, values in seconds.items()}
    ratio = counted["ours"] / counted["plain"]
    return {
        "ours_median_ms": float(1e3 * np.median(counted["ours"])),
        "plain_median_ms": float(1e3 * np.median(counted["plain"])),
        "ratio_median": float(np.median(ratio)),
        "ratio_quartiles": [float(value) for value in np.percentile(ratio, (25, 75))],
        "steps": len(ratio),
        "seconds": {name: [round(float(value), 5) for value in values] for name, values in counted.items()},
    }


def memory(options: argparse.Namespace, model: str, kind: str) -> int:
    """Peak resident bytes of a few steps of one loop, in this process."""
    bench = Bench(options, model, kind)
    if kind == "plain":
        step = bench.plain_step()
        for _ in range(options.steps):
            step()
    else:
        bench.ours(lambda: None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_apart(options: argparse.Namespace, model: str, kind: str) -> int:
    """`memory` in a process of its own."""
    command = [sys.executable, __file__, "--batch", str(options.batch), "--steps", "3"]
    command += ["--precision", options.precision, "--memory-of", model, kind]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def table(document: dict[str, Any]) -> str:
    lines = [
        "# Training step against a plain loop",
        "",
        f"Batch {document['batch']}, one thread, {document['precision']}, {document['machine']['cpu']}; "
        "median processor time of alternating steps, ratio with its quartiles; peak memory of a process of its own.",
        "",
        "| network | loop | ms per step | plain ms | ratio | peak MiB | plain MiB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in document["rows"]:
        low, high = row["ratio_quartiles"]
        peak = {kind: row["peak_bytes"][kind] / 2**20 for kind in row["peak_bytes"]}
        lines.append(
            f"| {row['model']} | {row['kind']} | {row['ours_median_ms']:.0f} | {row['plain_median_ms']:.0f} | "
            f"{row['ratio_median']:.2f} [{low:.2f}, {high:.2f}] | {peak['ours']:.0f} | {peak['plain']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    import torch

    options = arguments()
    torch.set_num_threads(1)
    if options.memory_of is not None:
        print(memory(options, *options.memory_of))
        return
    from edgeasc.bench.machine import describe_machine
    from edgeasc.files import write_json, write_text

    rows = []
    for model in options.models:
        peaks = {kind: memory_apart(options, model, kind) for kind in KINDS}
        for kind in ("bare", "recipe"):
            row = {"model": model, "kind": kind, **timed(Bench(options, model, kind))}
            rows.append(row | {"peak_bytes": {"ours": peaks[kind], "plain": peaks["plain"]}})
    document = {
        "schema": 1,
        "benchmark": "train-step",
        "date": date.today().isoformat(),
        "machine": describe_machine(),
        "batch": options.batch,
        "precision": options.precision,
        "rows": rows,
    }
    path = options.out / f"{document['date']}-train-step.json"
    write_json(path, document)
    write_text(path.with_suffix(".md"), table(document))
    print(table(document), path, sep="\n")


if __name__ == "__main__":
    main()
