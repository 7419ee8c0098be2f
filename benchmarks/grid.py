"""What the two steps before training on the grid are worth: equal channels, and biases judged by what is missed.

    python benchmarks/grid.py [--seeds 0 1 2] [--runs RUN ...] [--budget 4KiB] [--work FOLDER]

The recipe of `edgeasc demo` is trained on the built-in scenes and pruned once for each seed. From there it goes to the
integer grid four times: with channels as training left them or equalised, and with sub-band biases cut by size in
output steps or by Fisher information. `--runs` takes float runs that are there, such as the one of `edgeasc demo`.
Written down besides: the spread of loudness that training left between channels, in octaves between the loudest and the
middle one. Test clips are looked at in the end only. Writes <date>-grid.json.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from edgeasc.bench.machine import describe_machine
from edgeasc.compress.engine import Native
from edgeasc.compress.equalise import free_pairs, loudness, octaves
from edgeasc.compress.inventory import costs_of
from edgeasc.compress.offsets import keep_worthiest
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.solve import solve_budget
from edgeasc.compress.steps import ConvStep
from edgeasc.data.calibration import calibration_clips, calibration_path, read_calibration
from edgeasc.data.layouts import open_dataset
from edgeasc.data.split import split
from edgeasc.files import write_json
from edgeasc.recipes import load_recipe
from edgeasc.sizes import parse_size
from edgeasc.specs import Recipe
from edgeasc.tables import Table, as_text
from edgeasc.train.batches import ClipArrays
from edgeasc.train.loop import calibration_inputs
from edgeasc.train.run import clip_arrays, load_network, train_run

WAYS = ((False, False), (True, False), (False, True), (True, True))  # equalised, judged


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="float runs of scenes-demo")
    parser.add_argument("--budget", default="4KiB")
    parser.add_argument("--work", type=Path, default=None, help="folder for the float runs, to go on with")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def cut_by_size(network: nn.Module, steps: Sequence[ConvStep], keep: int, inputs: Sequence[Tensor]) -> None:
    """The rank used before: how many output steps a bias moves its layer."""
    assert isinstance(network, QuantNet)
    keep_worthiest(steps, [step.offset.abs() / network.scales[network.index[step.name]] for step in steps], keep)


@contextmanager
def way(equalised: bool, judged: bool) -> Iterator[None]:
    """The line to the grid with or without either step."""
    with ExitStack() as stack:
        if not equalised:
            stack.enter_context(patch("edgeasc.compress.engine.equalise", lambda net, batches: None))
        if not judged:
            stack.enter_context(patch("edgeasc.compress.phases.cut_offsets", cut_by_size))
        yield


@torch.no_grad()
def scores(network: nn.Module, clips: ClipArrays, frames: int) -> dict[str, float]:
    """Accuracy and log loss on whole clips."""
    inputs = torch.from_numpy(clips.features)[..., :frames]
    logits = torch.cat([network(batch) for batch in inputs.split(64)])
    labels = torch.from_numpy(clips.labels)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    return {"accuracy": float((logits.argmax(1) == labels).float().mean()), "log_loss": float(loss)}


def trained(seed: int, work: Path) -> Path:
    """The float run of a seed, trained unless it is there."""
    recipe = load_recipe("scenes-demo", (f"train.seed={seed}",))
    dataset, run = open_dataset(None, 0), work / f"float-{seed}"
    parts = split(dataset, validation=recipe.data.validation, seed=seed)
    train_run(recipe, dataset, parts, run, resume=True, cache=work / "cache")
    return run


def all_ways(run: Path, name: str, budget: int, work: Path) -> list[dict[str, Any]]:
    """The four ways from one pruned network."""
    network, recipe, _ = load_network(run)
    dataset, cache = open_dataset(None, 0), work / "cache"
    parts = split(dataset, validation=recipe.data.validation, seed=recipe.train.seed)
    chosen = calibration_clips(read_calibration(calibration_path("built-in-scenes")), dataset)
    training = clip_arrays(dataset, parts.train, recipe, cache)
    training = replace(training, calibration=clip_arrays(dataset, chosen, recipe, cache).features)
    test = clip_arrays(dataset, parts.test, recipe, cache)
    plan = solve_budget(costs_of(network, "deployed", recipe.quantize.form), budget)
    teacher, engine = copy.deepcopy(network).eval(), Native()
    before = scores(network.eval(), test, recipe.n_frames)
    engine.prune(network, training, recipe, plan, teacher, None, None)
    pruned = scores(network.eval(), test, recipe.n_frames)
    shape = (1, 1, recipe.features.n_mels, recipe.n_frames)
    known = {"run": name, "n": len(test), "float": before, "pruned": pruned}
    known["octaves"] = loudest(QuantNet(network, recipe.quantize.form, shape), training, recipe)
    rows = []
    for equalised, judged in WAYS:
        with way(equalised, judged):
            net = engine.quantize(copy.deepcopy(network), training, recipe, plan, shape, teacher, None, None)
        with running(net, "exact"):
            integers = scores(net, test, recipe.n_frames)
        rows.append({**known, "equalised": equalised, "judged": judged, "integers": integers})
        print(f"{name} equalised {equalised} judged {judged}: {integers}", flush=True)
    return rows


def loudest(net: QuantNet, training: ClipArrays, recipe: Recipe) -> float:
    """By how many octaves the loudest channel of a free tensor stands above the middle one."""
    free = [first for first, _ in free_pairs(net)]
    found = loudness(net.eval(), free, calibration_inputs(training, recipe))
    return max(0.0, *(-float(octaves(one).min()) for one in found.values()))


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as fallback:
        work = options.work or Path(fallback)
        runs = {f"seed {seed}": trained(seed, work) for seed in options.seeds}
        runs |= {f"run {number}": run for number, run in enumerate(options.runs, 1)}
        rows = [row for name, run in runs.items() for row in all_ways(run, name, parse_size(options.budget), work)]
    table = []
    for equalised, judged in WAYS:
        own = [row for row in rows if (row["equalised"], row["judged"]) == (equalised, judged)]
        lost = [100 * (row["pruned"]["accuracy"] - row["integers"]["accuracy"]) for row in own]
        figures = [f"{value:+.1f}" for value in (np.mean(lost), min(lost), max(lost))]
        loss = f"{np.mean([row['integers']['log_loss'] for row in own]):.3f}"
        table.append(["yes" if equalised else "no", "loss" if judged else "size", *figures, loss])
    names = ("equal channels", "biases by", ">points lost", ">least", ">most", ">log loss")
    print(as_text([Table(names, table)]))
    result = options.out / f"{date.today()}-grid.json"
    document = {"schema": 1, "machine": describe_machine(), "budget": parse_size(options.budget), "rows": rows}
    write_json(result, document)
    print(result)


if __name__ == "__main__":
    main()
