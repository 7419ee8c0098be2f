"""A teacher beside the loop: its logits for the very inputs that the student sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Teacher:
    """Logits of a frozen network, computed once per clip when inputs repeat, else for every batch.

    Augmented inputs, Mixup included, go through the teacher as they go through the student, so that both hear the same.
    """

    def __init__(self, network: nn.Module, n_clips: int, inputs_repeat: bool) -> None:
        self.network = network.eval().requires_grad_(False)
        self.inputs_repeat = inputs_repeat
        self.known = torch.zeros(n_clips, dtype=torch.bool)
        self.cache: Tensor | None = None

    @torch.no_grad()
    def logits(self, inputs: Tensor, clips: Tensor) -> Tensor:
        """Logits `[B, n_classes]` for `inputs` made of the training clips numbered `clips`."""
        if not self.inputs_repeat:
            return self._compute(inputs)
        if self.cache is None or not bool(self.known[clips].all()):
            fresh = self._compute(inputs)
            if self.cache is None:
                self.cache = fresh.new_empty(len(self.known), fresh.shape[1])
            self.cache[clips.to(fresh.device)] = fresh
            self.known[clips] = True
        return self.cache[clips.to(self.cache.device)]

    def _compute(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(inputs)
        return logits.float()
