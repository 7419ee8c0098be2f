"""The optimiser that `[train]` describes, over the parameters that require a gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from edgeasc.specs import TrainSpec


def create_optimizer(network: nn.Module, spec: TrainSpec) -> torch.optim.Optimizer:
    """SGD with momentum, Adam or AdamW.

    Weight decay reaches all parameters, those of normalisation included, as in QTI DCASE 2021; with
    `weight_decay_on = "matrices"` only tensors with more than one dimension, as the published training of EAT has it.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = _groups(parameters, spec)
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, weight_decay=spec.weight_decay)
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    betas = (spec.momentum, spec.beta2)
    return kind(groups, lr=spec.lr, betas=betas, weight_decay=spec.weight_decay, amsgrad=spec.amsgrad)


def set_rate(optimizer: torch.optim.Optimizer, rate: float, momentum: float) -> None:
    """Learning rate and momentum (beta1 of Adam) of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        else:
            group["momentum"] = momentum


def _groups(parameters: list[nn.Parameter], spec: TrainSpec) -> list[dict[str, Any]]:
    if spec.weight_decay_on == "all":
        return [{"params": parameters}]
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
