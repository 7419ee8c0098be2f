"""The training loop: any module features -> logits, one phase at a time.

Precision, device and the backward pass are Lightning Fabric's; the loop itself is ours. A Trainer owns the epoch, and
what is wanted here sits inside it: masks put back after every step, layers that freeze or change between epochs,
teacher logits cached while inputs repeat, statistics measured anew before validation, and a resumed run that ends
bit-identical. For the last, every epoch draws from its own seed, made of (seed, phase, epoch), so that nothing but
weights, momenta and counters has to be stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeasc.data.inputs import clip_inputs, cut, training_starts
from edgeasc.errors import UsageError
from edgeasc.specs import Recipe
from edgeasc.train import losses
from edgeasc.train.augment import Draw, augment, is_random
from edgeasc.train.average import create_average
from edgeasc.train.batches import ClipArrays, one_hot
from edgeasc.train.checkpoint import Checkpoint, Position
from edgeasc.train.course import Course
from edgeasc.train.events import append_event, write_events
from edgeasc.train.metrics import Scores, scores
from edgeasc.train.norm_augment import forward_augmented, norm_of
from edgeasc.train.norm_statistics import reestimate
from edgeasc.train.optimizer import create_optimizer, set_rate
from edgeasc.train.phase import Hooks, Phase
from edgeasc.train.predict import class_probabilities, crop_logits, mean_log_softmax, network_predict
from edgeasc.train.progress import Progress
from edgeasc.train.schedule import scheduled, scheduled_momentum
from edgeasc.train.teach import Heard, OwnEars, Teacher
from edgeasc.train.wave_mix import Mixed, augment_waves

if TYPE_CHECKING:
    from lightning.fabric import Fabric

REESTIMATE_CLIPS = 512
AVERAGE = "average."  # before the names of averaged tensors in a checkpoint


@dataclass
class Fitted:
    """What a phase ended with. The network holds the last weights (their average, where there is one); the best ones
    are in the checkpoint."""

    position: Position
    rows: list[dict[str, Any]] = field(default_factory=list)  # of the epochs run now, not of those resumed from


def fit(
    network: nn.Module,
    training: ClipArrays,
    phase: Phase,
    recipe: Recipe,
    *,
    validation: ClipArrays | None = None,
    teacher: nn.Module | None = None,
    hooks: Hooks | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Train `network` in place for one phase, or for what the checkpoint says is left of it.

    The best epoch is the one with the highest validation macro accuracy (or what `train.select` names), then the
    lowest log loss; without validation it is the last. Where `[train]` counts iterations, an epoch here is a stretch
    of `evaluate_every` of them. Parameters that do not require a gradient stay as they are.

    Raises:
        UsageError: the loss is not finite any more. ResourceExhausted: the disk is full.
        BadInput: the checkpoint is corrupt or of another network.
    """
    loop = _Loop(network, training, phase, recipe)
    loop.validation, loop.hooks, loop.progress = validation, hooks or Hooks(), progress or Progress()
    if teacher is not None and recipe.distill.weight > 0:
        if loop.norm is not None:
            why = "a teacher cannot hear what is mixed and masked behind the student's own norm"
            raise UsageError("augment", f'{why}; set augment.place="input"')
        random = recipe.wave_augment is not None or is_random(loop.augment)
        inputs_repeat = recipe.data.crop == "whole" and not random
        ears = teacher if isinstance(teacher, OwnEars) else None
        if ears is not None and recipe.wave_augment is not None:
            why = "a teacher with a front end of its own cannot follow [wave_augment]"
            raise UsageError("teacher", f"{why}; take a teacher on the same waveforms, or [augment]")
        loop.teacher = Teacher(loop.fabric.setup_module(teacher), ears, len(training), inputs_repeat)
    return loop.run(checkpoint)


