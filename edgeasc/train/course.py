"""How one phase is cut: into steps, epochs, and the stretches after each of which it is judged and saved."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from edgeasc.specs import TrainSpec
from edgeasc.train.batches import ClipArrays, batch_indices, steps_per_epoch
from edgeasc.train.samplers import Balanced, Indices, Shuffled


class Course:
    """The steps of one phase over some training clips.

    A stretch is one epoch, or `evaluate_every` steps where `[train]` counts iterations; the last may be shorter.

    Args:
        name: of the phase: seeds are made of it.
        draws: clips drawn for one that is seen; 2 where neighbours of a batch are mixed.

    Attributes:
        epoch: steps of one epoch, whether or not epochs are counted.
        total: steps of the phase. stretches: how many times it is judged.
    """

    def __init__(self, spec: TrainSpec, training: ClipArrays, name: str, draws: int = 1) -> None:
        self.spec, self.training, self.draws = spec, training, draws
        self.epoch = steps_per_epoch(len(training), spec.batch_size)
        self.total = spec.iterations or spec.epochs * self.epoch
        self.stretch = min(spec.evaluate_every, self.total) if spec.iterations else self.epoch
        self.stretches = -(-self.total // self.stretch)
        key = (spec.seed, zlib.crc32(name.encode()))
        # A key of three numbers belongs to the epochs; these have four and more.
        balanced = spec.sampler == "balanced"
        self.order: Balanced | Shuffled = (
            Balanced(training.labels, training.n_classes, (*key, 1, 0))
            if balanced
            else Shuffled(len(training), (*key, 0, 0))
        )
        self.endless = balanced or bool(spec.iterations) or draws > 1

    def steps(self, stretch: int) -> range:
        """The steps of a stretch, both counted from 0."""
        return range(stretch * self.stretch, min((stretch + 1) * self.stretch, self.total))

    def batches(self, stretch: int, rng: np.random.Generator) -> Iterator[tuple[int, Indices]]:
        """Every step of a stretch with the numbers of its clips.

        Plain epochs are permutations from `rng` in batches of nearly equal size. Otherwise batches of exactly
        `draws * batch_size` clips are cut from an order without end, across epochs and stretches.
        """
        if not self.endless:
            yield from zip(
                self.steps(stretch), batch_indices(len(self.training), self.spec.batch_size, rng), strict=True
            )
            return
        count = self.draws * self.spec.batch_size
        for step in self.steps(stretch):
            yield step, self.order.draws(step * count, count)
