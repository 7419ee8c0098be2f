"""A linear support vector machine on embeddings, as the primates system compares its networks with one.

Source: Pellegrini, "Deep-learning-based central African primate species classification with MixUp and SpecAugment",
Interspeech 2021, the experiment on embeddings; there C is not given. Here C is the one of 1e-4 .. 1 with the best
unweighted average recall on the validation clips of the run, or, where there are none, over cross-validation that keeps
recordings (or folds) together; the smallest of equals. Test clips are looked at once, by the machine that was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.embeddings import Embeddings
from edgeasc.errors import BadInput
from edgeasc.train.metrics import accuracy_by, macro_accuracy

COSTS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MOST_FOLDS = 5

Split = tuple[NDArray[np.bool_], NDArray[np.bool_]]  # clips to learn from, clips to judge by


def linear_svm(clips: Embeddings, costs: tuple[float, ...] = COSTS) -> dict[str, Any]:
    """Choose C, learn from all clips but the test clips, and score those.

    Raises:
        BadInput: no test clips, or fewer than two classes to learn from.
    """
    known, test = clips.of_role("train", "validation"), clips.of_role("test")
    if not test.any():
        raise BadInput("svm", "no clip has the role test; embed a run that held some out")
    splits, rule = _splits(clips)
    searched = [{"C": cost, "macro_accuracy": _recall(clips, splits, cost)} for cost in costs]
    best = max(searched, key=lambda row: (row["macro_accuracy"], -row["C"]))
    guess = _fit(clips, known, best["C"]).predict(clips.embeddings[test])
    truth = clips.labels[test]
    right = guess == truth
    confusion = np.zeros((len(clips.names), len(clips.names)), np.int64)
    np.add.at(confusion, (truth, guess), 1)
    return {
        "schema": 1,
        "n_features": clips.embeddings.shape[1],
        "n_learnt": int(known.sum()),
        "n": int(test.sum()),
        "chosen_on": rule,
        "searched": searched,
        "C": best["C"],
        "accuracy": float(right.mean()),
        "macro_accuracy": macro_accuracy(right, truth),
        "per_class": accuracy_by(right, [str(clips.names[label]) for label in truth]),
        "labels": clips.names.tolist(),
        "confusion": confusion.tolist(),
    }


def _splits(clips: Embeddings) -> tuple[list[Split], str]:
    """What C is chosen on, and in words."""
    training, validation = clips.of_role("train"), clips.of_role("validation")
    if validation.any() and training.any():
        return [(training, validation)], f"{int(validation.sum())} validation clips"
    known = clips.of_role("train", "validation")
    splits = list(_grouped(known, clips.groups))
    if len(splits) < 2:
        raise BadInput("svm", "one recording or fold to learn from, and no validation clips: C cannot be chosen")
    return splits, f"cross-validation in {len(splits)} parts that keep recordings or folds together"


def _grouped(known: NDArray[np.bool_], groups: NDArray[np.str_]) -> Iterator[Split]:
    """Up to five splits of the clips `known`, none of which cuts a group: the groups are dealt out by size."""
    names, counts = np.unique(groups[known], return_counts=True)
    parts = min(MOST_FOLDS, len(names))
    held: list[list[str]] = [[] for _ in range(parts)]
    sizes = np.zeros(parts, np.int64)
    for index in np.argsort(-counts, kind="stable"):
        smallest = int(sizes.argmin())
        held[smallest].append(str(names[index]))
        sizes[smallest] += counts[index]
    for group in held:
        judged = known & np.isin(groups, group)
        yield known & ~judged, judged


def _recall(clips: Embeddings, splits: list[Split], cost: float) -> float:
    """Mean over the splits of the unweighted average recall."""
    found = []
    for learnt, judged in splits:
        right = _fit(clips, learnt, cost).predict(clips.embeddings[judged]) == clips.labels[judged]
        found.append(macro_accuracy(right, clips.labels[judged]))
    return float(np.mean(found))


def _fit(clips: Embeddings, which: NDArray[np.bool_], cost: float) -> Any:
    from sklearn.svm import SVC

    if len(np.unique(clips.labels[which])) < 2:
        raise BadInput("svm", "the clips to learn from are all of one class")
    return SVC(C=cost, kernel="linear").fit(clips.embeddings[which], clips.labels[which])
