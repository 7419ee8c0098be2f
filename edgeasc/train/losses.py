"""Losses on logits `[B, n_classes]` with soft targets `[B, n_classes]`: a mean over the batch, or a sum."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgeasc.specs import TrainSpec


def classification(logits: Tensor, targets: Tensor, spec: TrainSpec, mixed: bool) -> Tensor:
    """The loss that `[train]` names; labels are smoothed for cross-entropy alone.

    Args:
        mixed: the targets are those of Mixup; `bce-when-mixed` takes sigmoids for them.
    """
    if spec.loss == "bce" or (spec.loss == "bce-when-mixed" and mixed):
        return binary_cross_entropy(logits, targets, spec.loss_over)
    return cross_entropy(logits, smooth(targets, spec.label_smoothing, spec.smoothing), spec.loss_over)


def smooth(targets: Tensor, smoothing: float, over: str = "uniform") -> Tensor:
    """Targets with a part `smoothing` of their mass moved.

    `uniform`: `(1 - smoothing) * targets + smoothing / n_classes`. `others`: what a class gives up goes to the other
    classes evenly, so that a one-hot target becomes 1 - smoothing and smoothing / (n_classes - 1), as the published
    training of EAT has it (Gazneli et al., arXiv 2204.11479).
    """
    if smoothing == 0:
        return targets
    if over == "uniform":
        return targets * (1 - smoothing) + smoothing / targets.shape[1]
    return targets * (1 - smoothing) + (1 - targets) * smoothing / (targets.shape[1] - 1)


def cross_entropy(logits: Tensor, targets: Tensor, over: str = "mean") -> Tensor:
    """Cross-entropy against soft targets."""
    losses = -(targets * functional.log_softmax(logits, 1)).sum(1)
    return losses.sum() if over == "sum" else losses.mean()


def binary_cross_entropy(logits: Tensor, targets: Tensor, over: str = "mean") -> Tensor:
    """Cross-entropy of one sigmoid per class; the mean is over batch and classes.

    Source of its use with Mixup: Pellegrini, Interspeech 2021, section 3.4.
    """
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction=over)


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """`T^2 * KL(softmax(teacher / T) || softmax(student / T))`.

    The factor keeps the gradient's size independent of T. Source: Hinton et al., arXiv 1503.02531, section 2.
    """
    divergence = functional.kl_div(
        functional.log_softmax(student / temperature, 1),
        functional.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2
