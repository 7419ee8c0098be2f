"""Scores of class probabilities against labels, in numpy; scikit-learn only for average precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Scores:
    """What validation looks at after every epoch."""

    accuracy: float
    macro_accuracy: float
    log_loss: float
    mean_average_precision: float


def log_softmax(logits: FloatArray) -> NDArray[np.float64]:
    """Natural logarithm of the class probabilities, over the last axis."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


def scores(log_probabilities: FloatArray, labels: NDArray[np.int64], ranking: FloatArray | None = None) -> Scores:
    """Scores of `[n, n_classes]` log probabilities against `[n]` labels.

    Args:
        ranking: what average precision ranks the clips by, where it is not the probabilities: sigmoids of a network
            trained with binary cross-entropy.
    """
    right = log_probabilities.argmax(1) == labels
    return Scores(
        float(right.mean()),
        macro_accuracy(right, labels),
        log_loss(log_probabilities, labels),
        mean_average_precision(np.exp(log_probabilities) if ranking is None else ranking, labels),
    )


def macro_accuracy(right: NDArray[np.bool_], labels: NDArray[np.int64]) -> float:
    """Mean over the classes present of the accuracy within a class: unweighted average recall (UAR)."""
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def log_loss(log_probabilities: FloatArray, labels: NDArray[np.int64]) -> float:
    """Mean of minus the log probability of the true class, in nats."""
    return float(-log_probabilities[np.arange(len(labels)), labels].mean())


def mean_average_precision(probabilities: FloatArray, labels: NDArray[np.int64]) -> float:
    """Mean over the classes present of the average precision of a class's probability (one against the rest)."""
    from sklearn.metrics import average_precision_score

    present = np.unique(labels)
    return float(np.mean([average_precision_score(labels == label, probabilities[:, label]) for label in present]))


def accuracy_by(right: NDArray[np.bool_], groups: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Number of clips and accuracy for every group (class name, device), groups sorted."""
    names = np.asarray(groups, dtype=object)
    table: dict[str, dict[str, float | int]] = {}
    for name in sorted(set(groups)):
        inside = names == name
        table[name] = {"n": int(inside.sum()), "accuracy": float(right[inside].mean())}
    return table
