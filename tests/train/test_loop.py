"""The loop: it learns, it stays what it was told to keep, and a resumed run ends bit-identical."""

import contextlib

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.errors import BadInput, UsageError
from edgeasc.train.batches import ClipArrays
from edgeasc.train.checkpoint import Checkpoint
from edgeasc.train.course import Course
from edgeasc.train.loop import fit, plain_inputs
from edgeasc.train.phase import Hooks, Phase
from edgeasc.train.progress import Progress
from edgeasc.train.weights import read_tensors, write_tensors

STILL = {"roll_seconds": 0.0, "mixup_alpha": 0.0, "freq_masks": 0, "time_masks": 0}


class Stop(Exception):
    pass


def stop_at(epoch, step=2):
    """Hooks that break off in the middle of an epoch, as a signal would."""

    def after_step(done):
        if done == epoch * 4 + step:
            raise Stop

    return Hooks(after_step=after_step)


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_toy_problem_is_learned(network, training, validation, toy_recipe):
    fitted = fit(network, training, Phase.of(toy_recipe, epochs=8), toy_recipe, validation=validation)
    assert fitted.rows[-1]["validation_accuracy"] > 0.9
    assert fitted.rows[-1]["train_loss"] < fitted.rows[0]["train_loss"]


def test_learning_rate_of_the_rows_follows_warmup_and_cosine(network, training, toy_recipe):
    rows = fit(network, training, Phase.of(toy_recipe), toy_recipe).rows
    assert [row["lr"] for row in rows] == pytest.approx(
        [0.1] + [0.05 * (1 + np.cos(np.pi * (4 * epoch + 3 - 4) / 12)) for epoch in (1, 2, 3)]
    )


ONE_CYCLE = {"schedule": "onecycle", "cycle_momentum": True, "lr": 0.01}
SWITCHES = [
    (1, {}),
    (2, {}),
    (3, {}),
    (2, {"optimizer": "adamw", "weight_decay_on": "matrices", **ONE_CYCLE}),
    (2, {"optimizer": "adam", "amsgrad": True, "lr": 0.01, "loss": "bce"}),
    (2, {"ema": "ramp", "ema_start": 5, "optimizer": "adam", "lr": 0.01}),
    (1, {"ema": "ramp-into-training", "ema_start": 2, "ema_decay": 0.6}),
    (3, {"ema": "per-epoch", "precision": "bf16"}),
    (2, {"iterations": 14, "evaluate_every": 4, "sampler": "balanced", "select": "mean-average-precision"}),
]


@pytest.mark.parametrize(("stopped", "switches"), SWITCHES)
def test_resumed_run_ends_bit_identical(fresh_network, new_run, training, validation, toy_recipe, stopped, switches):
    whole, broken, phase = new_run("whole"), new_run("broken"), Phase.of(toy_recipe, **switches)
    fit(fresh_network(), training, phase, toy_recipe, validation=validation, checkpoint=Checkpoint(whole))
    with pytest.raises(Stop):
        fit(
            fresh_network(), training, phase, toy_recipe,
            validation=validation, checkpoint=Checkpoint(broken), hooks=stop_at(stopped),
        )  # fmt: skip
    torch.rand(17)  # whatever happened to the global generator in between
    resumed = fit(
        fresh_network(), training, phase, toy_recipe, validation=validation, checkpoint=Checkpoint(broken, resume=True)
    )
    assert len(resumed.rows) == 4 - stopped
    for name in ("best", "last", "optimizer"):
        assert getattr(whole, name).read_bytes() == getattr(broken, name).read_bytes()
    histories = [[{**row, "seconds": "", "finished": ""} for row in run.history()] for run in (whole, broken)]
    assert histories[0] == histories[1]


def test_a_run_killed_while_its_epoch_was_being_written_resumes_identically(
    fresh_network, new_run, training, toy_recipe, monkeypatch
):
    whole, broken, phase = new_run("whole"), new_run("broken"), Phase.of(toy_recipe)
    fit(fresh_network(), training, phase, toy_recipe, checkpoint=Checkpoint(whole))
    written = []

    def die_before_the_commit(path, tensors, document=None):
        written.append(path)
        if path == broken.optimizer and written.count(path) == 3:
            raise Stop
        write_tensors(path, tensors, document)

    monkeypatch.setattr("edgeasc.train.checkpoint.write_tensors", die_before_the_commit)
    with pytest.raises(Stop):
        fit(fresh_network(), training, phase, toy_recipe, checkpoint=Checkpoint(broken))
    monkeypatch.undo()
    fit(fresh_network(), training, phase, toy_recipe, checkpoint=Checkpoint(broken, resume=True))
    assert broken.optimizer.read_bytes() == whole.optimizer.read_bytes()
    assert [row["epoch"] for row in broken.history()] == ["1", "2", "3", "4"]


