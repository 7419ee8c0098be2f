"""Augmentation inside a network: between its norm over the mels and what follows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor, nn

from edgeasc.errors import UsageError
from edgeasc.nn.layers import MelNorm
from edgeasc.specs import AugmentSpec
from edgeasc.train.augment import augment_normed


def norm_of(network: nn.Module) -> MelNorm:
    """The norm over the mels that a network begins with.

    Raises:
        UsageError: it has none, or several.
    """
    norms = [module for module in network.modules() if isinstance(module, MelNorm)]
    if len(norms) != 1:
        why = f"the network has {len(norms)} norms over the mels"
        raise UsageError("augment", f'place = "norm" needs one, and {why}; set augment.place="input"')
    return norms[0]


def forward_augmented(
    model: Callable[[Tensor], Tensor],
    norm: MelNorm,
    inputs: Tensor,
    targets: Tensor,
    augment: AugmentSpec,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Logits and targets of a batch that is masked and mixed behind `norm`; the norm itself sees the clips as they are.

    Args:
        model: the network that `norm` is part of, or what wraps it.
    """
    mixed = targets

    def change(module: nn.Module, args: tuple[Tensor, ...], normed: Tensor) -> Tensor:
        nonlocal mixed
        normed, mixed = augment_normed(normed, targets, augment, rng)
        return normed

    handle = norm.register_forward_hook(change)
    try:
        logits = model(inputs)
    finally:
        handle.remove()
    return logits, mixed
