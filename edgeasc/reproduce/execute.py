"""The runs of a table, one after another: a complete one is left alone, an interrupted one goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeasc.data.clips import Clip, Dataset
from edgeasc.data.split import Split, split
from edgeasc.errors import UsageError
from edgeasc.files import read_bytes, read_json, sha256, write_json
from edgeasc.reproduce.plan import Job
from edgeasc.reproduce.sources import Found
from edgeasc.runs import Run

if TYPE_CHECKING:
    from edgeasc.train.progress import Progress

SCORES = "reproduce.json"  # in a run folder: evaluations of the parts that the table shows
Scores = dict[str, dict[str, Any]]  # by part: "devel", "test"


def run_jobs(
    todo: Sequence[Job],
    found: Mapping[str, Found],
    progress: Progress,
    cache: Path | None = None,
    after: Callable[[Job], object] | None = None,
) -> None:
    """Train and score what is not done yet; `after` is called with each job, done now or before.

    Raises:
        UsageError: another run lies in a job's folder. KeyboardInterrupt: the runs can be resumed.
    """
    for number, job in enumerate(todo, start=1):
        dataset = found[job.variant.data].dataset
        parts = split(dataset, job.fold, job.recipe.data.validation, job.recipe.train.seed)
        if not _done(job, dataset, parts):
            progress.note(f"== run {number} of {len(todo)}: {job.words}")
            _run(job, dataset, parts, progress, cache)
        if after is not None:
            after(job)


def finished_scores(job: Job) -> Scores | None:
    """What a finished run scored, None where it is not finished."""
    path = job.folder / SCORES
    if not path.is_file():
        return None
    document: Scores = read_json(path, "scores")["parts"]
    return document


def _done(job: Job, dataset: Dataset, parts: Split) -> bool:
    """Whether the run is complete.

    Raises:
        UsageError: a run of another recipe, or on other recordings, lies in the folder.
    """
    run = Run(job.folder)
    if not run.exists:
        return False
    info = run.info()
    if info.recipe_hash != job.recipe.digest:
        raise UsageError("reproduce", "a run with other settings lies here; choose another --out", job.folder)
    if info.data != {"name": dataset.name, "split": parts.rule} or info.labels != dataset.labels:
        raise UsageError("reproduce", "a run on other recordings lies here; choose another --out", job.folder)
    return info.state == "complete" and (job.folder / SCORES).is_file()


def _run(job: Job, dataset: Dataset, parts: Split, progress: Progress, cache: Path | None) -> None:
    from edgeasc.train.run import train_run

    run = train_run(job.recipe, dataset, parts, job.folder, resume=True, progress=progress, cache=cache)
    scores = {part: _scores(run, dataset, clips, parts, cache) for part, clips in shown_parts(parts).items() if clips}
    write_json(job.folder / SCORES, {"schema": 1, "parts": scores})


def shown_parts(parts: Split) -> dict[str, tuple[Clip, ...]]:
    """Clips by part: `devel` are prescribed validation clips, or the test clips where the data set has none."""
    prescribed = tuple(clip for clip in parts.validation if clip.role == "validation")
    return {"devel": prescribed or parts.test, "test": parts.test}


def _scores(run: Run, dataset: Dataset, clips: tuple[Clip, ...], parts: Split, cache: Path | None) -> dict[str, Any]:
    """The evaluation of the run's best weights on `clips`; that of the run itself where it is on the same clips."""
    from edgeasc.train.evaluate import evaluate_predict
    from edgeasc.train.predict import network_predict
    from edgeasc.train.run import load_network

    if clips == (parts.test or parts.validation):
        known: dict[str, Any] = read_json(run.evaluate_file, "evaluation")
        return known
    network, recipe, _ = load_network(run.path)
    digest = sha256(read_bytes(run.best, "checkpoint"))
    words = f"validation clips ({parts.rule})"
    return evaluate_predict(
        network_predict(network),
        dataset,
        clips,
        recipe,
        split=words,
        sha256=digest,
        seeds=(recipe.train.seed,),
        cache=cache,
    )
