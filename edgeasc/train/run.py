"""A training run from recordings to a run folder, and a run folder back to a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgeasc.data.clips import Clip, Dataset
from edgeasc.data.split import Split
from edgeasc.errors import BadInput, EdgeascError, UsageError
from edgeasc.files import read_bytes, sha256, write_json
from edgeasc.nn.layers import GlobalFreqNorm
from edgeasc.nn.registry import create_model
from edgeasc.runs import Run, RunInfo, SplitRow, installed_versions
from edgeasc.specs import Recipe, Waveform
from edgeasc.train.batches import ClipArrays
from edgeasc.train.checkpoint import Checkpoint
from edgeasc.train.evaluate import evaluate_predict
from edgeasc.train.loop import fit
from edgeasc.train.phase import Phase
from edgeasc.train.predict import evaluating, network_predict
from edgeasc.train.progress import Progress
from edgeasc.train.start import Start, start_from
from edgeasc.train.teach import OwnEars
from edgeasc.train.weights import load_weights, read_tensors


def train_run(
    recipe: Recipe,
    dataset: Dataset,
    split: Split,
    out: Path,
    teacher: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    cache: Path | None = None,
    starts: Sequence[Start] = (),
) -> Run:
    """Train the recipe's network, write a run folder, and evaluate its best weights on the test clips.

    `starts` names earlier runs whose weights the network, or parts of it, begin with.
    The test clips are looked at once, after the last epoch; epochs are chosen by validation clips alone.
    An interrupted run keeps every finished epoch. With `resume` it goes on from there, on as many threads as
    it was started with; a complete run is left as it is.

    Raises:
        UsageError: a run is there already, or the one to resume had another recipe, split or teacher.
        KeyboardInterrupt: after the state `interrupted` is written.
    """
    run, progress = Run(out), progress or Progress()
    check_network(recipe, len(dataset.labels))
    rows = split_rows(dataset, split)
    with run.locked():
        if resume and run.exists:
            info = _checked_resume(run, recipe, dataset, rows, teacher, starts)
            if info.state == "complete":
                progress.note(f"{out}: complete already, nothing to resume")
                return run
            run.set_state("running")
        else:
            info = _new_info(recipe, dataset, split, teacher, starts)
            run.create(info, recipe, rows)
        try:
            with cpu_threads(info.threads):
                _train(run, recipe, dataset, split, teacher, progress, cache, starts)
        except KeyboardInterrupt:
            run.set_state("interrupted")
            raise
        except EdgeascError:
            run.give_up()
            raise
        finally:
            progress.close()
        run.set_state("complete")
    return run


def _train(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    split: Split,
    teacher: Path | None,
    progress: Progress,
    cache: Path | None,
    starts: Sequence[Start],
) -> None:
    """The run's one phase, then its evaluation."""
    training = clip_arrays(dataset, split.train, recipe, cache)
    validation = clip_arrays(dataset, split.validation, recipe, cache) if split.validation else None
    network = fresh_network(recipe, len(dataset.labels), training)
    start_from(network, starts)
    fit(
        network,
        training,
        Phase.of(recipe),
        recipe,
        validation=validation,
        teacher=load_teacher(teacher, recipe, dataset, split.train, cache) if teacher else None,
        checkpoint=Checkpoint(run, resume=True),
        progress=progress,
    )
    network, recipe, _ = load_network(run.path)
    clips = split.test or split.validation
    if clips:
        document = evaluate_predict(
            network_predict(network),
            dataset,
            clips,
            recipe,
            split=split.rule if split.test else f"validation clips ({split.rule})",
            sha256=sha256(read_bytes(run.best, "checkpoint")),
            seeds=(recipe.train.seed,),
            seen_devices=[clip.device for clip in split.train],
            cache=cache,
        )
        write_json(run.evaluate_file, document)


def fresh_network(recipe: Recipe, num_classes: int, training: ClipArrays) -> nn.Module:
    """The recipe's network, initialised from the recipe's seed; statistics of a global norm from the training clips."""
    torch.manual_seed(recipe.train.seed)
    network = create_model(recipe.model.name, num_classes, **recipe.model.options)
    for module in network.modules():
        if isinstance(module, GlobalFreqNorm):
            module.set_statistics(torch.from_numpy(training.features))
    return network


def check_network(recipe: Recipe, num_classes: int) -> None:
    """Build the recipe's network and let it hear digital silence once, before hours of listening to recordings.

    Raises:
        UsageError: an unknown option, or a layer that cannot be computed on inputs of the recipe's length.
    """
    network = create_model(recipe.model.name, num_classes, **recipe.model.options)
    shape = (1, 1, recipe.features.n_mels, recipe.n_frames)
    try:
        with evaluating(network):
            network(torch.full(shape, recipe.features.silence))
    except RuntimeError as error:
        what = f"{recipe.data.clip_seconds:g} s ({shape[2]} x {shape[3]} values)"
        why = str(error).splitlines()[0].rstrip(".")
        raise UsageError(
            "recipe", f"data.clip_seconds: {recipe.model.name} cannot take inputs of {what}: {why}"
        ) from None


