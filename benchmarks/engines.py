"""Both compression engines side by side: same network, same clips, same plan, same numbers of epochs.

    python benchmarks/engines.py [--epochs 10] [--prune-epochs 4] [--quantize-epochs 4] [--exact-epochs 1]
                                 [--budget 4KiB | --sparsity 0.5] [--seeds 0] [--form int8] [--data DIR]

For each engine and seed: accuracy after every stage, parity of the fake-quantised network with its integers, tensors
that the engine left without a scale, and the time of one training step (the steps of all kinds in turns, medians,
a plain float step beside them). Writes benchmarks/results/<date>-engines.json and prints a table.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import tempfile
import time
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor, nn

from edgeasc.bench.machine import describe_machine
from edgeasc.compress.engine import ENGINES
from edgeasc.compress.nncf_engine import quantized_by_nncf
from edgeasc.compress.quantized import load_quantized
from edgeasc.compress.quantnet import QuantNet
from edgeasc.compress.run import Request, compress_run
from edgeasc.data.clips import Dataset
from edgeasc.data.layouts import open_dataset
from edgeasc.data.split import split
from edgeasc.files import write_json
from edgeasc.recipes import load_recipe
from edgeasc.runs import Run
from edgeasc.sizes import parse_size
from edgeasc.specs import Recipe
from edgeasc.tables import Table, as_text
from edgeasc.train.batches import ClipArrays
from edgeasc.train.loop import plain_inputs
from edgeasc.train.progress import Lines
from edgeasc.train.run import clip_arrays, load_network, train_run
from edgeasc.train.weights import read_tensors

HERE = Path(__file__).parent


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="another data set than the built-in scenes")
    parser.add_argument("--recipe", default="scenes-demo")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=V", help="change the recipe")
    parser.add_argument("--epochs", type=int, default=10, help="of float training")
    parser.add_argument("--prune-epochs", type=int, default=4)
    parser.add_argument("--quantize-epochs", type=int, default=4)
    parser.add_argument("--exact-epochs", type=int, default=1, help="how many of those run the integer kernels")
    parser.add_argument("--budget", default=None, help="size, such as 4KiB")
    parser.add_argument("--sparsity", type=float, default=None, help="0.5 unless a budget is given")
    parser.add_argument("--form", default="int8", choices=["int8", "island"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--repeats", type=int, default=15, help="of every timed step")
    parser.add_argument("--work", type=Path, default=None, help="keep run folders here, and take up finished ones")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args()


def recipe_of(options: argparse.Namespace, seed: int) -> Recipe:
    settings = {
        "train.epochs": options.epochs,
        "train.seed": seed,
        "train.threads": 1,
        "data.validation": 0.0,
        "prune.epochs": options.prune_epochs,
        "quantize.epochs": options.quantize_epochs,
        "quantize.exact_epochs": options.exact_epochs,
    }
    changes = [f"{key}={value}" for key, value in settings.items()]
    return load_recipe(options.recipe, (*changes, f'quantize.form="{options.form}"', *options.set))


def compressed(options: argparse.Namespace, dataset: Dataset, parent: Path, engine: str, work: Path) -> dict[str, Any]:
    """One engine's compression of the trained run `parent`: scores by stage, parity, seconds."""
    out = parent.with_name(f"{parent.name}-{engine}-{options.form}")
    budget = None if options.budget is None else parse_size(options.budget)
    sparsity = options.sparsity if options.sparsity is not None or budget is not None else 0.5
    request = Request(budget=budget, sparsity=sparsity, engine=engine, resume=True)
    if not (out / "parity.safetensors").exists():
        compress_run(parent, dataset, out, request, progress=Lines(), cache=work / "cache")
    document = json.loads((out / "stages.json").read_text())
    stages = {stage["name"]: stage["evaluation"] for stage in document["stages"]}
    return {
        "engine": engine,
        "plan": document["plan"],
        "nonzero_bytes": document["nonzero_bytes"],
        "accuracy": {name: scores["accuracy"] for name, scores in stages.items()},
        "log_loss": {name: scores["log_loss"] for name, scores in stages.items()},
        "n": stages["integers"]["n"],
        "parity": parity(out),
        "seconds": sum(float(row["seconds"]) for row in Run(out).history()),  # of its epochs
    }


def parity(run: Path) -> dict[str, float]:
    """The fake-quantised network against its integers on the run's parity inputs (logits)."""
    tensors, _ = read_tensors(run / "parity.safetensors")
    fake, exact = tensors["fake_quantised"].numpy(), tensors["reference"].numpy()
    net = load_quantized(run)
    step = float(net.tensors()[net.output].scale)
    return {
        "inputs": len(fake),
        "top1": float((fake.argmax(1) == exact.argmax(1)).mean()),
        "mean_logit": float(np.abs(fake - exact).mean()),
        "mean_steps": float(np.abs(fake - exact).mean() / step),
    }


