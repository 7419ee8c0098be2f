"""What stands behind the charts: intervals, memory plans, the Pareto front, bytes of a float run."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeasc.export.dummy import dummy_graph
from edgeasc.graph.count import live_bytes
from edgeasc.report.intervals import wilson
from edgeasc.report.lifetimes import Block, place, plan_memory
from edgeasc.report.pareto import pareto_front
from edgeasc.report.scores import Scores, Share
from edgeasc.report.story import Point
from edgeasc.report.svg import Scale, compact, short_bytes


def test_wilson_of_no_hit_in_ten_is_the_known_interval() -> None:
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)


def test_wilson_of_half_of_hundred_is_the_known_interval() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)


def test_without_clips_nothing_is_known() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_a_share(hits_of: tuple[int, int]) -> None:
    hits, n = hits_of
    low, high = wilson(hits / n, n)
    assert 0 <= low <= hits / n + 1e-12 and hits / n - 1e-12 <= high <= 1


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 9), st.integers(0, 9)), max_size=14))
def test_no_two_activations_share_an_address_while_both_exist(rows: list[tuple[int, int, int]]) -> None:
    blocks = place([Block(str(i), size, min(a, b), max(a, b)) for i, (size, a, b) in enumerate(rows)])
    for one, two in itertools.combinations(blocks, 2):
        assert not one.meets(two) or one.end <= two.offset or two.end <= one.offset


@pytest.mark.parametrize("form", ["int8", "island"])
def test_bytes_alive_are_those_that_the_audit_counts(form: str) -> None:
    graph = dummy_graph(form)  # type: ignore[arg-type]
    plan = plan_memory(graph)
    assert list(plan.live) == live_bytes(graph)
    assert plan.height >= max(plan.live)


def point(name: str, size: int, hits: int, same_split: bool = True) -> Point:
    overall = Share("all clips", hits / 100, 100)
    scores = Scores("", (), "", overall, 0.0, 0.0, (), (), None, None, (), ())
    return Point(name, size, scores, "8 bit", same_split=same_split)


def test_the_front_holds_exactly_the_runs_that_no_other_beats() -> None:
    random = np.random.default_rng(0)
    points = [point(str(i), int(random.integers(1, 40)), int(random.integers(100))) for i in range(60)]
    values = {(p.bytes, p.scores.overall.accuracy) for p in points}
    best = {v for v in values if not any(w != v and w[0] <= v[0] and w[1] >= v[1] for w in values)}
    assert {(p.bytes, p.scores.overall.accuracy) for p in pareto_front(points)} == best


def test_a_run_judged_on_other_recordings_does_not_compete() -> None:
    assert [p.name for p in pareto_front([point("here", 9, 50), point("there", 5, 90, same_split=False)])] == ["here"]


def test_ticks_are_round_and_inside() -> None:
    assert Scale(0.0, 1.0, 0, 1).ticks(4) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert Scale(3_000, 70_000, 0, 1, log=True).ticks(5) == [5_000, 10_000, 20_000, 50_000]


def test_a_logarithmic_scale_puts_the_geometric_mean_in_the_middle() -> None:
    assert Scale(10, 1000, 0, 100, log=True)(100) == pytest.approx(50)


def test_short_numbers_keep_three_digits_and_a_unit() -> None:
    assert [compact(value) for value in (950, 4092, 1_023_620)] == ["950", "4.09k", "1.02M"]
    assert [short_bytes(value) for value in (950, 4092)] == ["950 B", "4.09 kB"]
