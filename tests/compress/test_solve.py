"""The budget solver lands just under the budget or says why it cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeasc.compress.solve import Costs, solve_budget
from edgeasc.errors import CheckFailed, UsageError

MOD_8 = Costs("qti-report", 300_320, 33, 2 * 14_650, "norms and biases at 16 bits")


@given(budget=st.integers(29_333, 400_000))
def test_plan_is_under_the_budget_by_less_than_one_weight_or_dense(budget: int) -> None:
    plan = solve_budget(MOD_8, budget)
    assert plan.planned_bytes <= budget
    assert plan.keep == MOD_8.weights or budget - plan.planned_bytes < MOD_8.weight_bytes


def test_the_papers_sparsity_gives_the_papers_size() -> None:
    plan = solve_budget(MOD_8, None, sparsity=0.89)
    assert plan.keep == 33_035
    assert round(plan.planned_bytes / 1024, 2) == 60.87


def test_impossible_budget_names_the_smallest_possible() -> None:
    with pytest.raises(CheckFailed, match="29,333 B"):
        solve_budget(MOD_8, 29_332)


def test_the_smallest_possible_budget_is_possible() -> None:
    assert solve_budget(MOD_8, MOD_8.smallest).keep == 33


def test_a_generous_budget_prunes_nothing() -> None:
    assert solve_budget(MOD_8, 10**7).sparsity == 0.0


def test_neither_budget_nor_sparsity_is_refused() -> None:
    with pytest.raises(UsageError, match="--budget"):
        solve_budget(MOD_8, None)


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 2.0])
def test_a_sparsity_outside_zero_to_one_is_refused(sparsity: float) -> None:
    with pytest.raises(UsageError, match="not in"):
        solve_budget(MOD_8, None, sparsity=sparsity)


DEPLOYED_1 = Costs("deployed", 6_215, 33, 4 * 260, "260 biases", offsets=660)


@given(budget=st.integers(DEPLOYED_1.smallest, 12_000))
def test_sub_band_biases_share_the_budget_and_the_rest_goes_to_weights(budget: int) -> None:
    plan = solve_budget(DEPLOYED_1, budget)
    assert plan.planned_bytes <= budget
    assert budget - plan.planned_bytes < 1 or plan.keep == DEPLOYED_1.weights


def test_a_budget_of_4_kib_leaves_a_third_of_weights_and_sub_band_biases() -> None:
    plan = solve_budget(DEPLOYED_1, 4096)
    assert 0.3 < plan.keep / 6_215 < 0.4 and 0.3 < plan.keep_offsets / 660 < 0.4


def test_a_generous_budget_keeps_all_sub_band_biases() -> None:
    assert solve_budget(DEPLOYED_1, 20_000).keep_offsets == 660