def test_iterations_are_judged_in_stretches_of_which_the_last_is_what_is_left(
    network, training, validation, toy_recipe
):
    phase = Phase.of(toy_recipe, iterations=11, evaluate_every=4, warmup_epochs=0.0)
    seen = []
    hooks = Hooks(after_step=seen.append)
    rows = fit(network, training, phase, toy_recipe, validation=validation, hooks=hooks).rows
    assert [(row["epoch"], row["iteration"]) for row in rows] == [(1, 4), (2, 8), (3, 11)]
    assert seen == list(range(11))
    assert rows[-1]["lr"] == pytest.approx(0.05 * (1 + np.cos(np.pi * 10 / 11)))


def test_the_best_epoch_can_be_chosen_by_mean_average_precision(network, training, validation, toy_recipe):
    phase = Phase.of(toy_recipe, select="mean-average-precision", lr=0.03)
    fitted = fit(network, training, phase, toy_recipe, validation=validation)
    keys = [(row["validation_mean_average_precision"], -row["validation_log_loss"]) for row in fitted.rows]
    assert fitted.position.best_epoch == keys.index(max(keys)) + 1
    assert fitted.position.best == pytest.approx(max(keys))


def test_a_balanced_run_sees_all_classes_equally_often(network, training, toy_recipe):
    few = np.concatenate([np.flatnonzero(training.labels == 0)[:2], np.flatnonzero(training.labels > 0)])
    unequal = ClipArrays(training.features[few], training.labels[few], 3)
    phase = Phase.of(toy_recipe, iterations=9, sampler="balanced", batch_size=16)
    course = Course(phase.train, unequal, phase.name)
    drawn = np.concatenate([clips for _, clips in course.batches(0, phase.rng(0))])
    assert np.bincount(unequal.labels[drawn]).tolist() == [48, 48, 48]
    row = fit(network, unequal, phase, toy_recipe).rows[0]
    assert row["iteration"] == 9 and 0 <= row["train_accuracy"] <= 1


def test_a_class_without_clips_is_named_by_the_balanced_sampler(network, training, toy_recipe):
    kept = np.flatnonzero(training.labels != 1)
    lacking = ClipArrays(training.features[kept], training.labels[kept], 3)
    with pytest.raises(BadInput, match="class 1 has no training clip"):
        fit(network, lacking, Phase.of(toy_recipe, sampler="balanced"), toy_recipe)


def test_checkpoint_of_another_network_is_refused(network, new_run, training, toy_recipe):
    run = new_run("run")
    fit(network, training, Phase.of(toy_recipe, epochs=1), toy_recipe, checkpoint=Checkpoint(run))
    other = nn.Sequential(nn.Flatten(), nn.Linear(128, 3))
    with pytest.raises(BadInput, match="does not fit the network"):
        fit(other, training, Phase.of(toy_recipe), toy_recipe, checkpoint=Checkpoint(run, resume=True))


def test_momentum_of_another_shape_is_refused(network, new_run, training, toy_recipe):
    run = new_run("run")
    fit(network, training, Phase.of(toy_recipe, epochs=1), toy_recipe, checkpoint=Checkpoint(run))
    tensors, document = read_tensors(run.optimizer)
    tensors["optimizer.0.momentum_buffer"] = torch.zeros(2)
    write_tensors(run.optimizer, tensors, document)
    with pytest.raises(BadInput, match="optimiser state does not fit"):
        fit(network, training, Phase.of(toy_recipe), toy_recipe, checkpoint=Checkpoint(run, resume=True))


def test_best_is_the_epoch_with_the_highest_validation_macro_accuracy(
    network, new_run, training, validation, toy_recipe
):
    run, weights = new_run("run"), {}
    hooks = Hooks(after_epoch=lambda epoch: weights.update({epoch + 1: _copy(network)}) or {})
    fitted = fit(
        network, training, Phase.of(toy_recipe), toy_recipe,
        validation=validation, checkpoint=Checkpoint(run), hooks=hooks,
    )  # fmt: skip
    keys = [(row["validation_macro_accuracy"], -row["validation_log_loss"]) for row in fitted.rows]
    assert fitted.position.best_epoch == keys.index(max(keys)) + 1
    assert same(read_tensors(run.best)[0], weights[fitted.position.best_epoch])
    assert same(read_tensors(run.last)[0], weights[4])


