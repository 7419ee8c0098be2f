"""Masks and Mixup behind the network's norm over the mels."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.errors import UsageError
from edgeasc.nn.layers import MelNorm
from edgeasc.train.augment import augment_normed
from edgeasc.train.loop import fit
from edgeasc.train.norm_augment import forward_augmented, norm_of
from edgeasc.train.phase import Phase

CHANGES = {"place": "norm", "mixup_of": "pairs", "mixup_alpha": 1.0, "roll_seconds": 0.0}


@pytest.fixture
def normed(network):
    return nn.Sequential(MelNorm(8), network)


@pytest.fixture
def recipe(toy_recipe):
    return toy_recipe.model_copy(update={"augment": toy_recipe.augment.model_copy(update=CHANGES)})


def test_the_rest_of_the_network_sees_the_augmented_output_of_the_norm(recipe, training):
    norm, rest = MelNorm(8).eval(), nn.Flatten()
    inputs, targets = torch.from_numpy(training.features[:6]), torch.eye(6)
    found, mixed = forward_augmented(
        nn.Sequential(norm, rest), norm, inputs, targets, recipe.augment, np.random.default_rng(3)
    )
    expected, labels = augment_normed(norm(inputs), targets, recipe.augment, np.random.default_rng(3))
    torch.testing.assert_close(found, rest(expected))
    torch.testing.assert_close(mixed, labels)
    torch.testing.assert_close(nn.Sequential(norm, rest)(inputs), rest(norm(inputs)))  # and nothing stays behind


def test_statistics_of_the_norm_are_those_of_the_clips_as_they_are(normed, recipe, training):
    phase = Phase.of(recipe, iterations=3, batch_size=200)  # 400 draws of 60 clips: nearly the whole set each time
    fit(normed, training, phase, recipe)
    torch.testing.assert_close(
        normed[0].running_mean / (1 - 0.9**3), torch.from_numpy(training.features.mean((0, 1, 3))), atol=0.05, rtol=0.02
    )


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_batch_of_pairs_learns_from_half_of_what_it_draws(normed, recipe, training, precision):
    heard = []
    normed[1].register_forward_pre_hook(lambda module, args: heard.append(len(args[0])))
    fit(normed, training, Phase.of(recipe, iterations=2, batch_size=12, precision=precision), recipe)
    assert heard[:2] == [12, 12]


def test_a_network_without_that_norm_is_refused_with_the_cure(network, recipe, training):
    with pytest.raises(UsageError, match="0 norms over the mels; set augment"):
        fit(network, training, Phase.of(recipe), recipe)
    assert isinstance(norm_of(nn.Sequential(MelNorm(4))), MelNorm)


def test_a_teacher_is_refused_with_the_cure(normed, network, recipe, training):
    with pytest.raises(UsageError, match="a teacher cannot hear"):
        fit(normed, training, Phase.of(recipe), recipe, teacher=network)


def test_fine_tuning_augments_before_the_network(recipe):
    augment = Phase.fine_tuning(recipe, "prune", 1, 0.1).augment
    assert augment is not None and (augment.place, augment.mixup_of) == ("input", "pairs")