class Steps:
    """Forward, backward and update on one batch, for each kind of network."""

    def __init__(self, network: nn.Module, recipe: Recipe, training: ClipArrays) -> None:
        shape = (1, 1, recipe.features.n_mels, recipe.n_frames)
        batches = list(plain_inputs(training, recipe))
        self.inputs = next(plain_inputs(training, recipe, batch_size=recipe.train.batch_size))
        self.targets = torch.arange(len(self.inputs)) % training.n_classes
        net = QuantNet(copy.deepcopy(network).eval(), recipe.quantize.form, shape)
        net.observe(batches)
        begin = time.perf_counter()
        hooked, placement = quantized_by_nncf(net, batches)
        self.calibration_seconds = time.perf_counter() - begin
        self.tensors, self.left = len(placement.activations), placement.by_hand
        fake, exact = copy.deepcopy(net), copy.deepcopy(net)
        fake.mode, exact.mode = "fake", "exact"
        kinds = {"float": network, "native fake": fake, "native exact": exact, "nncf": hooked}
        self.kinds: dict[str, nn.Module] = {name: kind.train() for name, kind in kinds.items()}

    def one(self, kind: str) -> float:
        """Seconds of one training step."""
        network = self.kinds[kind]
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        begin = time.perf_counter()
        loss: Tensor = nn.functional.cross_entropy(network(self.inputs), self.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad, alpha=1e-6)
                    parameter.grad = None
        return time.perf_counter() - begin

    def medians(self, repeats: int) -> dict[str, dict[str, float]]:
        """Median and 90th percentile in milliseconds; every round runs each kind once."""
        for kind in self.kinds:
            self.one(kind)
        spent: dict[str, list[float]] = {kind: [] for kind in self.kinds}
        for _ in range(repeats):
            for kind, times in spent.items():
                times.append(1e3 * self.one(kind))
        return {k: {"median_ms": float(np.median(t)), "p90_ms": float(np.percentile(t, 90))} for k, t in spent.items()}


def table(document: dict[str, Any]) -> str:
    rows = []
    for engine in ENGINES:
        runs = [run for run in document["runs"] if run["engine"] == engine]

        def mean(group: str, key: str, runs: list[dict[str, Any]] = runs) -> float:
            return float(np.mean([run[group][key] for run in runs]))

        accuracies = [f"{mean('accuracy', stage):.1%}" for stage in runs[0]["accuracy"]]
        agreement = [f"{mean('parity', 'top1'):.1%}", f"{mean('parity', 'mean_logit'):.4f}"]
        size = f"{max(run['nonzero_bytes'] for run in runs):,}"
        spread = " to ".join(f"{edge([r['accuracy']['integers'] for r in runs]):.1%}" for edge in (min, max))
        rows.append([engine, *accuracies, spread, *agreement, size, f"{np.mean([run['seconds'] for run in runs]):.0f}"])
    stages = [f">{name}" for name in document["runs"][0]["accuracy"]]
    headings = ("engine", *stages, ">over seeds", ">top-1 fake = integers", ">mean logit", ">bytes", ">seconds")
    title = f"n = {document['runs'][0]['n']} test clips, seeds {document['seeds']}, form {document['form']}"
    steps = document["steps"]
    lines = [
        [name, f"{row['median_ms']:.1f}", f"{row['median_ms'] / steps['float']['median_ms']:.1f}"]
        for name, row in steps.items()
    ]
    batch = document["batch"]
    left = document["nncf"]
    return as_text(
        [
            Table(headings, rows, title),
            Table(("training step", ">median ms", ">times float"), lines, f"batch {batch}, one thread, in turns"),
            f"NNCF left {left['left_without_scale']} of {left['tensors']} tensors without a scale "
            f"and took {left['calibration_seconds']:.1f} s to place and calibrate the others.",
        ]
    )


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    work = options.work or Path(tempfile.mkdtemp(prefix="edgeasc-engines-"))
    dataset, runs = open_dataset(options.data), []
    for seed in options.seeds:
        recipe, parent = recipe_of(options, seed), work / f"float-seed{seed}"
        train_run(recipe, dataset, split(dataset, validation=0.0), parent, resume=True, cache=work / "cache")
        runs += [{"seed": seed} | compressed(options, dataset, parent, engine, work) for engine in ENGINES]
    training = clip_arrays(dataset, split(dataset, validation=0.0).train, recipe, work / "cache")
    steps = Steps(load_network(parent)[0], recipe, training)
    document = {
        "schema": 1,
        "benchmark": "engines",
        "date": date.today().isoformat(),
        "command": " ".join(sys.argv[1:]).replace(str(work), "WORK"),
        "data": dataset.name,
        "recipe": recipe.model_dump(mode="json"),
        "form": options.form,
        "seeds": options.seeds,
        "machine": describe_machine(),
        "nncf_version": metadata.version("nncf"),
        "runs": runs,
        "batch": len(steps.inputs),
        "steps": steps.medians(options.repeats),
        "nncf": {
            "tensors": steps.tensors,
            "left_without_scale": len(steps.left),
            "names": list(steps.left),
            "calibration_seconds": steps.calibration_seconds,
        },
    }
    path = options.out / f"{document['date']}-engines.json"
    write_json(path, document)
    print(table(document))
    print(path)


if __name__ == "__main__":
    main()
