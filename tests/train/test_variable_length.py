"""Clips of unequal length through the loop: crops of sound, not of the padding behind it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.data.cache import clip_features
from edgeasc.data.clips import Clip, Dataset
from edgeasc.data.split import split
from edgeasc.files import read_json
from edgeasc.specs import LogMel, Recipe, Waveform, parse_spec, with_settings
from edgeasc.train.batches import ClipArrays
from edgeasc.train.loop import calibration_inputs, fit, plain_inputs
from edgeasc.train.phase import Phase
from edgeasc.train.run import train_run

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


class Odd:
    """A tenth of a second of noise; silence where the id says so; seven samples, less than a window, in others."""

    def waveform(self, clip: Clip, sample_rate: int) -> np.ndarray:
        kind = clip.id.split("/")[0]
        if kind == "silent":
            return np.zeros(sample_rate // 10, np.float32)
        rng = np.random.default_rng(list(clip.id.encode()))
        return 0.1 * rng.standard_normal(7 if kind == "short" else sample_rate // 10).astype(np.float32)

    def digest(self, clip: Clip) -> str:
        return hashlib.sha256(clip.id.encode()).hexdigest()


def odd_clips() -> Dataset:
    kinds = ("noise", "silent", "short")
    clips = [Clip(f"{kind}/{n}", n % 2, fold=1 + n // 2 % 2, group=f"{kind}/{n}") for kind in kinds for n in range(8)]
    return Dataset("odd", ("x", "y"), tuple(clips), Odd())


@pytest.mark.parametrize("crop", ["whole", "random"])
def test_silent_clips_and_clips_shorter_than_a_window_train_and_are_scored(
    toy_recipe: Recipe, tmp_path: Path, crop: str
) -> None:
    changes = ("model.options={c=2}", "features.n_mels=32", f"data.crop={crop}", "train.epochs=1")
    wanted = parse_spec(Recipe, with_settings(toy_recipe.model_dump(mode="json"), changes))
    dataset = odd_clips()
    run = train_run(wanted, dataset, split(dataset, fold=2), tmp_path / "run")
    assert np.isfinite(float(run.history()[0]["train_loss"]))
    assert read_json(run.evaluate_file, "evaluation")["n"] == 12


@pytest.mark.parametrize("spec", [LogMel(), Waveform(kind="waveform")], ids=["log-mel", "waveform"])
def test_features_of_silence_are_silence_and_those_of_seven_samples_are_finite(spec: LogMel | Waveform) -> None:
    silent, short = (clip_features(odd_clips(), Clip(f"{kind}/0", 0), spec) for kind in ("silent", "short"))
    np.testing.assert_allclose(silent, spec.silence, rtol=1e-6)
    assert np.isfinite(short).all() and short.shape[1] == spec.n_frames(7)
