"""The evaluation document of any predictor: one set of scores for torch, integers and native runtimes alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.data.clips import Clip, Dataset
from edgeasc.errors import BadInput
from edgeasc.specs import Recipe
from edgeasc.train.metrics import accuracy_by, scores
from edgeasc.train.predict import Predict, class_probabilities, crop_logits, mean_log_softmax

SCHEMA = 1


def evaluate_predict(
    predict: Predict,
    dataset: Dataset,
    clips: Sequence[Clip],
    recipe: Recipe,
    *,
    split: str,
    sha256: str | None = None,
    seeds: Sequence[int] = (),
    crops: int | None = None,
    whole: bool = False,
    seen_devices: Sequence[str | None] | None = None,
    cache: Path | None = None,
    batch_size: int = 64,
) -> dict[str, Any]:
    """Scores of `predict` on `clips`, as the document `evaluate.json`.

    Args:
        predict: `[B, 1, n_mels, n_frames] -> logits [B, n_classes]`, both float32.
        split: what the clips are, in words ("test: fold 4").
        sha256: digest of the artefact that predicts.
        crops: evenly spaced crops whose probabilities are averaged; by default the recipe's `test_crops`.
            One crop is the clip cut or padded to the recipe's length.
        whole: hand over the stored clip at its full length instead, for networks that take any number of frames.
        seen_devices: the devices of the training clips, to tell seen from unseen ones; None: not known.

    Raises:
        BadInput: no clips.
    """
    from edgeasc.data.cache import stored_clips

    if not clips:
        raise BadInput("evaluate", f"no clips to evaluate on ({split})")
    features, lengths = stored_clips(dataset, clips, recipe, cache)
    n_frames = features.shape[3] if whole else recipe.n_frames
    crops = 1 if whole else crops or recipe.data.test_crops
    logits = crop_logits(
        predict,
        features,
        n_frames=n_frames,
        crops=crops,
        silence=recipe.features.silence,
        batch_size=batch_size,
        lengths=lengths,
    )
    document: dict[str, Any] = {"schema": SCHEMA, "sha256": sha256, "split": split, "n": len(clips)}
    document |= {"seeds": list(seeds), "input": _input_words(features.shape[3], n_frames, crops, recipe)}
    ranking = class_probabilities(logits, sigmoid=recipe.sigmoids)
    return document | score_document(mean_log_softmax(logits), clips, dataset.labels, seen_devices, ranking)


def score_document(
    log_probabilities: NDArray[np.float64],
    clips: Sequence[Clip],
    labels: Sequence[str],
    seen_devices: Sequence[str | None] | None = None,
    ranking: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Scores of `[n, n_classes]` log probabilities: overall, per class, per device, and the confusion matrix.

    `confusion[true][predicted]` counts clips in the order of `labels`. `seen` and `unseen` join the devices heard
    in training and the others; null where there are none or it is not known. `ranking`: see `metrics.scores`.
    """
    truth = np.array([clip.label for clip in clips])
    guess = log_probabilities.argmax(1)
    right = guess == truth
    overall = scores(log_probabilities, truth, ranking)
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (truth, guess), 1)
    return {
        "accuracy": overall.accuracy,
        "macro_accuracy": overall.macro_accuracy,
        "log_loss": overall.log_loss,
        "mean_average_precision": overall.mean_average_precision,
        "per_class": accuracy_by(right, [labels[label] for label in truth]),
        "per_device": _by_device(right, clips),
        **_seen_and_unseen(right, clips, seen_devices),
        "labels": list(labels),
        "confusion": confusion.tolist(),
    }


def _by_device(right: NDArray[np.bool_], clips: Sequence[Clip]) -> dict[str, dict[str, float | int]]:
    """Accuracy per device; empty when no clip names one."""
    if all(clip.device is None for clip in clips):
        return {}
    return accuracy_by(right, [clip.device or "unknown" for clip in clips])


def _seen_and_unseen(
    right: NDArray[np.bool_], clips: Sequence[Clip], seen_devices: Sequence[str | None] | None
) -> dict[str, dict[str, float | int] | None]:
    if seen_devices is None or all(clip.device is None for clip in clips):
        return {"seen": None, "unseen": None}
    seen = set(seen_devices)
    groups = accuracy_by(right, ["seen" if clip.device in seen else "unseen" for clip in clips])
    return {name: groups.get(name) for name in ("seen", "unseen")}


def _input_words(stored: int, n_frames: int, crops: int, recipe: Recipe) -> str:
    """How a clip was heard, for people: never mix scores of different kinds."""
    seconds = f"{recipe.data.clip_seconds:g} s"
    if crops > 1:
        return f"mean of {crops} crops of {seconds}"
    if n_frames < stored:
        return f"the first {seconds} of the clip"
    return "whole clip" if n_frames == stored else f"whole clip, silence added to {seconds}"
