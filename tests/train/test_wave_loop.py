"""Augmentation of waveforms inside the loop: mixed batches, and those alone, take sigmoids."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.specs import AugmentSpec, Recipe, WaveAugmentSpec, parse_spec
from edgeasc.train import loop, losses
from edgeasc.train.batches import ClipArrays
from edgeasc.train.loop import fit
from edgeasc.train.phase import Phase

WAVEFORM = {"kind": "waveform", "sample_rate": 8000}
PIECES = ("shift_seconds", "mask_seconds", "segment_seconds")


def recipe(**wave):
    return parse_spec(
        Recipe,
        {
            "model": {"name": "eat-s-gmme"},
            "features": WAVEFORM,
            "data": {"clip_seconds": 0.1, "crop": "random"},
            "train": {"epochs": 4, "batch_size": 8, "warmup_epochs": 0, "lr": 0.01, "loss": "bce-when-mixed"},
            "wave_augment": {"mix_after": 2, **dict.fromkeys(PIECES, 0.05), **wave},
        },
    )


def clips(n=16):
    rng = np.random.default_rng(0)
    return ClipArrays(rng.normal(0, 0.3, (n, 1, 1, 1000)).astype(np.float32), rng.integers(0, 3, n), 3)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, (1, 9)), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


@pytest.fixture
def taken(monkeypatch):
    """Sums of each batch's targets per clip, and whether it counted as mixed."""
    seen = []
    before = losses.classification

    def spy(logits, targets, spec, mixed):
        seen.append((mixed, targets.sum(1).max().item()))
        return before(logits, targets, spec, mixed)

    monkeypatch.setattr(loop.losses, "classification", spy)
    return seen


def test_batches_are_mixed_from_their_epoch_on(taken):
    chosen = recipe()
    fit(network(), clips(), Phase.of(chosen), chosen)
    assert [mixed for mixed, _ in taken] == [False] * 4 + [True] * 4  # two batches an epoch
    assert [total for mixed, total in taken if not mixed] == [1.0] * 4
    assert max(total for mixed, total in taken if mixed) == 2.0  # two labels


def test_the_section_takes_the_place_of_augment():
    chosen = recipe(probability=0, resample=[], mixes=[])
    assert chosen.augment == AugmentSpec()  # roll, Mixup and masks, were they asked
    plain = chosen.model_copy(
        update={"wave_augment": None, "augment": AugmentSpec(roll_seconds=0, mixup_alpha=0, freq_masks=0, time_masks=0)}
    )
    rows = [fit(network(), clips(), Phase.of(one), one).rows for one in (chosen, plain)]
    assert [row["train_loss"] for row in rows[0]] == [row["train_loss"] for row in rows[1]]


def test_a_recipe_without_waveforms_refuses_the_section():
    with pytest.raises(ValueError, match="waveform"):
        Recipe.model_validate({"model": {"name": "cnn10"}, "wave_augment": {}})


def test_two_labels_are_refused_where_the_loss_takes_one():
    document = {"model": {"name": "eat-s-gmme"}, "features": WAVEFORM, "wave_augment": {}}
    with pytest.raises(ValueError, match="bce-when-mixed"):
        Recipe.model_validate(document)
    Recipe.model_validate(document | {"wave_augment": {"mixes": []}})


def test_gain_that_runs_backwards_is_refused():
    with pytest.raises(ValueError, match="gain runs from 2 to 1"):
        WaveAugmentSpec(gain=(2.0, 1.0))


@pytest.mark.parametrize("key", PIECES)
def test_what_would_cover_the_whole_clip_is_refused(key):
    document = {"model": {"name": "eat-s-gmme"}, "features": WAVEFORM, "data": {"clip_seconds": 0.5}}
    loss = {"train": {"loss": "bce-when-mixed"}}
    with pytest.raises(ValueError, match=rf"wave_augment.{key} = 0.5 reaches over the whole clip"):
        Recipe.model_validate(document | loss | {"wave_augment": {key: 0.5}})
    Recipe.model_validate(document | loss | {"wave_augment": {key: 0.49}})


def test_old_recipes_keep_their_form():
    document = Recipe.model_validate({"model": {"name": "cnn10"}}).model_dump(mode="json")
    assert "wave_augment" not in document