def _copy(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_without_validation_best_is_last(network, new_run, training, toy_recipe):
    run = new_run("run")
    fit(network, training, Phase.of(toy_recipe), toy_recipe, checkpoint=Checkpoint(run))
    assert run.best.read_bytes() == run.last.read_bytes()


def test_masks_put_back_after_every_step_hold(network, training, toy_recipe):
    mask = torch.from_numpy(np.random.default_rng(0).random((6, 1, 3, 3)) < 0.5)

    def put_back(step):
        with torch.no_grad():
            network[0].weight *= mask

    fit(network, training, Phase.of(toy_recipe), toy_recipe, hooks=Hooks(after_step=put_back))
    assert torch.equal(network[0].weight != 0, mask)


def test_frozen_parameters_stay(network, training, toy_recipe):
    network[6].requires_grad_(False)
    before = network[6].weight.clone()
    fit(network, training, Phase.of(toy_recipe), toy_recipe)
    assert torch.equal(network[6].weight, before)


def test_state_of_hooks_is_given_back_on_resume(fresh_network, new_run, training, toy_recipe):
    run, seen = new_run("run"), []
    keep = Hooks(state=lambda: {"mask": torch.arange(3)}, restore=lambda tensors: seen.append(tensors["mask"].tolist()))
    fit(fresh_network(), training, Phase.of(toy_recipe, epochs=1), toy_recipe, checkpoint=Checkpoint(run), hooks=keep)
    fit(
        fresh_network(), training, Phase.of(toy_recipe), toy_recipe, checkpoint=Checkpoint(run, resume=True), hooks=keep
    )
    assert seen == [[0, 1, 2]]


def test_another_phase_starts_from_its_own_beginning(network, new_run, training, toy_recipe):
    run = new_run("run")
    fit(network, training, Phase.of(toy_recipe, epochs=2), toy_recipe, checkpoint=Checkpoint(run))
    second = fit(
        network, training, Phase.of(toy_recipe, "prune", epochs=1), toy_recipe, checkpoint=Checkpoint(run, resume=True)
    )
    assert [(row["phase"], row["epoch"]) for row in second.rows] == [("prune", 1)]
    assert Checkpoint(run, resume=True).position().phase == "prune"


def test_hooks_see_epochs_and_steps_in_order(network, training, toy_recipe):
    seen = []
    hooks = Hooks(
        before_epoch=lambda epoch: seen.append(("before", epoch)),
        after_step=lambda step: seen.append(("step", step)),
        after_epoch=lambda epoch: seen.append(("after", epoch)) or {"sparsity": 0.5},
    )
    rows = fit(network, training, Phase.of(toy_recipe, epochs=2), toy_recipe, hooks=hooks).rows
    steps = [[("step", 4 * epoch + batch) for batch in range(4)] for epoch in (0, 1)]
    assert seen == [("before", 0), *steps[0], ("after", 0), ("before", 1), *steps[1], ("after", 1)]
    assert rows[0]["sparsity"] == 0.5


def test_teacher_is_asked_once_per_clip_when_inputs_repeat(network, training, toy_recipe):
    recipe = toy_recipe.model_copy(update={"augment": toy_recipe.augment.model_copy(update=STILL)})
    asked = _counting_teacher()
    fit(network, training, Phase.of(recipe, epochs=3), recipe, teacher=asked)
    assert asked.clips == 60


def test_teacher_hears_the_augmented_inputs(network, training, toy_recipe):
    asked = _counting_teacher()
    fit(network, training, Phase.of(toy_recipe, epochs=3), toy_recipe, teacher=asked)
    assert asked.clips == 180


def test_cached_and_fresh_teacher_logits_train_alike(fresh_network, training, toy_recipe):
    still = toy_recipe.model_copy(update={"augment": toy_recipe.augment.model_copy(update=STILL)})
    # Random crops of the clip's own length change nothing, but switch the cache off.
    crops = still.model_copy(update={"data": still.data.model_copy(update={"crop": "random"})})
    results = []
    for recipe in (still, crops):
        network = fresh_network()
        fit(network, training, Phase.of(recipe, epochs=2), recipe, teacher=_counting_teacher())
        results.append(network.state_dict())
    for name, tensor in results[0].items():
        torch.testing.assert_close(tensor, results[1][name])


def test_distillation_pulls_the_student_to_the_teacher(fresh_network, training, toy_recipe):
    teacher = _counting_teacher()
    inputs, distances = torch.from_numpy(training.features), {}
    for weight in (0.0, 10.0):
        recipe = toy_recipe.model_copy(update={"distill": toy_recipe.distill.model_copy(update={"weight": weight})})
        student = fresh_network()
        fit(student, training, Phase.of(recipe, lr=0.02), recipe, teacher=teacher)
        with torch.no_grad():
            distances[weight] = float((student(inputs).softmax(1) - teacher(inputs).softmax(1)).abs().mean())
    assert distances[10.0] < 0.7 * distances[0.0]


class _counting_teacher(nn.Module):
    """Always sure of class 0, and counts the clips it was asked about."""

    def __init__(self):
        super().__init__()
        self.logits, self.clips = nn.Parameter(torch.tensor([2.0, 0.0, 0.0])), 0

    def forward(self, x):
        self.clips += len(x)
        return self.logits.expand(len(x), 3)


def test_a_summed_loss_is_shown_as_the_mean_over_the_clips_of_what_was_summed(fresh_network, training, toy_recipe):
    still = toy_recipe.model_copy(update={"augment": toy_recipe.augment.model_copy(update=STILL)})
    losses = []
    for over in ("mean", "sum"):
        phase = Phase.of(still, epochs=1, loss_over=over, optimizer="sgd", lr=1e-12)
        losses.append(fit(fresh_network(), training, phase, still).rows[0]["train_loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_fine_tuning_keeps_neither_the_schedule_nor_the_sum(toy_recipe):
    train = toy_recipe.train.model_copy(update={"schedule": "onecycle", "loss_over": "sum", "warmup_epochs": 3.0})
    phase = Phase.fine_tuning(toy_recipe.model_copy(update={"train": train}), "prune", 7, 0.02)
    found = phase.train
    assert (found.schedule, found.loss_over, found.warmup_epochs) == ("cosine", "mean", 0.0)
    assert (found.epochs, found.lr) == (7, 0.02)


def test_diverging_loss_is_named(network, training, toy_recipe):
    with pytest.raises(UsageError, match="loss is not finite in epoch"):
        fit(network, training, Phase.of(toy_recipe, lr=1e30, warmup_epochs=0, epochs=5), toy_recipe)


def test_statistics_that_run_away_are_named_before_anything_is_saved(network, new_run, training, toy_recipe):
    def break_it(epoch):
        network[1].running_var.fill_(torch.inf)
        return {}

    run = new_run("run")
    with pytest.raises(UsageError, match=r"tensor '1.running_var' is not finite in epoch 1 of 'train'"):
        fit(
            network,
            training,
            Phase.of(toy_recipe, epochs=2),
            toy_recipe,
            hooks=Hooks(after_epoch=break_it),
            checkpoint=Checkpoint(run),
        )
    assert not run.optimizer.exists()


def test_bf16_training_is_validated_in_32_bits_with_fresh_statistics(network, training, validation, toy_recipe):
    phase = Phase.of(toy_recipe, epochs=6, precision="bf16")
    rows = fit(network, training, phase, toy_recipe, validation=validation).rows
    assert network[1].num_batches_tracked == len(list(plain_inputs(training, toy_recipe, phase.train.batch_size)))
    assert network[0].weight.dtype == torch.float32
    assert rows[-1]["validation_accuracy"] > 0.9


@pytest.mark.parametrize("asked", [True, False])
def test_statistics_belong_to_plain_inputs_in_the_end_where_that_is_asked_for(network, training, toy_recipe, asked):
    loud = toy_recipe.augment.model_copy(update={"gain_db": 20.0, "mixup_alpha": 1.0})
    fit(network, training, Phase.of(toy_recipe, epochs=2, augment=loud, reestimate=asked), toy_recipe)
    outputs = torch.cat([network[0](batch) for batch in plain_inputs(training, toy_recipe)])
    assert torch.allclose(network[1].running_mean, outputs.mean((0, 2, 3)), atol=1e-3) == asked


@pytest.mark.parametrize(("clip_norm", "farthest"), [(0.5, 0.5), (0.0, np.inf)])
def test_no_step_is_longer_than_the_longest_gradient_allows(network, training, toy_recipe, clip_norm, farthest):
    before = torch.cat([p.detach().flatten() for p in network.parameters()])
    plain = {"momentum": 0.0, "weight_decay": 0.0, "warmup_epochs": 0.0, "epochs": 1, "batch_size": len(training)}
    phase = Phase.of(toy_recipe, lr=100.0, clip_norm=clip_norm, **plain)
    with contextlib.suppress(UsageError):  # a step of this rate may well end in a loss that is no number
        fit(network, training, phase, toy_recipe)
    moved = float((torch.cat([p.detach().flatten() for p in network.parameters()]) - before).norm())
    assert moved <= 100.0 * farthest * 1.001 and moved > (0 if clip_norm else 100.0 * 0.5)


def test_progress_hears_every_step_and_epoch(network, training, toy_recipe):
    class Heard(Progress):
        steps, epochs = 0, ()

        def step(self):
            self.steps += 1

        def epoch(self, row):
            self.epochs += (row["epoch"],)

    heard = Heard()
    fit(network, training, Phase.of(toy_recipe, epochs=2), toy_recipe, progress=heard)
    assert (heard.steps, heard.epochs) == (8, (1, 2))
