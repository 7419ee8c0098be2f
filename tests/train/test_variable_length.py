"""Clips of unequal length through the loop: crops of sound, not of the padding behind it."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from edgeasc.specs import Recipe, parse_spec, with_settings
from edgeasc.train.batches import ClipArrays
from edgeasc.train.loop import calibration_inputs, fit, plain_inputs
from edgeasc.train.phase import Phase

PADDING = -100.0
LENGTHS = np.array([20, 16, 40, 18] * 6)


class Watching(nn.Module):
    """A linear classifier that keeps the smallest value it ever heard."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 2)
        self.lowest = float("inf")

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self.lowest = min(self.lowest, float(features.min()))
        return self.head(features.mean((1, 3)))


def clips() -> ClipArrays:
    features = np.random.default_rng(0).normal(size=(len(LENGTHS), 1, 8, 40)).astype(np.float32)
    for row, length in zip(features, LENGTHS, strict=True):
        row[..., length:] = PADDING
    return ClipArrays(features, np.arange(len(LENGTHS)) % 2, 2, lengths=LENGTHS)


def recipe(toy: Recipe) -> Recipe:
    settings = ("data.crop='random'", "data.test_crops=3", "augment.freq_masks=0", "augment.time_masks=0")
    return parse_spec(Recipe, with_settings(toy.model_dump(mode="json"), (*settings, "augment.mixup_alpha=0.0")))


def test_training_and_validation_hear_no_padding_of_long_enough_clips(toy_recipe: Recipe) -> None:
    network, wanted = Watching(), recipe(toy_recipe)
    fit(network, clips(), Phase.of(wanted), wanted, validation=clips())
    assert network.lowest > PADDING
    deaf = Watching()
    fit(deaf, replace(clips(), lengths=None), Phase.of(wanted), wanted)
    assert deaf.lowest == PADDING  # so that the claim above can fail


def test_statistics_and_ranges_are_taken_from_sound(toy_recipe: Recipe) -> None:
    wanted, own = recipe(toy_recipe), clips()
    calibrated = replace(own, calibration=own.features, calibration_lengths=own.lengths)
    for inputs in (*plain_inputs(own, wanted, 5), *calibration_inputs(calibrated, wanted, 5)):
        assert float(inputs.min()) > PADDING
