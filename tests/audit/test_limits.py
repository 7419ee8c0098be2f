"""Limits: what is judged, and what a text must look like to be a limit."""

from pathlib import Path

import pytest

from edgeasc.audit import audit
from edgeasc.audit.limits import parse_limits
from edgeasc.errors import BadInput, UsageError
from edgeasc.runtime.catalogue import RUNTIMES


def test_a_budget_is_met_at_its_very_last_byte(artefacts: Path) -> None:
    path = artefacts / "int8.tflite"
    size = audit(path, arena=False).models[0].parameters.nonzero_bytes
    assert audit(path, size, arena=False).passed
    assert not audit(path, size - 1, arena=False).passed


def test_a_budget_holds_for_every_rule_named(large_run: Path) -> None:
    report = audit(large_run, "61KiB", ["qti-report", "deployed"], arena=False)
    assert [(limit.name, limit.passed) for limit in report.models[0].limits] == [
        ("qti-report bytes", True),
        ("deployed bytes", True),
    ]


def test_kilobytes_of_1000_and_of_1024_differ(large_run: Path) -> None:
    passed = [audit(large_run, size, ["qti-report"], arena=False).passed for size in ("61KiB", "61kB", "63kB")]
    assert passed == [True, False, True]


def test_named_limits_judge_their_own_number(artefacts: Path) -> None:
    path = artefacts / "int8.tflite"
    model = audit(path, arena=False).models[0]
    limits = {"file": model.file_bytes, "macs": model.macs - 1, "ram": model.peak_activation_bytes}
    found = audit(path, limits=limits, arena=False).models[0].limits
    assert [(limit.name, limit.passed) for limit in found] == [("file", True), ("macs", False), ("ram", True)]


def test_one_failing_model_fails_the_report(artefacts: Path) -> None:
    paths = [artefacts / "int8.tflite", artefacts / "island.tflite"]
    sizes = [model.file_bytes for model in audit(paths, arena=False).models]
    report = audit(paths, limits={"file": max(sizes) - 1}, arena=False)
    assert not report.passed
    assert sum(model.passed for model in report.models) == 1


def test_limits_take_units_and_counts() -> None:
    assert parse_limits(["file=64KiB", "macs=30M", "parameters=8,055"]) == {
        "file": 65_536,
        "macs": 30_000_000,
        "parameters": 8_055,
    }


@pytest.mark.parametrize("text", ["file", "flie=3", "macs=many", "macs=0", "file=-3KiB", "=3", "macs=30MB"])
def test_a_wrong_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_limits([text])


def test_a_limit_on_an_arena_that_nobody_can_measure_is_refused(artefacts: Path) -> None:
    with pytest.raises(BadInput, match="arena"):
        audit(artefacts / "int8.onnx", limits={"arena": 100_000})


@pytest.mark.skipif(not RUNTIMES["tflm"].installed, reason=RUNTIMES["tflm"].install)
def test_tflm_measures_more_than_the_live_activations(artefacts: Path) -> None:
    model = audit(artefacts / "int8.tflite").models[0]
    assert model.arena.bytes is not None
    assert model.arena.bytes > model.peak_activation_bytes
