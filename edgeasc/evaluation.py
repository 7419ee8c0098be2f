"""Scores of any artefact on recordings: the runner of `runtime` in the hands of `train.evaluate`.

This and `edgeasc.demo` are where rooms meet that do not know one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeasc.data.clips import Clip, Dataset, relabelled
from edgeasc.data.split import split
from edgeasc.errors import BadInput
from edgeasc.runs import Run
from edgeasc.runtime.predict import front_end, input_frames
from edgeasc.runtime.runner import Runner, load_runner
from edgeasc.specs import DataSpec, ModelSpec, Recipe


@dataclass(frozen=True)
class Chosen:
    """The clips to score on, what they are in words, and the devices that training heard (None: not known)."""

    clips: Sequence[Clip]
    words: str
    seen_devices: Sequence[str | None] | None = None


def evaluate_artefact(
    model: Path,
    dataset: Dataset,
    *,
    fold: int | None = None,
    every_clip: bool = False,
    runtime: str | None = None,
    crops: int | None = None,
    threads: int = 1,
    cache: Path | None = None,
) -> dict[str, Any]:
    """The evaluation document of `model` on `dataset`.

    Scored are, in this order: all clips where `every_clip` says so; the test clips of `fold`; the test clips of the
    run folder `model`, where the data set is the one it was trained on; otherwise all clips.

    Args:
        runtime: see `load_runner`. crops: evenly spaced crops to average; by default the recipe's number, or 1.

    Raises:
        BadInput: the model or a recording cannot be used, or the labels do not match.
    """
    from edgeasc.train.evaluate import evaluate_predict

    run = Run(model) if Run(model).exists else None
    with load_runner(model, runtime, threads=threads) as runner:
        recipe = run.recipe() if run else _recipe_of(runner)
        dataset = relabelled(dataset, runner.labels or dataset.labels)
        chosen = _choose(dataset, run, fold, every_clip)
        return evaluate_predict(
            runner.predict,
            dataset,
            chosen.clips,
            recipe,
            split=chosen.words,
            sha256=runner.artefact.sha256,
            seeds=run.info().seeds if run else (),
            crops=crops,
            seen_devices=chosen.seen_devices,
            cache=cache,
        )


def _recipe_of(runner: Runner) -> Recipe:
    """A recipe that hears as the bare file does."""
    spec = front_end(runner)
    frames = input_frames(runner, spec)
    if frames is None:
        raise BadInput("model", "says nothing about the length of its input", runner.artefact.path)
    seconds = runner.clip_seconds or spec.seconds(frames)
    return Recipe(model=ModelSpec(name="file"), features=spec, data=DataSpec(clip_seconds=seconds))


def _choose(dataset: Dataset, run: Run | None, fold: int | None, every_clip: bool) -> Chosen:
    everything = Chosen(dataset.clips, f"all clips of {dataset.name}")
    if every_clip:
        return everything
    if fold is not None:
        parts = split(dataset, fold, validation=0.0)
        return Chosen(parts.test, parts.rule, [clip.device for clip in parts.train])
    if run is None:
        return everything
    rows, known = run.split(), {clip.id for clip in dataset.clips}
    if not all(row.clip in known for row in rows):
        return everything
    from edgeasc.compress.run import run_clips

    clips = run_clips(run, dataset, dataset.labels)
    words = str(run.info().data.get("split") or "the run's test clips")
    words = words if clips["test"] else f"validation clips ({words})"
    return Chosen(clips["test"] or clips["validation"], words, [clip.device for clip in clips["train"]])
