"""The inputs on which every later artefact must prove itself, with the logits of both judges."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeasc.compress.fold import INPUT
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.data.inputs import fit_length
from edgeasc.export.ladder import CLIPS
from edgeasc.features.quantize import dequantize, quantize
from edgeasc.graph.reference import Reference
from edgeasc.specs import Recipe

BATCH = 16


def parity_tensors(
    net: QuantNet, features: NDArray[np.float32], recipe: Recipe, least: int = CLIPS
) -> tuple[dict[str, Tensor], bool]:
    """The content of parity.safetensors, and whether the exact forward equals the numpy reference on all of it.

    Args:
        features: stored clips [n, 1, n_mels, any]; where there are fewer than `least`, they are used again, rolled in
            time.
    """
    rolled = [np.roll(features, 7 * turn, axis=3) for turn in range(-(-least // len(features)))]
    clips = fit_length(np.concatenate(rolled), recipe.n_frames, recipe.features.silence)
    graph = net.freeze()
    source = graph[INPUT]
    inputs = quantize(clips, float(source.scale), source.zero_point)
    reals = dequantize(inputs, float(source.scale), source.zero_point)
    reference = Reference(graph)
    parts: dict[str, list[NDArray[np.float32]]] = {"reference": [], "fake_quantised": [], "exact": []}
    for start in range(0, len(inputs), BATCH):
        batch = slice(start, start + BATCH)
        parts["reference"].append(reference.logits(inputs[batch]))
        with torch.no_grad():
            for name, mode in (("fake_quantised", "fake"), ("exact", "exact")):
                with running(net, mode):  # type: ignore[arg-type]
                    parts[name].append(net(torch.from_numpy(reals[batch])).numpy())
    logits = {name: np.concatenate(batches) for name, batches in parts.items()}
    equal = np.array_equal(logits.pop("exact"), logits["reference"])
    return {"inputs": torch.from_numpy(inputs), **{n: torch.from_numpy(v) for n, v in logits.items()}}, equal
