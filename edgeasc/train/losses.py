"""Losses on logits `[B, n_classes]` with soft targets `[B, n_classes]`; every one is a mean over the batch."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def smooth(targets: Tensor, smoothing: float) -> Tensor:
    """`(1 - smoothing) * targets + smoothing / n_classes`."""
    return targets if smoothing == 0 else targets * (1 - smoothing) + smoothing / targets.shape[1]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy against soft targets."""
    return -(targets * functional.log_softmax(logits, 1)).sum(1).mean()


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
