"""Figures of finished runs against sums by hand."""

from pathlib import Path
from typing import Any

import pytest

from edgeasc.report.intervals import wilson
from edgeasc.reproduce.execute import shown_parts
from edgeasc.reproduce.plan import Job
from edgeasc.reproduce.results import Figure, figure
from edgeasc.reproduce.tables import Row, Variant
from edgeasc.specs import ModelSpec, Recipe

ROW, VARIANT = Row(name="a", recipe="x"), Variant(key="v", title="V", data="d", metrics=())


def finished(fold: int | None, seed: int, n: int, accuracy: float, uar: float, part: str = "test") -> Any:
    job = Job(ROW, VARIANT, fold, seed, Recipe(model=ModelSpec(name="x")), Path("x"))
    return job, {part: {"n": n, "accuracy": accuracy, "macro_accuracy": uar}}


def test_accuracy_counts_every_clip_once_and_uar_every_fold() -> None:
    runs = [finished(1, 0, 10, 0.5, 0.4), finished(2, 0, 30, 0.9, 0.8)]
    low, high = wilson(0.8, 40)
    assert figure("test_accuracy", runs) == Figure(
        pytest.approx(0.8), 40, pytest.approx(low), pytest.approx(high), None, (1, 2), (0,)
    )
    assert figure("test_macro_accuracy", runs) == Figure(pytest.approx(0.6), 40, None, None, None, (1, 2), (0,))


def test_seeds_are_averaged_and_add_no_clips() -> None:
    runs = [finished(1, seed, 10, accuracy, 0.5) for seed, accuracy in ((0, 0.5), (1, 0.7))]
    found = figure("test_accuracy", runs)
    assert found is not None and found.n == 10 and found.value == pytest.approx(0.6)
    assert found.sd == pytest.approx(0.2 / 2**0.5) and found.seeds == (0, 1)


def test_a_part_that_was_not_scored_has_no_figure() -> None:
    assert figure("test_accuracy", [finished(None, 0, 10, 0.5, 0.5, part="devel")]) is None


def test_development_clips_are_the_prescribed_ones_or_else_the_test_clips() -> None:
    from edgeasc.data.clips import Clip
    from edgeasc.data.split import Split

    drawn, devel, test = Clip("a", 0), Clip("b", 0, role="validation"), Clip("c", 0)
    assert shown_parts(Split((), (devel,), (), "")) == {"devel": (devel,), "test": ()}
    assert shown_parts(Split((), (drawn,), (test,), "")) == {"devel": (test,), "test": (test,)}
