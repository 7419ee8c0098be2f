"""Counting rules are data, and give the numbers of the publications they are named after."""

import json
from pathlib import Path

import pytest

from edgeasc.audit import audit
from edgeasc.audit.rule_text import explain
from edgeasc.audit.rules import Counted, apply, read_inventory, read_rule, rule_names
from edgeasc.errors import BadInput, UsageError
from edgeasc.export.dummy import dummy_graph
from edgeasc.tables import as_text


def test_every_rule_file_reads_and_carries_its_name() -> None:
    assert [read_rule(name).name for name in rule_names()] == rule_names()
    assert {"deployed", "qti-report"} <= set(rule_names())


def test_qti_report_gives_the_papers_size(large_run: Path) -> None:
    rule = audit(large_run, rules=["qti-report"], arena=False).models[0].rules[0]
    assert [(line.elements, line.bits) for line in rule.lines] == [(33_035, 8), (14_650, 16)]
    assert rule.bytes == 33_035 + 2 * 14_650
    assert rule.text == "60.9 KiB"


def test_qti_report_prints_what_rounding_made_zero(large_run: Path) -> None:
    note = audit(large_run, rules=["qti-report"], arena=False).models[0].rules[0].note
    assert "32,990 of the 33,035" in note


def test_a_training_rule_on_a_bare_file_is_refused(artefacts: Path) -> None:
    with pytest.raises(BadInput, match="not computable from this file"):
        audit(artefacts / "int8.tflite", rules=["qti-report"], arena=False)


def test_parts_of_a_byte_are_rounded_up_once() -> None:
    rule = read_rule("deployed")
    counted = [Counted("weight", 3, 3, 3, 4), Counted("bias", 3, 3, 3, 4)]
    assert apply(rule, counted).bytes == 3


def test_an_unknown_rule_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'qti-report'"):
        read_rule("qti-raport")


@pytest.mark.parametrize(
    "tensors",
    [
        [],
        "text",
        [{"name": "w", "kind": "conv", "total": 5, "kept": 6, "nonzero": 5}],
        [{"name": "w", "kind": "conv", "total": -5, "kept": -6, "nonzero": -7}],
        [{"name": "w", "kind": "conv", "total": "5", "kept": 5, "nonzero": 5}],
        [{"name": "w", "kind": "magic", "total": 5, "kept": 5, "nonzero": 5}],
        [7],
    ],
)
def test_a_wrong_inventory_is_refused(tmp_path: Path, tensors: object) -> None:
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps({"schema": 1, "tensors": tensors}))
    with pytest.raises(BadInput, match="inventory"):
        read_inventory(path)


YEARS = ("dcase2020-1b", "dcase2021-1a", "dcase2022", "dcase2023", "dcase2024", "dcase2025")


@pytest.mark.parametrize(
    ("name", "allowed", "scope"),
    [
        ("dcase2020-1b", {"bytes": 500 * 1024}, "system"),
        ("dcase2021-1a", {"bytes": 128_000}, "system"),
        ("dcase2022", {"parameters": 128_000, "MACs": 30_000_000, "weight bits": 8}, "system"),
        ("dcase2023", {"bytes": 128_000, "MACs": 30_000_000}, "system"),
        ("dcase2024", {"bytes": 128_000, "MACs": 30_000_000}, "system"),
        ("dcase2025", {"bytes": 128_000, "MACs": 30_000_000}, "model"),
        ("mlperf-tiny", {}, "model"),
    ],
)
def test_every_year_has_its_limits(name: str, allowed: dict[str, int], scope: str) -> None:
    rule = read_rule(name)
    assert (rule.allowed, rule.scope) == (allowed, scope)


@pytest.mark.parametrize("name", YEARS)
def test_an_uncertain_text_is_said_and_the_stricter_reading_taken(name: str) -> None:
    rule = read_rule(name)
    text = as_text(explain(rule))
    assert rule.uncertain
    assert all(doubt.text in text and doubt.other in text for doubt in rule.uncertain)
    assert "the stricter reading" in text


@pytest.mark.parametrize("name", rule_names())
def test_every_rule_is_explained_in_words(name: str) -> None:
    rule = read_rule(name)
    text = as_text(explain(rule))
    for part in (rule.title, rule.source, rule.explanation.strip(), "bytes", "batch norm"):
        assert part in text


def test_the_limits_of_a_rule_are_judged_without_being_named(artefacts: Path) -> None:
    model = audit(artefacts / "int8.tflite", rules=["dcase2022"], arena=False).models[0]
    assert [limit.name for limit in model.limits] == ["dcase2022 parameters", "dcase2022 MACs", "dcase2022 weight bits"]
    assert model.passed


def test_a_budget_takes_the_place_of_the_rules_own_bytes(artefacts: Path) -> None:
    limits = audit(artefacts / "int8.tflite", 10, ["dcase2024"], arena=False).models[0].limits
    assert [(limit.name, limit.limit, limit.passed) for limit in limits] == [
        ("dcase2024 bytes", 10, False),
        ("dcase2024 MACs", 30_000_000, True),
    ]


def test_the_baseline_of_2024_has_the_size_that_its_readme_prints() -> None:
    counted = [Counted("weight", 61_148, 61_148, 61_148, 16)]
    assert apply(read_rule("dcase2024"), counted).bytes == 122_296


def test_the_limit_of_2020_is_128_000_float32_values() -> None:
    size = apply(read_rule("dcase2020-1b"), [Counted("weight", 128_000, 128_000, 128_000, 32)])
    assert (size.bytes, size.text) == (size.allowed["bytes"], "500.0 KiB")


MY_RULE = """
title = "half of ours"
source = "the team"
form = "deployed"
unit = "kB"
limit_bytes = 100
explanation = "weights alone, four bits each"
[[count]]
label = "weights"
kinds = ["weight"]
of = "total"
bits = 4
"""


def test_a_rule_of_the_users_own_judges_as_it_says(tmp_path: Path, artefacts: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text(MY_RULE)
    model = audit(artefacts / "int8.tflite", rules=[str(path)], arena=False).models[0]
    weights = sum(conv.weight.size for conv in dummy_graph().convs())
    assert (model.rules[0].name, model.rules[0].bytes) == ("my", -(-weights * 4 // 8))
    assert [limit.name for limit in model.limits] == ["my bytes"]


@pytest.mark.parametrize("text", ["form = 3", "limit_bytes = -1", "[[count", 'unit = "MB"', ""])
def test_a_file_that_is_no_rule_is_refused_as_usage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_rule(str(path))
