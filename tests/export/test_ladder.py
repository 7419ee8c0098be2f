"""What the rungs measure, and when they hold."""

import numpy as np
import pytest

from edgeasc.export.ladder import CLOSE, EQUAL, INFORMATION, NEAR, Limit, compare, plan

STEP = 0.125
JUDGE = np.random.default_rng(0).integers(-100, 100, (50, 4)).astype(np.float32) * np.float32(STEP)


def moved(clips: int, steps: int) -> np.ndarray:
    """The judge's logits with one logit of the first `clips` clips moved by `steps`."""
    logits = JUDGE.copy()
    logits[:clips, 1] += np.float32(steps * STEP)
    return logits


def test_equal_logits_pass_every_limit() -> None:
    for limit in (EQUAL, CLOSE, NEAR):
        rung = compare("x", "y", JUDGE.copy(), JUDGE, STEP, limit)
        assert (rung.equal, rung.max_steps, rung.mean_logit, rung.top1, rung.passed) == (50, 0, 0.0, 1.0, True)


def test_one_step_in_one_logit_of_one_clip_misses_equality() -> None:
    rung = compare("x", "y", moved(1, 1), JUDGE, STEP, EQUAL)
    assert (rung.equal, rung.max_steps, rung.passed) == (49, 1, False)
    assert rung.mean_logit == pytest.approx(STEP / JUDGE.size)


def test_the_mean_limit_is_on_the_mean_of_all_logits() -> None:
    judge = np.tile(np.float32([5, 0, 0, 0]), (50, 1))
    below, above = judge.copy(), judge.copy()
    below[:, 1] += 0.039
    above[:, 1] += 0.041
    assert compare("x", "y", below, judge, STEP, CLOSE).passed is True
    assert compare("x", "y", above, judge, STEP, CLOSE).passed is False


def test_the_top1_limit_counts_clips() -> None:
    judge = np.tile(np.float32([0.002, 0, 0, 0]), (200, 1))
    flipped = judge.copy()
    flipped[:2, 1] = 0.003
    assert compare("x", "y", flipped, judge, STEP, CLOSE).passed is True
    flipped[:3, 1] = 0.003
    rung = compare("x", "y", flipped, judge, STEP, CLOSE)
    assert rung.passed is False and rung.top1 == pytest.approx(0.985)


def test_a_rung_without_limit_neither_passes_nor_fails() -> None:
    assert compare("x", "y", moved(9, 50), JUDGE, STEP, INFORMATION).passed is None


def test_logits_that_are_not_finite_fail_whatever_the_limit() -> None:
    broken = JUDGE.copy()
    broken[3, 2] = np.nan
    assert compare("x", "y", broken, JUDGE, STEP, NEAR).passed is False


def test_form_int8_asks_all_integer_runtimes_for_equal_integers_and_form_island_only_c() -> None:
    exact = {form: {step.runtime for step in plan(form) if step.limit.equal} for form in ("int8", "island")}
    assert exact == {"int8": {"tflite-reference", "tflm", "native-c"}, "island": {"native-c"}}


def test_limits_are_those_of_the_design() -> None:
    assert str(CLOSE) == "top-1 >= 99 %, mean <= 0.01 logit"
    assert (str(NEAR), str(EQUAL), str(Limit())) == ("top-1 >= 95 %", "equal integers", "none, for information")
