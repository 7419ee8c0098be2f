"""Evaluation documents (`evaluate.json`, and the stages of a compression) as checked records."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeasc.errors import BadInput
from edgeasc.report.intervals import wilson

MAX_CLASSES = 1000


@dataclass(frozen=True)
class Share:
    """A share of `n` clips; `low` and `high` bound it with 95 % confidence."""

    name: str
    accuracy: float
    n: int

    @property
    def low(self) -> float:
        return wilson(self.accuracy, self.n)[0]

    @property
    def high(self) -> float:
        return wilson(self.accuracy, self.n)[1]


@dataclass(frozen=True)
class Scores:
    """One evaluation. `confusion[i][j]` counts clips of class i that were taken for class j."""

    split: str
    seeds: tuple[int, ...]
    heard: str
    overall: Share
    macro_accuracy: float
    log_loss: float
    per_class: tuple[Share, ...]
    per_device: tuple[Share, ...]
    seen: Share | None
    unseen: Share | None
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]


def read_scores(document: Any, path: Path) -> Scores:
    """The evaluation in `document`, which came from `path`.

    Raises:
        BadInput: not an evaluation of schema 1.
    """
    if not isinstance(document, dict) or document.get("schema") != 1:
        raise BadInput("evaluation", "not an evaluation of schema 1", path)
    check = _Checks(document, path)
    labels = check.texts("labels")
    per_class = check.shares("per_class")
    return Scores(
        split=check.text("split"),
        seeds=check.seeds(),
        heard=check.text("input"),
        overall=Share("all clips", check.share(document, "accuracy"), check.count(document, "n")),
        macro_accuracy=check.share(document, "macro_accuracy"),
        log_loss=check.number("log_loss"),
        per_class=per_class,
        per_device=check.shares("per_device"),
        seen=check.group("seen"),
        unseen=check.group("unseen"),
        labels=labels,
        confusion=check.confusion(len(labels)),
    )


class _Checks:
    """Looks at every type before a chart does: the file is a user's."""

    def __init__(self, document: dict[str, Any], path: Path) -> None:
        self.document, self.path = document, path

    def bad(self, key: str, why: str) -> BadInput:
        return BadInput("evaluation", f"{key} {why}", self.path)

    def text(self, key: str) -> str:
        value = self.document.get(key, "")
        if not isinstance(value, str):
            raise self.bad(key, "is no text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.document.get(key) or []
        if not isinstance(value, list) or len(value) > MAX_CLASSES or not all(isinstance(item, str) for item in value):
            raise self.bad(key, f"is no list of at most {MAX_CLASSES} names")
        return tuple(value)

    def seeds(self) -> tuple[int, ...]:
        value = self.document.get("seeds") or []
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise self.bad("seeds", "is no list of integers")
        return tuple(value)

    def number(self, key: str) -> float:
        value = self.document.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.bad(key, "is no number")
        return float(value)

    def share(self, group: dict[str, Any], key: str) -> float:
        value = group.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise self.bad(key, "is no share between 0 and 1")
        return float(value)

    def count(self, group: dict[str, Any], key: str) -> int:
        value = group.get(key)
        if type(value) is not int or value < 0:
            raise self.bad(key, "is no count")
        return value

    def group(self, key: str) -> Share | None:
        value = self.document.get(key)
        if not value:
            return None
        if not isinstance(value, dict):
            raise self.bad(key, "is no group of clips")
        return Share(key, self.share(value, "accuracy"), self.count(value, "n"))

    def shares(self, key: str) -> tuple[Share, ...]:
        value = self.document.get(key) or {}
        if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
            raise self.bad(key, "is no table of groups")
        kept = {name: item for name, item in value.items() if item.get("accuracy") is not None}  # a group may be empty
        return tuple(Share(name, self.share(item, "accuracy"), self.count(item, "n")) for name, item in kept.items())

    def confusion(self, classes: int) -> tuple[tuple[int, ...], ...]:
        value = self.document.get("confusion") or []
        square = isinstance(value, list) and all(isinstance(row, list) and len(row) == classes for row in value)
        if not square or (value and len(value) != classes):
            raise self.bad("confusion", f"is no square of {classes} classes")
        if not all(type(count) is int and count >= 0 for row in value for count in row):
            raise self.bad("confusion", "holds something that is no count")
        return tuple(tuple(row) for row in value)
