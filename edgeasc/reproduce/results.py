"""What the finished runs of a table say, beside what the paper printed: figures, document, and table.

Accuracy is pooled over the folds (right answers over clips), UAR and mAP are means over the folds; all are then means
over the seeds, with the standard deviation where there are several.
"""

from __future__ import annotations

import functools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgeasc.report.intervals import wilson
from edgeasc.reproduce.execute import Scores, finished_scores
from edgeasc.reproduce.plan import Choice, Job, row_recipe
from edgeasc.reproduce.sources import Found
from edgeasc.reproduce.tables import WORDS, Metric, PaperTable, Row, Variant
from edgeasc.tables import Block, Table

SCHEMA = 1
POOLING = "part2.pool"  # how the names of the poolings of EAT-S begin


@dataclass(frozen=True)
class Figure:
    """One measured score.

    Attributes:
        value: a share. n: clips behind it, each counted once. low, high: its 95 % interval over the clips (Wilson; of
            accuracy alone). sd: over the seeds, None for one.
        folds, seeds: those of the finished runs.
    """

    value: float
    n: int
    low: float | None
    high: float | None
    sd: float | None
    folds: tuple[int, ...]
    seeds: tuple[int, ...]


def figure(metric: Metric, finished: Sequence[tuple[Job, Scores]]) -> Figure | None:
    """The score `metric` ("test_accuracy", ...) of the finished runs of one cell; None where there are none."""
    part, _, name = metric.partition("_")
    known = [(job, scores[part]) for job, scores in finished if part in scores]
    if not known:
        return None
    by_seed: dict[int, list[dict[str, Any]]] = {}
    for job, document in known:
        by_seed.setdefault(job.seed, []).append(document)
    values = [_over_folds(name, documents) for documents in by_seed.values()]
    n = max(sum(document["n"] for document in documents) for documents in by_seed.values())
    value = statistics.fmean(values)
    low, high = wilson(value, n) if name == "accuracy" else (None, None)
    return Figure(
        value=value,
        n=n,
        low=low,
        high=high,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        folds=tuple(sorted({job.fold for job, _ in known if job.fold is not None})),
        seeds=tuple(by_seed),
    )


def _over_folds(name: str, documents: Sequence[dict[str, Any]]) -> float:
    """A score over the folds of one seed."""
    if name == "accuracy":
        return sum(one["accuracy"] * one["n"] for one in documents) / sum(one["n"] for one in documents)
    return statistics.fmean(one[name] for one in documents)


def counted(metric: Metric, table: PaperTable, row: Row, variant: Variant, choice: Choice, classes: int) -> int:
    """Parameters of the row's network, or of its poolings."""
    wanted = POOLING if metric == "pooling_parameters" else ""
    return _parameters(row_recipe(table, row, variant, choice).model.model_dump_json(), classes, wanted)


@functools.cache  # the largest network takes a second, and the table is written after every run
def _parameters(model: str, classes: int, prefix: str) -> int:
    """Parameters whose names begin with `prefix`, of the network that a recipe's model section (JSON) describes."""
    from edgeasc.nn.registry import create_model

    spec = json.loads(model)
    network = create_model(spec["name"], classes, **spec["options"])
    return sum(one.numel() for name, one in network.named_parameters() if name.startswith(prefix))


def document(
    name: str, table: PaperTable, choice: Choice, found: Mapping[str, Found], todo: Sequence[Job]
) -> dict[str, Any]:
    """The table as `table.json`: every row with its printed figures, its own, and its runs."""
    return {
        "schema": SCHEMA,
        "table": name,
        "title": table.title,
        "source": table.source,
        "quick": choice.quick,
        "settings": [*(table.quick.settings if choice.quick else ()), *choice.settings],
        "seeds": list(choice.seeds),
        "recordings": [_recordings(one) for one in found.values()],
        "complete": all(finished_scores(job) is not None for job in todo),
        "rows": [_row(table, row, choice, found, todo) for row in table.rows],
    }


def _recordings(found: Found) -> dict[str, Any]:
    dataset = found.dataset
    return {
        "serves_as": found.wanted.key,
        "name": dataset.name,
        "classes": len(dataset.labels),
        "clips": len(dataset.clips),
        "folds": list(dataset.folds),
        "comparable": found.comparable,
        "remarks": list(found.remarks),
    }


