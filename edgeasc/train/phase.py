"""What a caller says about one stretch of training: its numbers, and what it does inside the loop."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from torch import Tensor

from edgeasc.specs import AugmentSpec, Recipe


@dataclass(frozen=True)
class Phase:
    """One stretch of training under one learning-rate schedule.

    Attributes:
        name: unique within a run; seeds and checkpoints know the phase by it.
        warmup_epochs: linear warm-up at the start, in epochs, fractions allowed.
        reestimate: measure batch-norm statistics anew on plain inputs before an epoch is judged: before every
            validation, and at the end. Those gathered in training belong to mixed and masked inputs.
        clip_norm: longest gradient that is followed; longer ones are shortened to it. 0: any.
        augment: what is done to the inputs; None asks the recipe.
    """

    name: str
    epochs: int
    lr: float
    warmup_epochs: float = 0.0
    batch_size: int = 64
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-3
    label_smoothing: float = 0.0
    precision: Literal["32", "bf16"] = "32"
    reestimate: bool = False
    clip_norm: float = 0.0
    seed: int = 0
    augment: AugmentSpec | None = None

    @classmethod
    def of(cls, recipe: Recipe, name: str = "train", **changes: Any) -> Phase:
        """The phase that `[train]` describes, with `changes` to any attribute."""
        train = {key: value for key, value in recipe.train.model_dump().items() if key != "threads"}
        return replace(cls(name=name, **train), **changes)

    @classmethod
    def on_grid(cls, recipe: Recipe, name: str, epochs: int, lr: float) -> Phase:
        """A phase of training on the integer grid: in 32 bits, without warm-up, gradients no longer than `[quantize]`
        allows, since a folded network without batch norm may otherwise run away from where it was."""
        changes = {"warmup_epochs": 0.0, "precision": "32", "clip_norm": recipe.quantize.clip_norm}
        return cls.of(recipe, name, epochs=epochs, lr=lr, **changes)

    def rng(self, epoch: int) -> np.random.Generator:
        """The random generator of one epoch (from 0): the same whether or not the run was interrupted before it."""
        return np.random.default_rng([self.seed, zlib.crc32(self.name.encode()), epoch])


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
