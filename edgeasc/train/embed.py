"""The embedding of a clip: what a network's classifier reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeasc.data.cache import stored_clips
from edgeasc.data.clips import Clip, Dataset, relabelled
from edgeasc.data.inputs import clip_inputs
from edgeasc.embeddings import Embeddings
from edgeasc.errors import BadInput, UsageError
from edgeasc.nn.layers import trace
from edgeasc.runs import Run
from edgeasc.specs import Recipe
from edgeasc.train.predict import device_of, evaluating
from edgeasc.train.run import cpu_threads, load_network

CLASSIFIERS = (nn.Conv2d, nn.Linear)


def classifier_layers(network: nn.Module) -> tuple[nn.Module, ...]:
    """The layers with weights from which the logits come without another such layer between, in order of computation.

    One in most networks; two where a network adds up the answers of two branches.

    Raises:
        UsageError: the logits come from no convolution or linear layer.
    """
    graph = trace(network).graph
    output = next(node for node in graph.nodes if node.op == "output")
    modules, found, pending = dict(network.named_modules()), set(), list(output.all_input_nodes)
    while pending:
        node = pending.pop()
        if node.op == "call_module" and isinstance(modules[node.target], CLASSIFIERS):
            found.add(node)
        else:
            pending += node.all_input_nodes
    layers = tuple(modules[node.target] for node in graph.nodes if node in found)
    if not layers:
        raise UsageError("embedding", f"{type(network).__name__} ends without a convolution or linear layer")
    return layers


def embed(
    network: nn.Module,
    features: NDArray[np.float32],
    recipe: Recipe,
    lengths: NDArray[np.int64] | None = None,
    batch_size: int = 32,
) -> Tensor:
    """Embeddings `[n, n_features]` of stored clips `[n, 1, n_mels, any]` of `lengths` frames, in evaluation mode.

    What every classifier layer reads, its mean over frequency and time, and the mean over the recipe's test crops;
    several layers' one after another.
    """
    layers = classifier_layers(network)
    seen: dict[nn.Module, Tensor] = {}

    def remember(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[layer] = inputs[0].flatten(2).mean(2) if inputs[0].ndim > 2 else inputs[0]

    handles = [layer.register_forward_pre_hook(remember) for layer in layers]
    parts = []
    try:
        with evaluating(network):
            for start in range(0, len(features), batch_size):
                part = slice(start, start + batch_size)
                own = None if lengths is None else lengths[part]
                inputs = clip_inputs(recipe, features[part], lengths=own)  # [b, crops, 1, n_mels, n_frames]
                network(torch.from_numpy(inputs.reshape(-1, *inputs.shape[2:])).to(device_of(network)))
                joined = torch.cat([seen[layer].float().cpu() for layer in layers], 1)
                parts.append(joined.view(inputs.shape[0], inputs.shape[1], -1).mean(1))
    finally:
        for handle in handles:
            handle.remove()
    return torch.cat(parts)


def embed_run(path: Path, dataset: Dataset, threads: int = 1, cache: Path | None = None) -> Embeddings:
    """Embeddings of all clips of `dataset` by the best network of the training run `path`.

    Raises:
        BadInput: no such run, labels that it does not know, or a recording that is not the one it was trained on.
    """
    network, recipe, labels = load_network(path)
    dataset = relabelled(dataset, labels)
    roles = _roles(Run(path), dataset)
    features, lengths = stored_clips(dataset, dataset.clips, recipe, cache)
    with cpu_threads(threads):
        points = embed(network, features, recipe, lengths).numpy()
    return Embeddings(
        points,
        np.array([clip.label for clip in dataset.clips], np.int64),
        np.array(labels),
        np.array([clip.id for clip in dataset.clips]),
        np.array(_groups(dataset.clips)),
        np.array([roles.get(clip.id, "other") for clip in dataset.clips]),
    )


def _roles(run: Run, dataset: Dataset) -> dict[str, str]:
    """What the run used each clip for."""
    known = {clip.id: clip for clip in dataset.clips}
    roles: dict[str, str] = {}
    for row in run.split():
        if row.clip in known and dataset.digest(known[row.clip]) != row.sha256:
            raise BadInput("data set", f"clip {row.clip!r} is not the recording that the run was trained on", run.path)
        roles[row.clip] = row.role
    return roles


def _groups(clips: Sequence[Clip]) -> list[str]:
    """Folds where every clip has one, else recordings: what must not be cut when clips are split."""
    if all(clip.fold is not None for clip in clips):
        return [f"fold {clip.fold}" for clip in clips]
    return [clip.group or clip.id for clip in clips]
