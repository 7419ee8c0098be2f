"""Everything the page tells about a run, read from its folder and the folders beside it, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeasc.audit.document import ModelAudit
from edgeasc.errors import BadInput, EdgeascError
from edgeasc.files import read_bytes, read_json, sha256
from edgeasc.report.history import Phase, read_phases
from edgeasc.report.lifetimes import MemoryPlan, plan_memory
from edgeasc.report.scores import Scores, read_scores
from edgeasc.runs import Run, RunInfo
from edgeasc.specs import read_toml

RUNG_KEYS = {"name", "against", "clips", "limit", "equal", "max_steps", "mean_logit", "top1", "passed"}


@dataclass(frozen=True)
class Point:
    """A run in the plane of bytes and accuracy. `same_split`: judged on the very recordings of the page's run."""

    name: str
    bytes: int
    scores: Scores
    form: str
    this: bool = False
    same_split: bool = True


@dataclass(frozen=True)
class Rung:
    """One line of the parity ladder."""

    name: str
    against: str
    clips: int
    limit: str
    equal: int | None
    max_steps: int | None
    mean_logit: float | None
    top1: float | None
    passed: bool | None
    why: str = ""


@dataclass(frozen=True)
class Story:
    """A run as the page tells it; what the folder does not hold is None or empty, and `gaps` says why."""

    name: str
    info: RunInfo
    model: str
    recipe: str
    scores: Scores
    stages: tuple[tuple[str, Scores], ...]
    phases: tuple[Phase, ...]
    audit: ModelAudit | None
    budget: int | None
    memory: MemoryPlan | None
    rungs: tuple[Rung, ...]
    points: tuple[Point, ...]
    gaps: tuple[str, ...]


def read_story(folder: Path, compare: Sequence[Path] = ()) -> Story:
    """What is known about the run in `folder`, with the runs of `compare` or those found beside it.

    Raises:
        BadInput: no run that was evaluated, or a file of it that is not what it should be.
    """
    run = Run(folder)
    if not run.exists:
        inside = sorted(child.parent.name for child in folder.glob("*/run.json"))
        hint = f"; it holds the runs {', '.join(inside)}" if inside else ""
        raise BadInput("report", f"no run folder (run.json is missing){hint}", folder)
    info = run.info()
    if not run.evaluate_file.is_file():
        raise BadInput("report", f"the run is not evaluated yet (state {info.state}); finish it first", folder)
    scores = read_scores(read_json(run.evaluate_file, "evaluation"), run.evaluate_file)
    gaps: list[str] = []
    stages, budget, rule = _stages(run)
    audit, memory = _deployed(run, rule, budget, gaps)
    parent = _parent(run, info)
    if info.parent and parent is None:
        gaps.append(f"The run it was compressed from ({info.parent}) is not here: its training curves are missing.")
    points = [(run.path, _point(run, scores, this=True)), *_others(run, info, compare, gaps)]
    shown = [(path, point) for path, point in points if point]
    names = distinct_names([path for path, _ in shown])
    return Story(
        name=folder.resolve().name,
        info=info,
        model=_model_name(run),
        recipe=read_bytes(run.recipe_file, "recipe").decode(errors="replace"),
        scores=scores,
        stages=stages,
        phases=read_phases([parent, run] if parent else [run]),
        audit=audit,
        budget=budget,
        memory=memory,
        rungs=_rungs(run, gaps) if audit else (),
        points=tuple(replace(point, name=name) for (_, point), name in zip(shown, names, strict=True)),
        gaps=tuple(gaps),
    )


def _model_name(run: Run) -> str:
    """The architecture; the recipe may be one of another version of edgeasc, hence no more is asked of it."""
    model = read_toml(run.recipe_file, "recipe").get("model")
    return str(model.get("name", "?")) if isinstance(model, dict) else "?"


def _stages(run: Run) -> tuple[tuple[tuple[str, Scores], ...], int | None, str]:
    """The stages of a compression, its budget and the rule of the budget."""
    path = run.path / "stages.json"
    if not path.is_file():
        return (), None, "deployed"
    document = read_json(path, "stages")
    stages = document.get("stages") if isinstance(document, dict) else None
    plan = document.get("plan") if isinstance(document, dict) else None
    if not isinstance(stages, list) or not all(isinstance(item, dict) for item in stages) or not isinstance(plan, dict):
        raise BadInput("stages", "not the stages of a compression", path)
    budget, rule = plan.get("budget_bytes"), plan.get("rule", "deployed")
    if not (budget is None or (type(budget) is int and budget > 0)) or not isinstance(rule, str):
        raise BadInput("stages", "the plan's budget is no number of bytes, or its rule no name", path)
    rows = tuple((str(item.get("name", "?")), read_scores(item.get("evaluation"), path)) for item in stages)
    return rows, budget, rule


def _deployed(run: Run, rule: str, budget: int | None, gaps: list[str]) -> tuple[ModelAudit | None, MemoryPlan | None]:
    """The audit of the compressed network, and where its activations lie."""
    if not run.onnx.is_file():
        gaps.append("The run is not compressed: sizes, layers, memory and parity come with `edgeasc compress`.")
        return None, None
    from edgeasc.audit import audit
    from edgeasc.graph.onnx_read import read_onnx

    found = audit(run.path, budget, [rule], arena=False).models[0]
    return found, plan_memory(read_onnx(run.onnx))


