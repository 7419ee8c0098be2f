"""From audio files to scenes with any artefact: front end, crops, softmax."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.runtime.runner import Runner, load_runner
from edgeasc.specs import FrontEndSpec


def predict_files(
    model: str | Path,
    paths: Iterable[str | Path],
    *,
    runtime: str | None = None,
    crops: int | None = None,
    threads: int = 1,
) -> list[dict[str, Any]]:
    """Scene and probabilities of every recording.

    A recording shorter than the network's input is padded with silence. A longer one is covered by evenly spaced
    crops, at least as many as the recipe of a run folder evaluates with, whose probabilities are averaged.

    Args:
        model: anything that `load_runner` takes and that knows its front end.
        crops: how many crops, whatever the length.

    Returns:
        One {path, label, index, probability, probabilities {label: p}, crops, seconds} per path, in order.

    Raises:
        BadInput: a recording or the model cannot be used; the model has no front end in its metadata.
    """
    with load_runner(model, runtime, threads=threads) as runner:
        spec = front_end(runner)
        at_least = _recipe_crops(Path(model))
        return [_predict(runner, spec, Path(path), crops, at_least) for path in paths]


def front_end(runner: Runner) -> FrontEndSpec:
    """The front end that the model says it was trained with.

    Raises:
        BadInput: it says none, or one whose features do not fit its input.
    """
    spec, path = runner.features, runner.artefact.path
    if spec is None:
        raise BadInput("model", "says nothing about its front end (metadata edgeasc.features)", path)
    if len(runner.input_shape) == 3 and runner.input_shape[1] not in (0, spec.n_mels):
        raise BadInput("model", f"takes {runner.input_shape[1]} mels, its front end makes {spec.n_mels}", path)
    return spec


def input_frames(runner: Runner, spec: FrontEndSpec) -> int | None:
    """Frames of one network input; None where the model takes any number and names no length."""
    if len(runner.input_shape) == 3 and runner.input_shape[2]:
        return runner.input_shape[2]
    return None if runner.clip_seconds is None else spec.n_frames(round(runner.clip_seconds * spec.sample_rate))


def even_crops(features: NDArray[np.float32], n_frames: int, crops: int, silence: float) -> NDArray[np.float32]:
    """`crops` windows [crops, 1, n_mels, n_frames] of features [n_mels, any], first to last possible start.

    A single one is the start of the recording; what is too short is padded with `silence` at its end.
    """
    from edgeasc.data.inputs import even_starts, fit_length

    starts = even_starts(features.shape[1], n_frames, crops)
    return np.stack([fit_length(features[None, :, start:], n_frames, silence) for start in starts])


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities [B, n] of logits [B, n]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _predict(runner: Runner, spec: FrontEndSpec, path: Path, crops: int | None, at_least: int) -> dict[str, Any]:
    from edgeasc.data.audio import load_audio
    from edgeasc.features.logmel import log_mel

    waveform = load_audio(path, spec.sample_rate)
    features = log_mel(waveform, spec)
    n_frames = input_frames(runner, spec) or features.shape[1]
    count = crops or max(at_least, -(-features.shape[1] // n_frames))
    probabilities = softmax(runner.predict(even_crops(features, n_frames, count, spec.silence))).mean(axis=0)
    labels = runner.labels or tuple(f"class {index}" for index in range(len(probabilities)))
    if len(labels) != len(probabilities):
        why = f"names {len(labels)} classes and gives {len(probabilities)} logits"
        raise BadInput("model", why, runner.artefact.path)
    best = int(probabilities.argmax())
    return {
        "path": str(path),
        "label": labels[best],
        "index": best,
        "probability": float(probabilities[best]),
        "probabilities": {label: float(p) for label, p in zip(labels, probabilities, strict=True)},
        "crops": count,
        "seconds": len(waveform) / spec.sample_rate,
    }


def _recipe_crops(model: Path) -> int:
    """Crops that the run's own evaluation averages; 1 for a bare file."""
    from edgeasc.runs import Run

    run = Run(model)
    return run.recipe().data.test_crops if run.exists else 1
