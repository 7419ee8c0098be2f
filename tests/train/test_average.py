"""The moving average of the weights against its formula, step by step, and what the loop keeps of it."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.errors import BadInput
from edgeasc.specs import TrainSpec
from edgeasc.train.average import WeightAverage
from edgeasc.train.checkpoint import Checkpoint
from edgeasc.train.loop import fit
from edgeasc.train.phase import Hooks, Phase
from edgeasc.train.weights import read_tensors

RAMP = {"ema": "ramp", "ema_start": 6, "ema_decay": 0.4}


def scalar(value):
    """One parameter, one averaged buffer, one counter."""
    network = nn.BatchNorm1d(1)
    move(network, value, 0)
    return network


def move(network, value, count):
    with torch.no_grad():
        network.weight.fill_(value)
        network.running_mean.fill_(2 * value)
        network.num_batches_tracked.fill_(count)


def test_ramp_moves_from_its_start_with_a_decay_that_rises_to_its_limit():
    network = scalar(1.0)
    average = WeightAverage(network, TrainSpec(ema="ramp", ema_start=3, ema_decay=0.5), epoch=10)
    expected, count = 1.0, 0
    for step in range(12):
        value = float(np.sin(step))
        move(network, value, step)
        average.update(step)
        if step >= 3:  # three iterations went before
            count += 1
            decay = min(0.5, (1 + count) / (10 + count))
            expected = decay * expected + (1 - decay) * value
        assert float(average.tensors["weight"]) == pytest.approx(expected, rel=1e-5)
        assert average.judged_after(step) == (step >= 3)
    assert set(average.tensors) == {"weight", "bias"}  # statistics of batch norm are the live ones


def test_the_papers_ramp_starts_at_two_elevenths_and_is_full_from_update_1790():
    average = WeightAverage(scalar(0.0), TrainSpec(ema="ramp"), epoch=1)
    assert average._decay(14_999) is None
    assert average._decay(15_000) == pytest.approx(2 / 11)
    assert average._decay(15_000 + 1788) < 0.995 - 1e-9  # (1 + n) / (10 + n) is 0.995 at n = 1790
    assert average._decay(15_000 + 1789) == average._decay(60_000) == 0.995


def test_per_epoch_follows_everything_every_fifth_step():
    network = scalar(1.0)
    average = WeightAverage(network, TrainSpec(ema="per-epoch", ema_decay=0.9), epoch=8)
    expected = 1.0
    for step in range(40):
        value = float(np.cos(step))
        move(network, value, step)
        average.update(step)
        if step % 5 == 0:
            decay = (0.01 if step < 16 else 0.9) ** (5 / 8)
            expected, counted = decay * expected + (1 - decay) * value, step
        assert float(average.tensors["weight"]) == pytest.approx(expected, abs=1e-5)
        assert float(average.tensors["running_mean"]) == pytest.approx(2 * expected, abs=1e-5)
        assert int(average.tensors["num_batches_tracked"]) == counted


@pytest.mark.parametrize("kind", ["ramp", "per-epoch"])
def test_trained_weights_come_back_after_the_average_was_judged(kind):
    network = scalar(1.0)
    average = WeightAverage(network, TrainSpec(ema=kind, ema_start=0), epoch=20)
    move(network, 3.0, 1)
    average.update(0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with average.in_place():
        assert torch.equal(network.weight.detach(), average.tensors["weight"])
        assert network.weight.item() < 3.0
        network.running_mean.fill_(7.0)  # measured anew for the average
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_training_itself_is_untouched_by_a_correct_average(fresh_network, training, validation, toy_recipe):
    losses = {}
    for ema in ("none", "ramp", "ramp-into-training"):
        phase = Phase.of(toy_recipe, **(RAMP | {"ema": ema}))
        rows = fit(fresh_network(), training, phase, toy_recipe, validation=validation).rows
        losses[ema] = [row["train_loss"] for row in rows]
    assert losses["ramp"] == losses["none"]
    assert losses["ramp-into-training"][:2] == losses["none"][:2]  # the first average is judged after epoch 2
    assert losses["ramp-into-training"][2:] != losses["none"][2:]


def test_what_is_judged_and_kept_is_the_average(fresh_network, new_run, training, validation, toy_recipe):
    run, network, steps = new_run("run"), fresh_network(), []
    hooks = Hooks(after_step=lambda step: steps.append(network[6].weight.detach().clone()))
    phase = Phase.of(toy_recipe, **RAMP)
    rows = fit(
        network, training, phase, toy_recipe, validation=validation, checkpoint=Checkpoint(run), hooks=hooks
    ).rows
    expected = steps[0] * 0  # the share of the first weights is gone after ten updates: 0.4 ** 10
    for count, weight in enumerate(steps[6:], start=1):
        decay = min(0.4, (1 + count) / (10 + count))
        expected = decay * expected + (1 - decay) * weight
    last = read_tensors(run.last)[0]
    torch.testing.assert_close(last["6.weight"], expected, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(last["6.weight"], steps[-1], atol=1e-3)
    torch.testing.assert_close(network[6].weight.detach(), last["6.weight"])  # and it is what `fit` leaves
    judged = fresh_network().eval()
    judged.load_state_dict(last)
    guess = judged(torch.from_numpy(validation.features)).argmax(1).numpy()
    assert rows[-1]["validation_accuracy"] == pytest.approx((guess == validation.labels).mean())


def test_a_checkpoint_without_its_average_is_refused(fresh_network, new_run, training, toy_recipe):
    run = new_run("run")
    fit(fresh_network(), training, Phase.of(toy_recipe, epochs=1), toy_recipe, checkpoint=Checkpoint(run))
    phase = Phase.of(toy_recipe, **RAMP)
    with pytest.raises(BadInput, match="moving average of the weights is missing"):
        fit(fresh_network(), training, phase, toy_recipe, checkpoint=Checkpoint(run, resume=True))


def test_fine_tuning_has_no_average(toy_recipe):
    train = toy_recipe.train.model_copy(update={**RAMP, "iterations": 9})
    found = Phase.fine_tuning(toy_recipe.model_copy(update={"train": train}), "prune", 1, 0.1).train
    assert (found.ema, found.iterations) == ("none", 0)