class _Loop:
    """The state of one `fit`."""

    validation: ClipArrays | None = None
    teacher: Teacher | None = None
    hooks: Hooks
    progress: Progress

    def __init__(self, network: nn.Module, training: ClipArrays, phase: Phase, recipe: Recipe) -> None:
        self.network, self.training, self.phase, self.recipe = network, training, phase, recipe
        self.augment = phase.augment or recipe.augment
        self.train = phase.train
        draws = self.augment.draws if recipe.wave_augment is None else 1
        self.course = Course(self.train, training, phase.name, draws)
        behind_norm = self.augment.place == "norm" and recipe.wave_augment is None
        self.norm = norm_of(network) if behind_norm else None
        self.optimizer = create_optimizer(network, self.train)
        self.fabric = _fabric(self.train.precision)
        self.model, self.fabric_optimizer = self.fabric.setup(network, self.optimizer)
        self.average = create_average(network, self.train, self.course.epoch)
        self.judged: dict[str, Tensor] | None = None  # weights that were judged, where they are not those in training

    def run(self, checkpoint: Checkpoint | None) -> Fitted:
        position = Position(self.phase.name)
        if checkpoint is not None:
            position = checkpoint.load(self.phase.name, self.network, self.optimizer, self._restore)
            write_events(checkpoint.run.events_file, checkpoint.run.history())
        self.progress.phase(self.phase.name, self.course.stretches, position.epoch, self.course.stretch)
        fitted = Fitted(position)
        for epoch in range(position.epoch, self.course.stretches):
            row, validated = self._epoch(epoch)
            fitted.position = _advance(fitted.position, validated, self.train.select)
            fitted.rows.append(row)
            if checkpoint is not None:
                self._save(checkpoint, fitted.position, row)
            self.progress.epoch(row)
        if self._averaged(self.course.stretches - 1):
            self._put_average()
        self.network.eval()
        return fitted

    def _epoch(self, epoch: int) -> tuple[dict[str, Any], Scores | None]:
        """One epoch (or stretch of iterations) of training, then validation: the history's row and the scores."""
        started, rng = time.perf_counter(), self.phase.rng(epoch)
        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        self.hooks.before_epoch(epoch)
        self.network.train()
        loss, right = torch.zeros(2, device=self.fabric.device)
        seen = 0
        for step, clips in self.course.batches(epoch, rng):
            batch_loss, batch_right, count = self._step(step, clips, rng)
            loss, right = loss + batch_loss * (count if self.train.loss_over == "mean" else 1), right + batch_right
            seen += count
            if self.average is not None:
                self.average.update(step)
            self.hooks.after_step(step)
            self.progress.step()
        if not torch.isfinite(loss):
            raise self._runaway("the loss", epoch)
        row: dict[str, Any] = {"phase": self.phase.name, "epoch": epoch + 1, "lr": self.optimizer.param_groups[0]["lr"]}
        row |= {"iteration": self.course.steps(epoch).stop}
        row |= {"train_loss": float(loss) / seen, "train_accuracy": float(right) / seen}
        found, validated = self._judge(epoch)
        self._check_finite(epoch)
        row |= found
        return row | {"seconds": round(time.perf_counter() - started, 3), "finished": int(time.time())}, validated

    def _check_finite(self, epoch: int) -> None:
        for name, tensor in self.network.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise self._runaway(f"tensor {name!r}", epoch)

    def _runaway(self, what: str, epoch: int) -> UsageError:
        unit = "evaluation period" if self.train.iterations else "epoch"
        why = f"{what} is not finite in {unit} {epoch + 1} of {self.phase.name!r}; lower the learning rate"
        return UsageError("training", why)

    def _judge(self, epoch: int) -> tuple[dict[str, Any], Scores | None]:
        """What the hooks and the validation clips say of the weights that are kept: trained or averaged."""
        average = self.average if self._averaged(epoch) else None
        with average.in_place() if average is not None else nullcontext():
            if self._needs_statistics(epoch):
                reestimate(self.network, self.plain_inputs())
            row = self.hooks.after_epoch(epoch)
            validated = self._validate()
            if average is not None:
                self.judged = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
        if average is not None and self.train.ema == "ramp-into-training":
            average.put()
        if validated is not None:
            row |= {f"validation_{key}": value for key, value in asdict(validated).items()}
        return row, validated

    def _averaged(self, epoch: int) -> bool:
        """Whether the average of the weights stands for them after `epoch`."""
        return self.average is not None and self.average.judged_after(self.course.steps(epoch).stop - 1)

    def _put_average(self) -> None:
        """The weights that were judged last, or, where nothing was left to do, the average they would have had."""
        if self.judged is not None:
            self.network.load_state_dict(self.judged)
        elif self.average is not None:
            self.average.put()

    def _needs_statistics(self, epoch: int) -> bool:
        """Whether batch-norm statistics are to be measured anew after `epoch`: in the precision that is judged and
        ships, and, where asked for, of inputs as they are judged."""
        judged = bool(self.validation) or epoch == self.course.stretches - 1
        return self.train.precision != "32" or (self.train.reestimate and judged)

    def _step(self, step: int, clips: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Tensor, int]:
        """One update; its loss, for how many inputs the most likely class is the (mixed) target's, and of how many."""
        batch, heard = self._inputs(clips, rng, step // self.course.epoch)
        inputs, targets = batch.inputs, batch.targets
        self._set_rate(step)
        self.fabric_optimizer.zero_grad()
        if self.norm is None:
            logits = self.model(inputs).float()
        else:
            logits, targets = forward_augmented(self.model, self.norm, inputs, targets, self.augment, rng)
            logits = logits.float()
        loss = losses.classification(logits, targets, self.train, mixed=batch.both)
        if self.teacher is not None:
            known, distill = self.teacher.logits(inputs, heard), self.recipe.distill
            loss = loss + distill.weight * losses.distillation(logits, known, distill.temperature)
        self.fabric.backward(loss)
        if self.phase.clip_norm > 0:
            # A gradient that is no number is told by the loss of the epoch.
            self.fabric.clip_gradients(
                self.model, self.fabric_optimizer, max_norm=self.phase.clip_norm, error_if_nonfinite=False
            )
        self.fabric_optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) == targets.argmax(1)).sum(), len(targets)

    def _set_rate(self, step: int) -> None:
        total = self.course.total
        rate = scheduled(step, total, round(self.train.warmup_epochs * self.course.epoch), self.train)
        set_rate(self.optimizer, rate, scheduled_momentum(step, total, self.train))

    def _inputs(self, clips: NDArray[np.int64], rng: np.random.Generator, epoch: int) -> tuple[Mixed, Heard]:
        """Network inputs and soft targets of some training clips, cropped and augmented; and what is heard in them."""
        recipe, training, spec = self.recipe, self.training, self.recipe.features
        targets = one_hot(training.labels[clips], training.n_classes).to(self.fabric.device)
        stored, own = training.features[clips], training.lengths_of(clips)
        starts = training_starts(recipe, len(clips), stored.shape[-1], rng, own)
        features = torch.from_numpy(cut(stored, starts, recipe.n_frames, spec.silence)).to(self.fabric.device)
        seconds = starts * spec.hop_length / spec.sample_rate
        if recipe.wave_augment is not None:
            batch = augment_waves(features, targets, recipe.wave_augment, spec.sample_rate, rng, epoch)
            return batch, Heard(clips, seconds, Draw())
        inputs, targets, drawn = augment(features, targets, self.augment, spec, rng)
        return Mixed(inputs, targets, self.augment.mixup_alpha > 0), Heard(clips, seconds, drawn)

    def plain_inputs(self) -> Iterator[Tensor]:
        """Inputs of some training clips without augmentation, spread over the training set, in batches."""
        return plain_inputs(self.training, self.recipe, self.train.batch_size, self.fabric.device)

    def _validate(self) -> Scores | None:
        """Scores on the validation clips as evaluation would hear them, in 32 bits."""
        if self.validation is None or len(self.validation) == 0:
            return None
        logits = crop_logits(
            network_predict(self.network),
            self.validation.features,
            n_frames=self.recipe.n_frames,
            crops=self.recipe.data.test_crops,
            silence=self.recipe.features.silence,
            lengths=self.validation.lengths,
        )
        ranking = class_probabilities(logits, sigmoid=self.recipe.sigmoids)
        return scores(mean_log_softmax(logits), self.validation.labels, ranking)

    def _save(self, checkpoint: Checkpoint, position: Position, row: dict[str, Any]) -> None:
        def commit() -> None:
            rows = checkpoint.run.append_history(row)
            append_event(checkpoint.run.events_file, len(rows), rows[-1])

        extra = self.hooks.state()
        if self.average is not None:
            extra = extra | {AVERAGE + name: tensor for name, tensor in self.average.tensors.items()}
        checkpoint.save(self.network, self.optimizer, position, extra, commit, self.judged)

    def _restore(self, stored: dict[str, Tensor]) -> None:
        own = {name.removeprefix(AVERAGE): tensor for name, tensor in stored.items() if name.startswith(AVERAGE)}
        if self.average is not None:
            self.average.restore(own)
        self.hooks.restore({name: tensor for name, tensor in stored.items() if not name.startswith(AVERAGE)})