def _parent(run: Run, info: RunInfo) -> Run | None:
    """The run that `run` was compressed from: where `run.json` says, or of that name beside it."""
    if not info.parent:
        return None
    for place in (Path(info.parent), run.path.resolve().parent / Path(info.parent).name):
        parent = Run(place)
        if parent.exists and parent.path.resolve() != run.path.resolve():
            known = parent.info()
            if (known.labels, known.seeds, known.data) == (info.labels, info.seeds, info.data):
                return parent
    return None


def _rungs(run: Run, gaps: list[str]) -> tuple[Rung, ...]:
    """The parity ladder of an export of this very network, in the run folder or in a folder beside it."""
    wanted = sha256(run.onnx.read_bytes())
    folders = [run.path, *sorted(path.parent for path in run.path.resolve().parent.glob("*/parity.json"))]
    for folder in folders:
        path, onnx = folder / "parity.json", folder / "model.onnx"
        if path.is_file() and onnx.is_file() and sha256(onnx.read_bytes()) == wanted:
            return _checked_rungs(read_json(path, "parity"), path)
    gaps.append("No export of this network lies beside it: the parity ladder comes with `edgeasc export`.")
    return ()


def _checked_rungs(document: Any, path: Path) -> tuple[Rung, ...]:
    rows = document.get("rungs") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) >= RUNG_KEYS for row in rows):
        raise BadInput("parity", "not a parity report", path)
    kinds: dict[str, tuple[type, ...]] = {"name": (str,), "against": (str,), "clips": (int,), "limit": (str,)}
    optional = {
        "equal": (int,),
        "max_steps": (int,),
        "mean_logit": (int, float),
        "top1": (int, float),
        "passed": (bool,),
    }
    for row in rows:
        for key, wanted in {**kinds, **optional}.items():
            if not (isinstance(row[key], wanted) or (key in optional and row[key] is None)):
                raise BadInput("parity", f"{key} {row[key]!r} is of the wrong kind", path)
    return tuple(Rung(**{key: row[key] for key in RUNG_KEYS}, why=str(row.get("why", ""))) for row in rows)


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """Names of folders: as many last parts of each path as it takes to tell it from the others."""
    parts = [folder.resolve().parts for folder in folders]

    def name(path: tuple[str, ...]) -> str:
        lengths = range(1, len(path) + 1)
        alone = (n for n in lengths if sum(other[-n:] == path[-n:] for other in parts) == 1)
        return "/".join(path[-next(alone, 1) :])

    return [name(path) for path in parts]


def _others(run: Run, info: RunInfo, compare: Sequence[Path], gaps: list[str]) -> list[tuple[Path, Point | None]]:
    """Points of the other runs. One given by the user must be usable; one found beside is left out with a word."""
    found = [path.parent for path in run.path.resolve().parent.glob("*/run.json")]
    points: list[tuple[Path, Point | None]] = []
    judged = _judged(run)
    for folder in compare or sorted(path for path in found if path != run.path.resolve()):
        other = Run(folder)
        try:
            known = other.info()
            if known.labels != info.labels:
                raise BadInput("report", "has other classes and cannot be compared", folder)
            document = read_json(other.evaluate_file, "evaluation")
            scores = read_scores(document, other.evaluate_file)
            points.append((folder, _point(other, scores, same_split=_judged(other) == judged)))
        except EdgeascError as error:
            if compare:
                raise
            gaps.append(f"Left out of the comparison: {folder.name}: {error.why}.")
    return points


def _judged(run: Run) -> set[tuple[str, str]]:
    """The recordings that the run was judged on, by name and digest."""
    rows = run.split()
    tests = {(row.clip, row.sha256) for row in rows if row.role == "test"}
    return tests or {(row.clip, row.sha256) for row in rows if row.role == "validation"}


def _point(run: Run, scores: Scores, this: bool = False, same_split: bool = True) -> Point | None:
    """The run as a point, its bytes those of non-zero parameters; None where it has no weights here.

    Raises:
        BadInput: weights or a network that cannot be read.
    """
    from edgeasc.audit import audit

    name = run.path.resolve().name
    if run.onnx.is_file():
        size = audit(run.path, arena=False).models[0].parameters.nonzero_bytes
        return Point(name, size, scores, "8 bit", this, same_split)
    if run.best.is_file():
        return Point(name, float_bytes(run.best), scores, "float", this, same_split)
    return None


def float_bytes(path: Path) -> int:
    """Bytes of the parameters that are not zero in a checkpoint of a float network, buffers left out.

    Raises:
        BadInput: not safetensors.
    """
    import numpy as np
    from safetensors import SafetensorError, safe_open

    buffers = ("running_mean", "running_var", "num_batches_tracked")
    try:
        with safe_open(path, "np") as tensors:
            kept = [tensors.get_tensor(name) for name in tensors.keys() if not name.endswith(buffers)]  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise BadInput("weights", f"not readable ({error})", path) from None
    return sum(int(np.count_nonzero(tensor)) * tensor.itemsize for tensor in kept)