def load_network(path: Path) -> tuple[nn.Module, Recipe, tuple[str, ...]]:
    """The best network of a training run in evaluation mode, its recipe and its labels.

    Raises:
        BadInput: no run there, or one whose files are missing, corrupt or do not fit together.
    """
    run = Run(path)
    info, recipe = run.info(), run.recipe()
    if info.kind == "compress":
        raise BadInput("run", f"compressed already; take the trained run that it came from, {info.parent}", path)
    network = create_model(recipe.model.name, len(info.labels), **recipe.model.options)
    load_weights(network, read_tensors(run.best)[0], run.best)
    return network.eval(), recipe, info.labels


def load_teacher(
    path: Path, recipe: Recipe, dataset: Dataset, clips: Sequence[Clip], cache: Path | None = None
) -> nn.Module:
    """The network of a run as a teacher of `recipe` on `clips`; with `OwnEars` where its front end is another.

    Raises:
        UsageError: it cannot teach: other labels, or inputs that are shorter than the student's.
    """
    network, other, known = load_network(path)
    labels = dataset.labels
    if list(known) != list(labels):
        raise UsageError("teacher", f"knows the labels {', '.join(known)}, the student {', '.join(labels)}", path)
    # Float and integer features of the same sound are a hundredth of a log unit apart: one can teach the other.
    if other.features.with_arithmetic("float") == recipe.features.with_arithmetic("float"):
        return network
    heard = recipe.model_copy(update={"features": other.features})
    length = other.n_frames if isinstance(other.features, Waveform) else 0  # of networks on waveforms it is fixed
    if 0 < length < heard.n_frames:
        lasts, here = (f"{one.data.clip_seconds:g} s" for one in (other, recipe))
        raise UsageError("teacher", f"hears {lasts} at a time, the student {here}; set data.clip_seconds", path)
    return OwnEars(network, heard, clip_arrays(dataset, clips, heard, cache), length)


def clip_arrays(dataset: Dataset, clips: Sequence[Clip], recipe: Recipe, cache: Path | None = None) -> ClipArrays:
    """Features, labels and devices of clips, in memory."""
    from edgeasc.data.cache import stored_clips

    labels = np.array([clip.label for clip in clips], dtype=np.int64)
    devices = tuple(clip.device for clip in clips)
    features, lengths = stored_clips(dataset, clips, recipe, cache)
    return ClipArrays(features, labels, len(dataset.labels), devices, lengths=lengths)


def split_rows(dataset: Dataset, split: Split) -> list[SplitRow]:
    """The rows of `split.csv`: every clip with the digest of its sound and its role."""
    parts = (("train", split.train), ("validation", split.validation), ("test", split.test))
    return [SplitRow(clip.id, dataset.digest(clip), role) for role, clips in parts for clip in clips]  # type: ignore[arg-type]


@contextmanager
def cpu_threads(threads: int) -> Iterator[None]:
    """Run torch on `threads` CPU threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _new_info(recipe: Recipe, dataset: Dataset, split: Split, teacher: Path | None, starts: Sequence[Start]) -> RunInfo:
    return RunInfo(
        kind="train",
        recipe_hash=recipe.digest,
        labels=dataset.labels,
        seeds=(recipe.train.seed,),
        threads=recipe.train.threads or torch.get_num_threads(),
        teacher=str(teacher) if teacher else None,
        data={"name": dataset.name, "split": split.rule, **_start_words(starts)},
        versions=installed_versions(),
    )


def _start_words(starts: Sequence[Start]) -> dict[str, str | int | None]:
    """What `run.json` says of weights to start from; nothing where there are none."""
    return {"init": ", ".join(map(str, starts))} if starts else {}


def _checked_resume(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    rows: list[SplitRow],
    teacher: Path | None,
    starts: Sequence[Start],
) -> RunInfo:
    """What the run to be resumed says of itself, if it is the run that was asked for."""
    info = run.info()
    if recipe.digest != run.recipe().digest:
        raise UsageError("--resume", "the run was started with another recipe", run.recipe_file)
    if info.kind != "train" or info.labels != dataset.labels or run.split() != tuple(rows):
        raise UsageError("--resume", "the run was started on other clips", run.split_file)
    if info.teacher != (str(teacher) if teacher else None):
        raise UsageError("--resume", f"the run was started with teacher {info.teacher}", run.path)
    if info.data.get("init") != _start_words(starts).get("init"):
        raise UsageError("--resume", f"the run was started with --init {info.data.get('init')}", run.path)
    return info