def plain_inputs(
    clips: ClipArrays, recipe: Recipe, batch_size: int = 64, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """Network inputs of up to 512 clips spread evenly over `clips`, without augmentation: for statistics.

    Where training takes random crops, the crop comes from a different place in every clip, always the same.
    """
    chosen = np.linspace(0, len(clips) - 1, min(len(clips), REESTIMATE_CLIPS)).astype(np.int64)
    yield from _inputs_of(clips.features[chosen], clips.lengths_of(chosen), recipe, batch_size, device)


def calibration_inputs(clips: ClipArrays, recipe: Recipe, batch_size: int = 64) -> Iterator[Tensor]:
    """Network inputs of the calibration set of `clips`, for ranges; those of `plain_inputs` where there is no set."""
    if clips.calibration is None:
        yield from plain_inputs(clips, recipe, batch_size)
    else:
        yield from _inputs_of(clips.calibration, clips.calibration_lengths, recipe, batch_size, "cpu")


def _inputs_of(
    features: NDArray[np.float32],
    lengths: NDArray[np.int64] | None,
    recipe: Recipe,
    batch_size: int,
    device: torch.device | str,
) -> Iterator[Tensor]:
    rng = np.random.default_rng(0)
    for start in range(0, len(features), batch_size):
        part = slice(start, start + batch_size)
        own = None if lengths is None else lengths[part]
        inputs = clip_inputs(recipe, features[part], rng, lengths=own)[:, 0]
        yield torch.from_numpy(np.ascontiguousarray(inputs)).to(device)


def _advance(position: Position, validated: Scores | None, select: str) -> Position:
    """The position after one more epoch, with the best one so far by macro accuracy or mean average precision."""
    epoch = position.epoch + 1
    if validated is None:
        return replace(position, epoch=epoch, best_epoch=epoch)
    by_precision = select == "mean-average-precision"
    score = (validated.mean_average_precision if by_precision else validated.macro_accuracy, -validated.log_loss)
    if position.best is None or score > position.best:
        return replace(position, epoch=epoch, best_epoch=epoch, best=score)
    return replace(position, epoch=epoch)


def _fabric(precision: str) -> Fabric:
    from lightning.fabric import Fabric

    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)  # it announces bf16 on every start
    return Fabric(devices=1, precision="bf16-mixed" if precision == "bf16" else "32-true")
