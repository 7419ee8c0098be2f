"""What a caller says about one stretch of training: its numbers, and what it does inside the loop."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from edgeasc.specs import AugmentSpec, Recipe, TrainSpec


@dataclass(frozen=True)
class Phase:
    """One stretch of training under one learning-rate schedule.

    Attributes:
        name: unique within a run; seeds and checkpoints know the phase by it.
        train: how it trains.
        clip_norm: longest gradient that is followed; longer ones are shortened to it. 0: any.
        augment: what is done to the inputs; None asks the recipe.
    """

    name: str
    train: TrainSpec
    clip_norm: float = 0.0
    augment: AugmentSpec | None = None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        name: str = "train",
        *,
        clip_norm: float = 0.0,
        augment: AugmentSpec | None = None,
        **changes: Any,
    ) -> Phase:
        """The phase that `[train]` describes, with `changes` to any of its values."""
        return cls(name, recipe.train.model_copy(update=changes), clip_norm, augment)

    @classmethod
    def fine_tuning(
        cls, recipe: Recipe, name: str, epochs: int, lr: float, *, clip_norm: float = 0.0, **changes: Any
    ) -> Phase:
        """A phase that goes on with trained weights: a cosine from `lr` to zero, without warm-up, of the mean loss.

        Inputs are augmented before the network, which a teacher can hear too, and which a folded network still has.
        """
        still: dict[str, Any] = {"epochs": epochs, "lr": lr, "warmup_epochs": 0.0}
        still |= {"schedule": "cosine", "loss_over": "mean", "iterations": 0, "ema": "none"}
        augment = recipe.augment.model_copy(update={"place": "input"})
        return cls.of(recipe, name, clip_norm=clip_norm, augment=augment, **(still | changes))

    @classmethod
    def on_grid(cls, recipe: Recipe, name: str, epochs: int, lr: float) -> Phase:
        """A phase of training on the integer grid: in 32 bits, gradients no longer than `[quantize]` allows, since a
        folded network without batch norm may otherwise run away from where it was."""
        return cls.fine_tuning(recipe, name, epochs, lr, clip_norm=recipe.quantize.clip_norm, precision="32")

    def rng(self, epoch: int) -> np.random.Generator:
        """The random generator of one epoch (from 0): the same whether or not the run was interrupted before it."""
        return np.random.default_rng([self.train.seed, zlib.crc32(self.name.encode()), epoch])


@dataclass(frozen=True)
class Hooks:
    """What a caller does inside the loop. Epochs and steps count from 0 within the phase.

    Attributes:
        before_epoch: set the sparsity, freeze or change layers.
        after_step: put masks back on.
        after_epoch: before validation and checkpoint; what it returns goes into the history (`sparsity`).
        state, restore: tensors beyond the network's own that a resumed run needs; `restore` comes before the
            network's weights are loaded.
    """

    before_epoch: Callable[[int], None] = lambda epoch: None
    after_step: Callable[[int], None] = lambda step: None
    after_epoch: Callable[[int], dict[str, Any]] = lambda epoch: {}
    state: Callable[[], dict[str, Tensor]] = dict
    restore: Callable[[dict[str, Tensor]], None] = lambda tensors: None
