"""Which clips train, which select, which test; a group (one recording) is never cut.

The rule that was used is said in words, to stand beside every accuracy.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from edgeasc.data.clips import Clip, Dataset
from edgeasc.errors import BadInput, UsageError

TEST_PART = 0.2  # of the clips, where neither the data set nor the user says what to test on


@dataclass(frozen=True)
class Split:
    """A partition of the clips of a data set, with the rule that made it."""

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    rule: str


def split(dataset: Dataset, fold: int | None = None, validation: float = 0.1, seed: int = 0) -> Split:
    """The split that the data set prescribes, or the one held-out fold, or a seeded stratified one.

    Args:
        dataset: what to split.
        fold: the fold to test on; by default the largest one present.
        validation: part of the training clips set aside for model selection, 0 for none; a data set that
            prescribes its validation clips keeps them all.
        seed: for what is drawn; the same seed draws the same split.

    Raises:
        UsageError: a fold that does not exist.
        BadInput: folds that cut a group, clips without a fold beside clips with one, or a class that would have
            no training clip.
    """
    rest, test, rule = _held_out(dataset, fold, seed)
    chosen, how = _selecting(dataset, rest, validation, seed)
    train = tuple(clip for clip in rest if clip.group not in chosen)
    _all_trained(dataset, train, rule + how)
    selected = tuple(clip for clip in rest if clip.group in chosen)
    return Split(train, selected, test, rule + how + _untested(dataset, test))


def _selecting(dataset: Dataset, rest: list[Clip], validation: float, seed: int) -> tuple[set[str], str]:
    """Groups of the clips that select the best epoch, and the rule."""
    prescribed = [clip for clip in rest if clip.role == "validation"]
    if prescribed:
        _uncut([clip for clip in rest if clip.role != "validation"], prescribed, "the prescribed validation clips")
        return {clip.group for clip in prescribed}, f"; validation: the clips that {dataset.name} sets aside for it"
    chosen = _drawn(rest, validation, seed, key=lambda clip: (dataset.labels[clip.label], clip.device or ""))
    if validation and not chosen:
        return chosen, "; no validation: too few training recordings to spare one"
    return chosen, f"; validation: {validation:.0%} of the training recordings, seed {seed}" if validation else ""


def _all_trained(dataset: Dataset, train: tuple[Clip, ...], rule: str) -> None:
    """Refuse a class that nothing would be learnt about."""
    trained = {clip.label for clip in train}
    for label, name in enumerate(dataset.labels):
        if label not in trained:
            raise BadInput("split", f"class {name!r} has no clip to train on ({rule})")


def _untested(dataset: Dataset, test: tuple[Clip, ...]) -> str:
    """What to say of classes that the test clips lack: macro accuracy is a mean over those present."""
    tested = {clip.label for clip in test}
    absent = [name for label, name in enumerate(dataset.labels) if label not in tested] if test else []
    return f"; no test clip of {', '.join(absent)}" if absent else ""


def _held_out(dataset: Dataset, fold: int | None, seed: int) -> tuple[list[Clip], tuple[Clip, ...], str]:
    """Clips to train with, clips to test on, and the rule."""
    clips = dataset.clips
    if any(clip.role is not None for clip in clips):
        return _prescribed(dataset, fold)
    if dataset.folds:
        return _one_fold(dataset, fold)
    if fold is not None:
        raise UsageError("--fold", f"{fold} asked for, but {dataset.name} has no folds")
    chosen = _drawn(clips, TEST_PART, seed, key=lambda clip: dataset.labels[clip.label])
    test = tuple(clip for clip in clips if clip.group in chosen)
    tested = {clip.label for clip in test}
    for label, name in enumerate(dataset.labels):
        if label not in tested:
            raise BadInput("split", f"class {name!r} comes from a single recording: none is left to test on")
    rule = f"test: {TEST_PART:.0%} of the recordings of every class, drawn with seed {seed}"
    return [clip for clip in clips if clip.group not in chosen], test, rule


def _prescribed(dataset: Dataset, fold: int | None) -> tuple[list[Clip], tuple[Clip, ...], str]:
    """The split that the data set brings."""
    if fold is not None:
        raise UsageError("--fold", f"{dataset.name} prescribes its split and has no folds")
    rest = [clip for clip in dataset.clips if clip.role != "test"]
    test = tuple(clip for clip in dataset.clips if clip.role == "test")
    _uncut(rest, test, "the prescribed split")
    unheard = {clip.device for clip in test} - {clip.device for clip in rest} - {None}
    if not test:
        withheld = f"{len(dataset.unlabelled)} without a label" if dataset.unlabelled else "none"
        return rest, test, f"test: {withheld} in {dataset.name}"
    rule = f"test: the clips that {dataset.name} sets aside"
    if unheard:
        rule += f", among them devices never heard in training ({', '.join(sorted(d for d in unheard if d))})"
    return rest, test, rule


def _one_fold(dataset: Dataset, fold: int | None) -> tuple[list[Clip], tuple[Clip, ...], str]:
    """One fold held out."""
    held = dataset.folds[-1] if fold is None else fold
    if held not in dataset.folds:
        raise UsageError("--fold", f"{held} asked for; {dataset.name} has {', '.join(map(str, dataset.folds))}")
    for clip in dataset.clips:
        if clip.fold is None:
            raise BadInput("split", f"clip {clip.id!r} has no fold, others have")
    rest = [clip for clip in dataset.clips if clip.fold != held]
    test = tuple(clip for clip in dataset.clips if clip.fold == held)
    if not rest:
        raise BadInput("split", f"{dataset.name} has only fold {held}: nothing is left to train on")
    _uncut(rest, test, f"fold {held}")
    others = ", ".join(str(number) for number in dataset.folds if number != held)
    why = "" if fold is not None else ", the last one"
    return rest, test, f"test: fold {held}{why}; training: folds {others}"


def _uncut(rest: Iterable[Clip], test: Iterable[Clip], boundary: str) -> None:
    """Refuse a boundary that runs through a recording."""
    cut = {clip.group for clip in rest} & {clip.group for clip in test}
    if cut:
        raise BadInput("split", f"recording {min(cut)!r} lies on both sides of {boundary}")


def _drawn(clips: Iterable[Clip], part: float, seed: int, key: Callable[[Clip], Hashable]) -> set[str]:
    """Groups that hold about `part` of the clips of every stratum; each stratum keeps at least one group.

    A group belongs to the stratum of its first clip. Where part is positive and a stratum has two groups or more,
    at least one is drawn if half a clip or more is due.
    """
    sizes: dict[str, int] = defaultdict(int)
    strata: dict[Hashable, list[str]] = defaultdict(list)
    for clip in clips:
        if clip.group not in sizes:
            strata[key(clip)].append(clip.group)
        sizes[clip.group] += 1
    chosen: set[str] = set()
    for stratum in sorted(strata, key=repr):
        groups = sorted(strata[stratum])
        # One generator per stratum: what is drawn in one class does not depend on the others.
        rng = np.random.default_rng([seed, zlib.crc32(repr(stratum).encode())])
        due = part * sum(sizes[group] for group in groups)
        for index in rng.permutation(len(groups))[: len(groups) - 1]:
            group = groups[index]
            if due < sizes[group] / 2:
                break
            chosen.add(group)
            due -= sizes[group]
    return chosen