def _row(
    table: PaperTable, row: Row, choice: Choice, found: Mapping[str, Found], todo: Sequence[Job]
) -> dict[str, Any]:
    own = [job for job in todo if job.row.name == row.name]
    cells = []
    for variant in table.variants:
        finished = [
            (job, scores)
            for job in own
            if job.variant.key == variant.key and (scores := finished_scores(job)) is not None
        ]
        classes = len(found[variant.data].dataset.labels) if variant.data in found else 0
        here = {metric: _here(metric, table, row, variant, choice, classes, finished) for metric in variant.metrics}
        cells.append({"variant": variant.key, "printed": row.printed.get(variant.key, {}), "here": here})
    runs = [{"path": job.folder.name, "fold": job.fold, "seed": job.seed, "done": _is_done(job)} for job in own]
    return {"name": row.name, "not_run": row.not_run, "settings": list(row.settings), "cells": cells, "runs": runs}


def _here(
    metric: Metric,
    table: PaperTable,
    row: Row,
    variant: Variant,
    choice: Choice,
    classes: int,
    finished: Sequence[tuple[Job, Scores]],
) -> Any:
    """A count, a figure as a document, or None."""
    if metric in ("parameters", "pooling_parameters"):
        return None if row.not_run or not classes else counted(metric, table, row, variant, choice, classes)
    measured = figure(metric, finished)
    if measured is None:
        return None
    return asdict(measured) | {"folds": list(measured.folds), "seeds": list(measured.seeds)}


def _is_done(job: Job) -> bool:
    return finished_scores(job) is not None


def blocks(table: PaperTable, document: dict[str, Any]) -> list[Block]:
    """The table for people: `printed` beside `here`, then on what, how much of it, and what was shortened."""
    shown = [variant for variant in table.variants if variant.data in {r["serves_as"] for r in document["recordings"]}]
    headings = ["setting"]
    for variant in shown:
        for metric in variant.metrics:
            title = f"{variant.title} {WORDS[metric]}"
            headings += [f">{title}, printed", f">{title}, here"]
    rows = [(row["name"], *_cells(row, shown)) for row in document["rows"]]
    lines = [f"Source: {table.source}", *(_recording_words(one) for one in document["recordings"])]
    lines += [f"{row['name']}: {row['not_run']}" for row in document["rows"] if row["not_run"]]
    lines += [*_words_of_runs(document), *table.notes]
    return [Table(tuple(headings), rows, table.title), "\n".join(lines)]


def _cells(row: dict[str, Any], shown: Sequence[Variant]) -> list[str]:
    by_variant = {cell["variant"]: cell for cell in row["cells"]}
    cells = []
    for variant in shown:
        cell = by_variant[variant.key]
        for metric in variant.metrics:
            cells += [cell["printed"].get(metric, "-"), _figure_words(cell["here"][metric])]
    return cells


def _figure_words(here: Any) -> str:
    """`90.8 (88.1 to 92.9; n 400)`, a count, or a dash."""
    if here is None:
        return "-"
    if isinstance(here, int):
        return f"{here:,}"
    spread = [] if here["sd"] is None else [f"sd {100 * here['sd']:.1f} over {len(here['seeds'])} seeds"]
    interval = [] if here["low"] is None else [f"{100 * here['low']:.1f} to {100 * here['high']:.1f}"]
    details = "; ".join([*interval, *spread, f"n {here['n']:,}"])
    return f"{100 * here['value']:.1f} ({details})"


def _recording_words(one: dict[str, Any]) -> str:
    remarks = f"; {'; '.join(one['remarks'])}" if one["remarks"] else ""
    return f"Recordings: {one['name']}, {one['clips']:,} clips, {one['classes']} classes{remarks}"


def _words_of_runs(document: dict[str, Any]) -> list[str]:
    """How much was run, and what was not as the paper has it."""
    runs = [run for row in document["rows"] for run in row["runs"]]
    folds = sorted({run["fold"] for run in runs if run["fold"] is not None})
    held = f"; held-out folds {', '.join(map(str, folds))}" if folds else ""
    done = sum(run["done"] for run in runs)
    lines = [f"Runs: {done} of {len(runs)} finished; seeds {', '.join(map(str, document['seeds']))}{held}"]
    if document["quick"]:
        lines.append("QUICK: shortened, not the paper's schedule; compare rows with one another at most")
    if document["settings"]:
        lines.append(f"Changed for all rows: {', '.join(document['settings'])}")
    return lines
