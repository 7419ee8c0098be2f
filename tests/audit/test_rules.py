"""Counting rules are data, and give the numbers of the publications they are named after."""

import json
from pathlib import Path

import pytest

from edgeasc.audit import audit
from edgeasc.audit.rules import Counted, apply, read_inventory, read_rule, rule_names
from edgeasc.errors import BadInput, UsageError


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
