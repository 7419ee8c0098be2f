"""The two training phases of compression: pruning with live batch norm, then training on the integer grid.

Order: prune, fine-tune, fold, quantisation-aware training, freeze. Both phases distil from a
teacher, which is the uncompressed network itself unless another is given.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from edgeasc.compress.offsets import banded, cut_offsets, judged_on
from edgeasc.compress.prune import apply_masks, magnitude_masks, prunable, ramped_keep
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.solve import Plan
from edgeasc.specs import Recipe
from edgeasc.train.batches import ClipArrays
from edgeasc.train.checkpoint import Checkpoint
from edgeasc.train.loop import Fitted, calibration_inputs, fit, plain_inputs
from edgeasc.train.norm_statistics import reestimate
from edgeasc.train.phase import Hooks, Phase
from edgeasc.train.progress import Progress


def prune_network(
    network: nn.Module,
    training: ClipArrays,
    recipe: Recipe,
    plan: Plan,
    *,
    teacher: nn.Module | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Fitted | None:
    """Prune `network` in place to the plan's number of weights while it trains; None where nothing is to be pruned.

    Batch-norm statistics are measured anew after every epoch: those of the network before the last cut mislead.
    """
    network.requires_grad_(True)  # what training held still adapts to the loss of its neighbours
    weights = prunable(network)
    total = sum(weight.numel() for weight in weights.values())
    if plan.keep >= total:
        return None
    spec = recipe.prune
    masks: dict[str, Tensor] = {}

    def before_epoch(epoch: int) -> None:
        gradual = spec.schedule == "gradual"
        keep = ramped_keep(plan.keep, total, epoch, spec.epochs) if gradual else plan.keep
        masks.update(magnitude_masks(weights, keep, spec.scope))
        apply_masks(weights, masks)

    def after_epoch(epoch: int) -> dict[str, Any]:
        reestimate(network, plain_inputs(training, recipe))
        return {"sparsity": 1.0 - sum(float(mask.sum()) for mask in masks.values()) / total}

    hooks = Hooks(
        before_epoch=before_epoch, after_step=lambda step: apply_masks(weights, masks), after_epoch=after_epoch
    )
    phase = Phase.fine_tuning(recipe, "prune", max(1, spec.epochs), spec.lr, reestimate=False)
    return fit(network, training, phase, recipe, teacher=teacher, hooks=hooks, checkpoint=checkpoint, progress=progress)


def train_on_grid(
    net: QuantNet,
    training: ClipArrays,
    recipe: Recipe,
    plan: Plan,
    *,
    teacher: nn.Module | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Quantisation-aware training of `net` in place; the last `exact_epochs` run the integer kernels.

    The grids follow the ranges of the calibration set until the exact epochs begin, and then stay. In the end `net`
    is in `exact` mode. Sub-band biases that the plan has no room for go step by step until then.
    """
    spec = recipe.quantize
    exact_from = max(0, spec.epochs - spec.exact_epochs)

    def before_epoch(epoch: int) -> None:
        if epoch < max(1, exact_from):  # an exact epoch needs grids as well
            net.observe(calibration_inputs(training, recipe))
            if plan.keep_offsets < plan.costs.offsets:
                keep = ramped_keep(plan.keep_offsets, plan.costs.offsets, epoch, exact_from)
                with running(net, "float"):
                    cut_offsets(net, banded(net.ordered()), keep, judged_on(calibration_inputs(training, recipe)))
        net.mode = "fake" if epoch < exact_from else "exact"

    phase = Phase.on_grid(recipe, "quantize", spec.epochs, spec.lr)
    hooks = Hooks(before_epoch=before_epoch)
    fitted = fit(net, training, phase, recipe, teacher=teacher, hooks=hooks, checkpoint=checkpoint, progress=progress)
    net.mode = "exact"
    return fitted
