"""The networks and inputs of the benchmarks of generated C: BC-ResNet-Mod for one second of audio, in both forms.

With runs (`--network c80=RUN`): the compressed run's own integers in its own form, and in the other form the same
pruned weights with ranges observed on the clips, without training on the grid. Without: seeded weights, pruned by
magnitude, calibrated on the clips; c=10 unpruned, c=80 at 89 % of zeros. Clips are crops of one second from real
recordings (`--data`, ESC-50 layout) or built-in scenes; random inputs are those of the parity report.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import edgeasc
from edgeasc.compress.prune import apply_masks, magnitude_masks, prunable
from edgeasc.compress.quantized import load_quantized
from edgeasc.compress.quantnet import QuantNet
from edgeasc.data.clips import Dataset
from edgeasc.errors import UsageError
from edgeasc.export.parity import random_inputs
from edgeasc.features.quantize import quantize
from edgeasc.graph.model import Form, IntegerGraph
from edgeasc.graph.reference import Reference
from edgeasc.nn.registry import create_model
from edgeasc.recipes import load_recipe
from edgeasc.runs import Run
from edgeasc.specs import Recipe
from edgeasc.train.run import clip_arrays, load_network
from edgeasc.train.weights import load_weights, read_tensors

FORMS: tuple[Form, ...] = get_args(Form)
SECONDS = 1.0
CALIBRATION_BATCHES, BATCH = 6, 32
SEEDED = {"c10": (10, 0.0), "c80": (80, 0.89)}  # width, part of the convolution weights that is zero
RECIPE = "esc10"


@dataclass(frozen=True)
class Network:
    """One network in one form. `source` is `run`, `run, calibrated` or `seeded`."""

    name: str
    form: Form
    source: str
    graph: IntegerGraph
    clips: NDArray[np.int8]  # [n, 1, n_mels, frames]
    random: NDArray[np.int8]  # [m, 1, n_mels, frames]

    @property
    def inputs(self) -> NDArray[np.int8]:
        """All inputs, clips first."""
        return np.concatenate([self.clips, self.random])

    def expected(self) -> NDArray[np.int8]:
        """The numpy reference's integers [n + m, classes]."""
        reference, found = Reference(self.graph), []
        for at in range(0, len(self.inputs), 8):
            found.append(reference.run(self.inputs[at : at + 8])[self.graph.output].reshape(-1, self.classes))
        return np.concatenate(found).astype(np.int8)

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.graph[self.graph.output].size


def add_options(parser: argparse.ArgumentParser) -> None:
    """What every script here takes."""
    parser.add_argument("--network", action="append", default=[], metavar="NAME=RUN", help="a compressed run")
    parser.add_argument("--data", type=Path, default=None, help="recordings in ESC-50 layout; default: built-in scenes")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--names", nargs="+", default=None, help="only these networks")
    parser.add_argument("--work", type=Path, default=None, help="keep features here")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")


def networks(options: argparse.Namespace, dataset: Dataset, clips: int, random: int) -> Iterator[Network]:
    """Every network in every form, with `clips` crops of recordings and `random` seeded inputs."""
    runs = dict(given.split("=", 1) for given in options.network)
    for name in options.names or list(runs or SEEDED):
        if name not in (runs or SEEDED):
            raise UsageError("--names", f"{name!r} is none of {', '.join(runs or SEEDED)}")
        recipe = Run(Path(runs[name])).recipe() if runs else load_recipe(RECIPE)
        frames = recipe.features.n_frames(round(SECONDS * recipe.features.sample_rate))
        features = crops(dataset, recipe, frames, max(clips, CALIBRATION_BATCHES * BATCH), options.work)
        for form in options.forms:
            net, source = (
                from_run(Path(runs[name]), form, features, frames) if runs else seeded(name, form, recipe, features)
            )
            graph = net.freeze(metadata(recipe, dataset))
            source_tensor = graph[graph.input]
            real = quantize(features[:clips], float(source_tensor.scale), source_tensor.zero_point)
            yield Network(name, form, source, graph, real, random_inputs(graph, random).inputs)


def crops(dataset: Dataset, recipe: Recipe, frames: int, count: int, cache: Path | None) -> NDArray[np.float32]:
    """`count` log-mel crops [count, 1, n_mels, frames], evenly from the data set's clips, at seeded places."""
    spread = np.linspace(0, len(dataset.clips) - 1, min(count, len(dataset.clips))).astype(int)
    stored = clip_arrays(dataset, [dataset.clips[at] for at in spread], recipe, cache).features
    rng, found = np.random.default_rng(0), []
    for index in range(count):
        clip = stored[index % len(stored)]
        start = int(rng.integers(0, clip.shape[-1] - frames, endpoint=True))
        found.append(clip[..., start : start + frames])
    return np.stack(found)


def from_run(path: Path, form: Form, features: NDArray[np.float32], frames: int) -> tuple[QuantNet, str]:
    """The run's own network for inputs of `frames` frames, or its pruned weights calibrated in another form."""
    run = Run(path)
    recipe, parent = run.recipe(), run.info().parent
    if recipe.quantize.form == form:
        return load_quantized(path).resized(frames), "run"
    network = load_network(Path(parent))[0] if parent and Path(parent).exists() else None
    if network is None:
        network = create_model(recipe.model.name, len(run.info().labels), **recipe.model.options).eval()
    pruned = path / "pruned.safetensors"
    load_weights(network, read_tensors(pruned)[0], pruned)
    return calibrated(network, form, features), "run, calibrated"


def seeded(name: str, form: Form, recipe: Recipe, features: NDArray[np.float32]) -> tuple[QuantNet, str]:
    """Random weights whose batch-norm statistics come from the clips, pruned by magnitude."""
    width, sparsity = SEEDED[name]
    torch.manual_seed(0)
    options = {**recipe.model.options, "c": width}
    network = create_model("bcresnet-mod-1", 10, **options).train()  # type: ignore[arg-type]
    weights = prunable(network)
    total = sum(weight.numel() for weight in weights.values())
    apply_masks(weights, magnitude_masks(weights, round((1 - sparsity) * total), "global"))
    with torch.no_grad():
        for batch in batches(features):
            network(batch)
    return calibrated(network.eval(), form, features), "seeded"


def calibrated(network: nn.Module, form: Form, features: NDArray[np.float32]) -> QuantNet:
    """`network` on the grids of the ranges that the clips take."""
    net = QuantNet(network.eval(), form, (1, *features.shape[1:])).eval()
    net.observe(batches(features))
    return net


def batches(features: NDArray[np.float32]) -> list[torch.Tensor]:
    """The clips in batches."""
    most = min(len(features), CALIBRATION_BATCHES * BATCH)
    return [torch.from_numpy(features[at : at + BATCH]) for at in range(0, most, BATCH)]


def metadata(recipe: Recipe, dataset: Dataset) -> dict[str, str]:
    """What the files say about the network."""
    return {
        "edgeasc.features": recipe.features.model_dump_json(),
        "edgeasc.labels": json.dumps(list(dataset.labels)),
        "edgeasc.clip_seconds": repr(SECONDS),
        "edgeasc.version": edgeasc.__version__,
    }


def zeros(graph: IntegerGraph) -> float:
    """Part of the convolution weights that is zero."""
    weights = [node.weight for node in graph.convs()]
    return 1.0 - sum(int(np.count_nonzero(weight)) for weight in weights) / sum(weight.size for weight in weights)
