"""Definitions of the published tables: complete recipes, the paper's figures, and refusals."""

from typing import Any

import pytest

from edgeasc.errors import UsageError
from edgeasc.reproduce.plan import Choice, chosen_rows, row_recipe
from edgeasc.reproduce.tables import parse_table, read_table, table_names


@pytest.mark.parametrize("name", table_names())
@pytest.mark.parametrize("quick", [False, True])
def test_every_row_and_variant_has_a_recipe(name: str, quick: bool) -> None:
    table = read_table(name)
    for row in chosen_rows(table, Choice()):
        for variant in table.variants:
            recipe = row_recipe(table, row, variant, Choice(quick=quick), seed=3)
            assert recipe.train.seed == 3


@pytest.mark.parametrize("name", table_names())
def test_quick_trains_less(name: str) -> None:
    table = read_table(name)
    row = chosen_rows(table, Choice())[0]
    quick, whole = (row_recipe(table, row, table.variants[0], Choice(quick=quick)).train for quick in (True, False))
    assert max(quick.epochs, quick.iterations) < max(whole.epochs, whole.iterations)


def test_the_networks_of_gmmes_tables_hear_the_lengths_that_they_are_built_for() -> None:
    for name in ("gmme-table1", "gmme-table2"):
        table = read_table(name)
        for row in table.rows:
            for variant in table.variants:
                recipe = row_recipe(table, row, variant, Choice())
                assert recipe.n_samples == recipe.model.options["samples"], (row.name, variant.key)


def test_the_primates_networks_see_150_frames_or_75_at_half_the_rate() -> None:
    table = read_table("primates-table2")
    for row in chosen_rows(table, Choice()):
        recipe = row_recipe(table, row, table.variants[0], Choice())
        assert recipe.n_samples == (23_930 if "8k" in row.name else 47_860)
        assert recipe.n_frames == (75 if "8k" in row.name else 150)


def test_the_rows_of_the_ablation_differ_in_what_they_name() -> None:
    table = read_table("primates-table3")
    for row in table.rows:
        for variant in table.variants:
            recipe = row_recipe(table, row, variant, Choice())
            assert (recipe.train.sampler == "balanced") == ("no-bal" not in row.name)
            assert (recipe.augment.mixup_alpha > 0) == ("MixUp" in row.name)
            assert (recipe.augment.time_masks > 0) == (recipe.augment.freq_masks > 0) == ("specA" in row.name)
            assert recipe.sigmoids == ("MixUp" in row.name)
            assert (recipe.train.ema == "none") == ("w/o EMA" in row.name)
            assert recipe.train.iterations == 60_000 and recipe.train.optimizer == "adam"
            assert recipe.model.name == variant.key.split("-")[0]


@pytest.mark.parametrize(
    ("name", "row", "variant", "printed"),
    [
        ("gmme-table1", "EAT-S-AA", "esc-50", "91.25"),
        ("gmme-table1", "EAT-S-GMME, N_k = 64, N_c = 16", "urbansound8k", "83.59"),
        ("gmme-table2", "EAT-S-GMME, N_k = 64, N_c = 16", "speech-commands", "97.88"),
    ],
)
def test_printed_figures_are_the_papers(name: str, row: str, variant: str, printed: str) -> None:
    rows = {one.name: one for one in read_table(name).rows}
    assert rows[row].printed[variant]["test_accuracy"] == printed


def test_an_unknown_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown table 'gmme-table3'; did you mean 'gmme-table"):
        read_table("gmme-table3")


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a key": ({"titel": "x"}, "unknown key 'titel'; did you mean 'title'"),
    "schema": ({"schema": 2}, "schema"),
    "a variant of nothing": (
        {"variants": [{"key": "a", "title": "A", "data": "b", "metrics": []}]},
        "variant 'a' needs 'b', which is not described",
    ),
    "a row without a recipe": ({"rows": [{"name": "a"}]}, "row 'a' has no recipe"),
    "a figure of no column": (
        {"rows": [{"name": "a", "recipe": "x", "printed": {"tones": {"test_macro_accuracy": "1"}}}]},
        "prints figures of no column",
    ),
    "two rows of one name": ({"rows": [{"name": "a", "recipe": "x"}] * 2}, "two rows of one name"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_definition_is_refused(toy_document: dict[str, Any], name: str) -> None:
    change, why = FAULTS[name]
    with pytest.raises(UsageError, match=why):
        parse_table(toy_document | change, "toy")
