"""A moving average of the weights: what is judged, kept and shipped in the place of the trained ones.

Two kinds, by the papers that used them. `ramp`: parameters alone, statistics of batch norm are those of the trained
network (Pellegrini, Interspeech 2021, section 3.4). `per-epoch`: everything, with a decay given per epoch, as the
published training of EAT has it (Gazneli et al., arXiv 2204.11479).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from edgeasc.errors import BadInput
from edgeasc.specs import TrainSpec

EVERY = 5  # per-epoch: steps between two updates
FIRST_EPOCHS, FIRST_DECAY = 2, 0.01  # per-epoch: while everything still changes, nearly no memory


class WeightAverage:
    """Averaged tensors beside a network in training; the trained weights are never touched by them.

    Args:
        network: its present tensors are what the average begins with.
        epoch: steps of one epoch.
    """

    def __init__(self, network: nn.Module, spec: TrainSpec, epoch: int) -> None:
        self.network, self.spec, self.epoch = network, spec, epoch
        self.tensors = {name: tensor.detach().clone() for name, tensor in self._followed().items()}

    def judged_after(self, step: int) -> bool:
        """Whether an average exists once step `step` (from 0) is done; before, the trained weights are judged."""
        return self.spec.ema == "per-epoch" or step >= self.spec.ema_start

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the network after step `step` (from 0)."""
        decay = self._decay(step)
        if decay is None:
            return
        for name, trained in self._followed().items():
            if trained.is_floating_point():
                self.tensors[name].lerp_(trained.detach().to(self.tensors[name].device), 1.0 - decay)
            else:
                self.tensors[name].copy_(trained)  # counters

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The averaged weights in the network for a while; the trained ones and their statistics come back."""
        trained = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        self.put()
        try:
            yield
        finally:
            self.network.load_state_dict(trained)

    def put(self) -> None:
        """Put the averaged weights into the network for good."""
        self.network.load_state_dict(self.tensors, strict=False)

    def restore(self, stored: dict[str, Tensor]) -> None:
        """Go on with the average of an interrupted run.

        Raises:
            BadInput: it is missing, or of another network.
        """
        shapes = {name: tensor.shape for name, tensor in self.tensors.items()}
        if {name: tensor.shape for name, tensor in stored.items()} != shapes:
            raise BadInput("checkpoint", "the moving average of the weights is missing or of another network")
        for name, tensor in stored.items():
            self.tensors[name].copy_(tensor)

    def _followed(self) -> dict[str, Tensor]:
        if self.spec.ema == "per-epoch":
            return dict(self.network.state_dict())
        return dict(self.network.named_parameters())

    def _decay(self, step: int) -> float | None:
        """What is kept of the average at this step; None: it does not move."""
        if self.spec.ema == "per-epoch":
            per_epoch = FIRST_DECAY if step < FIRST_EPOCHS * self.epoch else self.spec.ema_decay
            return float(per_epoch ** (EVERY / self.epoch)) if step % EVERY == 0 else None
        count = step + 1 - self.spec.ema_start
        return float(min(self.spec.ema_decay, (1 + count) / (10 + count))) if count >= 1 else None


def create_average(network: nn.Module, spec: TrainSpec, epoch: int) -> WeightAverage | None:
    """The average that `[train]` asks for."""
    return None if spec.ema == "none" else WeightAverage(network, spec, epoch)
