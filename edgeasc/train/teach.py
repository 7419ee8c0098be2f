"""A teacher beside the loop: its logits for what the student hears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeasc.data.inputs import cut, fit_length
from edgeasc.specs import Recipe
from edgeasc.train.augment import Draw, follow
from edgeasc.train.batches import ClipArrays


@dataclass(frozen=True)
class Heard:
    """Which part of which training clips a batch is made of, and what was done to its sound.

    Attributes:
        clips: their numbers [B]. starts: seconds [B] at which the inputs begin. drawn: shifts, levels, partners.
    """

    clips: NDArray[np.int64]
    starts: NDArray[np.float64]
    drawn: Draw


class OwnEars(nn.Module):
    """A teacher with a front end of its own: it hears the part of each clip that the student hears, with the same
    roll, level and Mixup, through features of its own. Masks hide features of the student alone.

    Args:
        network: takes features of `recipe`.
        recipe: the student's with the teacher's front end, so that an input lasts as long as the student's.
        clips: the student's training clips through that front end.
        n_frames: of an input of the network, where it takes one length only; silence fills it up. 0: any length.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, clips: ClipArrays, n_frames: int = 0) -> None:
        super().__init__()
        self.network, self.recipe, self.clips, self.n_frames = network, recipe, clips, n_frames

    def features(self, heard: Heard) -> Tensor:
        """Its inputs `[B, 1, n_mels, n_frames]` for a batch."""
        spec = self.recipe.features
        starts = np.round(heard.starts * spec.sample_rate / spec.hop_length).astype(np.intp)
        inputs = cut(self.clips.features[heard.clips], starts, self.recipe.n_frames, spec.silence)
        sound = follow(torch.from_numpy(np.ascontiguousarray(inputs)), heard.drawn, spec)
        if self.n_frames:
            return torch.from_numpy(fit_length(sound.numpy(), self.n_frames, spec.silence))
        return sound

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.network(features)
        return logits


class Teacher:
    """Logits of a frozen network, computed once per clip when inputs repeat, else for every batch.

    Augmented inputs, Mixup and masks included, go through the teacher as they go through the student, so that both
    hear the same; a teacher with `OwnEars` follows the augmentation of the sound.
    """

    def __init__(self, network: nn.Module, ears: OwnEars | None, n_clips: int, inputs_repeat: bool) -> None:
        self.network = network.eval().requires_grad_(False)
        self.ears = ears
        self.inputs_repeat = inputs_repeat
        self.known = torch.zeros(n_clips, dtype=torch.bool)
        self.cache: Tensor | None = None

    @torch.no_grad()
    def logits(self, inputs: Tensor, heard: Heard) -> Tensor:
        """Logits `[B, n_classes]` for a batch, which are `inputs` to the student."""
        if not self.inputs_repeat:
            return self._compute(inputs, heard)
        clips = torch.from_numpy(heard.clips)
        if self.cache is None or not bool(self.known[clips].all()):
            fresh = self._compute(inputs, heard)
            if self.cache is None:
                self.cache = fresh.new_empty(len(self.known), fresh.shape[1])
            self.cache[clips.to(fresh.device)] = fresh
            self.known[clips] = True
        return self.cache[clips.to(self.cache.device)]

    def _compute(self, inputs: Tensor, heard: Heard) -> Tensor:
        if self.ears is not None:
            inputs = self.ears.features(heard).to(inputs.device)
        logits: Tensor = self.network(inputs)
        return logits.float()
