"""The catalogue: every finding that the code can make is explained, and every explanation is complete."""

import inspect
import re
from pathlib import Path

import pytest

import edgeasc.audit.lint as room
from edgeasc.audit import lint_layout, lint_numbers, lint_storage
from edgeasc.audit.findings import explain, explanations, finding
from edgeasc.errors import UsageError


def made_in_code() -> set[str]:
    sources = "".join(inspect.getsource(module) for module in (room, lint_layout, lint_numbers, lint_storage))
    return set(re.findall(r'"([EWI]\d{3})"', sources))


def test_every_finding_that_is_made_is_explained_and_the_other_way_round() -> None:
    assert made_in_code() == set(explanations())


@pytest.mark.parametrize("code", sorted(explanations()))
def test_every_explanation_says_what_it_costs_and_how_it_is_cured(code: str) -> None:
    entry = explain(code)
    assert all(len(text.strip()) > 3 for text in (entry.title, entry.means, entry.cost, entry.cure, entry.source))
    assert entry.severity == {"E": "error", "W": "warning", "I": "info"}[code[0]]
    assert "\n" not in entry.cure + entry.title


def test_every_check_is_tested_here_by_its_code() -> None:
    tested = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in explanations() if code not in tested] == []


def test_codes_are_found_in_any_case_and_unknown_ones_name_the_nearest() -> None:
    assert explain("w102").code == "W102"
    with pytest.raises(UsageError, match="did you mean 'W102'"):
        explain("W1O2")


def test_a_finding_has_the_cost_of_the_catalogue_unless_it_has_its_own() -> None:
    assert finding("W102", "x", "y").cost == explain("W102").cost
    assert finding("W102", "x", "y", "7 B").cost == "7 B"
    assert finding("W102", "x", "y").cure == explain("W102").cure
