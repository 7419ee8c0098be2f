"""Magnitude pruning of all convolutions: which weights stay, and how their number falls over the epochs.

Unstructured; biases and norms are never pruned. Source: QTI DCASE 2021 report, section 2.4 (one-shot, all
convolution layers); the gradual schedule is the cubic one of Zhu and Gupta, "To prune, or not to prune" (2017), eq. 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

RAMP = 0.6  # part of the pruning epochs in which the sparsity grows; afterwards the masks hold

Scope = Literal["global", "layer"]


def prunable(network: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of all convolutions by layer name, in network order."""
    weights: dict[str, nn.Parameter] = {}
    for name, layer in deployed_modules(network):
        if isinstance(layer, nn.Conv1d | nn.Conv2d) and isinstance(layer.weight, nn.Parameter):
            weights[name] = layer.weight
    return weights


def deployed_modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module with its path but those that the network's `IDLE` names: they have no part in the logits."""
    idle: tuple[str, ...] = getattr(network, "IDLE", ())
    return ((name, module) for name, module in network.named_modules() if not name.startswith(idle))


def ramped_keep(keep: int, total: int, epoch: int, epochs: int) -> int:
    """Weights kept in `epoch` (from 0) on the cubic way from `total` to `keep`, reached after RAMP of `epochs`."""
    last = max(1, round(RAMP * epochs) - 1)
    progress = min(1.0, (epoch + 1) / (last + 1)) if epochs > 1 else 1.0
    return keep + round((total - keep) * (1.0 - progress) ** 3)


@torch.no_grad()
def magnitude_masks(weights: dict[str, nn.Parameter], keep: int, scope: Scope) -> dict[str, Tensor]:
    """Masks of ones and zeros that keep the `keep` weights of largest magnitude.

    `global` ranks all weights together; `layer` keeps the same part of every layer (largest remainders decide which
    layers get the last few). Every layer keeps at least one weight. Ties go to the earlier weight.
    """
    if scope == "layer":
        counts = _shares({name: weight.numel() for name, weight in weights.items()}, keep)
        return {name: _largest(weight, counts[name]) for name, weight in weights.items()}
    magnitude = torch.cat([_with_one_safe(weight).flatten() for weight in weights.values()])
    chosen = _largest(magnitude, max(keep, len(weights)))
    parts = chosen.split([weight.numel() for weight in weights.values()])
    return {name: part.view_as(weight) for (name, weight), part in zip(weights.items(), parts, strict=True)}


def _with_one_safe(weight: Tensor) -> Tensor:
    """Magnitudes, the largest of the layer set to infinity, so that no layer loses all its weights."""
    magnitude = weight.detach().abs().clone()
    magnitude.view(-1)[magnitude.argmax()] = torch.inf
    return magnitude


def _largest(values: Tensor, count: int) -> Tensor:
    """A mask of exactly `count` ones at the largest magnitudes."""
    order = torch.argsort(values.detach().abs().flatten(), descending=True, stable=True)
    mask = torch.zeros(values.numel(), dtype=torch.float32)
    mask[order[:count]] = 1.0
    return mask.view(values.shape)


def _shares(sizes: dict[str, int], keep: int) -> dict[str, int]:
    """`keep` divided over layers in proportion to their sizes, at least one each."""
    total = sum(sizes.values())
    exact = {name: keep * size / total for name, size in sizes.items()}
    counts = {name: max(1, int(share)) for name, share in exact.items()}
    spare = keep - sum(counts.values())
    for name in sorted(exact, key=lambda n: exact[n] - int(exact[n]), reverse=True)[: max(0, spare)]:
        counts[name] = min(sizes[name], counts[name] + 1)
    return counts


@torch.no_grad()
def apply_masks(weights: dict[str, nn.Parameter], masks: dict[str, Tensor]) -> None:
    """Set the pruned weights to exact zero, in place."""
    for name, weight in weights.items():
        weight.mul_(masks[name].to(weight))
