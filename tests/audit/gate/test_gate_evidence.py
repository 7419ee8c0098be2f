"""Accuracy, parity and latency: believed only for the very bytes that they were made of."""

import json
from pathlib import Path
from typing import Any

import pytest
from gate_toys import bench, checks, evaluation, export, grow, repository

from edgeasc.audit.gate.evidence import wilson_lower


@pytest.mark.parametrize(
    ("limit", "passed"),
    [
        ("accuracy = 0.7", True),
        ("accuracy = 0.701", False),
        ('macro_accuracy = "69 %"', True),
        ('macro_accuracy = "69.1 %"', False),
        ("worst_class_accuracy = 0.6", True),
        ("worst_class_accuracy = 0.61", False),
        ("worst_device_accuracy = 0.55", True),
        ("worst_device_accuracy = 0.56", False),
    ],
)
def test_an_accuracy_is_judged_against_its_least(tmp_path: Path, limit: str, passed: bool) -> None:
    path = repository(tmp_path, limit)
    evaluation(tmp_path)
    (found,) = checks(path).values()
    assert (found.passed, found.best, found.origin) == (passed, "most", "evaluated")


def test_the_worst_class_and_device_are_named(tmp_path: Path) -> None:
    path = repository(tmp_path, "worst_class_accuracy = 0.9\nworst_device_accuracy = 0.9")
    evaluation(tmp_path)
    found = checks(path)
    assert found["worst_class_accuracy"].detail.startswith("park, n 100")
    assert found["worst_device_accuracy"].detail.startswith("s5, n 140")


def test_an_accuracy_is_told_with_its_split_seeds_and_n(tmp_path: Path) -> None:
    path = repository(tmp_path, "accuracy = 0.5")
    evaluation(tmp_path)
    assert checks(path)["accuracy"].detail == "n 200, test: fold 1, seeds 0"


def test_an_accuracy_that_chance_may_have_lifted_is_tight(tmp_path: Path) -> None:
    lower = wilson_lower(0.7, 200)
    for limit, status in ((lower - 0.001, "pass"), (lower + 0.001, "tight")):
        path = repository(tmp_path, f"accuracy = {limit}")
        evaluation(tmp_path)
        assert checks(path)["accuracy"].status == status


@pytest.mark.parametrize(("share", "n", "lower"), [(0.5, 10, 0.2366), (0.0, 10, 0.0), (1.0, 10, 0.7225)])
def test_the_lower_end_of_an_interval_is_wilsons(share: float, n: int, lower: float) -> None:
    assert wilson_lower(share, n) == pytest.approx(lower, abs=1e-4)  # statsmodels' proportion_confint gives these


@pytest.mark.parametrize(
    ("changes", "why", "code"),
    [
        ({"sha256": "0" * 64}, "of another file", 1),
        ({"sha256": None}, "of no file that it names", 1),
        ({"schema": 2}, "not schema 1", 3),
        ({"accuracy": "high"}, "no number", 3),
        ({"accuracy": 1.2}, "no number", 3),
        ({"accuracy": True}, "no number", 3),
        ({"n": 0}, "no number", 3),
    ],
)
def test_an_evaluation_that_says_nothing_of_this_file_fails(
    tmp_path: Path, changes: dict[str, Any], why: str, code: int
) -> None:
    path = repository(tmp_path, "accuracy = 0.5")
    evaluation(tmp_path, **changes)
    found = checks(path)["accuracy"]
    assert (found.status, found.exit_code, why in found.why) == ("unknown", code, True)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "NaN", "null"])
def test_what_is_no_evaluation_is_a_bad_file(tmp_path: Path, text: str) -> None:
    path = repository(tmp_path, "accuracy = 0.5")
    (tmp_path / "models" / "evaluate.json").write_text(text)
    assert checks(path)["accuracy"].exit_code == 3


def test_a_missing_evaluation_fails_with_its_path(tmp_path: Path) -> None:
    found = checks(repository(tmp_path, "accuracy = 0.5"))["accuracy"]
    assert (found.exit_code, "models/evaluate.json" in found.why) == (3, True)


@pytest.mark.parametrize("groups", [{}, None, {"bus": 3}, {"bus": {"accuracy": 0.5}}])
def test_a_worst_class_without_classes_is_not_known(tmp_path: Path, groups: Any) -> None:
    path = repository(tmp_path, "worst_class_accuracy = 0.1")
    evaluation(tmp_path, per_class=groups)
    assert checks(path)["worst_class_accuracy"].status == "unknown"


def test_a_model_replaced_without_its_evaluation_fails(tmp_path: Path) -> None:
    path = repository(tmp_path, "accuracy = 0.5")
    evaluation(tmp_path)
    assert checks(path)["accuracy"].passed
    grow(tmp_path)
    assert "make it anew" in checks(path)["accuracy"].why


def test_evidence_may_lie_elsewhere_named_after_the_model(tmp_path: Path) -> None:
    path = repository(tmp_path, "accuracy = 0.5", entry='evaluate = "{folder}/../results/{stem}.json"')
    document = evaluation(tmp_path)
    (tmp_path / "models" / "evaluate.json").unlink()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "scene.json").write_text(json.dumps(document))
    assert checks(path)["accuracy"].passed


@pytest.mark.parametrize(
    ("rungs", "limit", "status"),
    [
        ({"tflm": True, "litert": True}, "true", "pass"),
        ({"tflm": True, "litert": None}, "true", "pass"),
        ({"tflm": False, "litert": True}, "true", "fail"),
        ({"tflm": None}, "true", "unknown"),
        ({"tflm": True, "litert": None}, '["tflm"]', "pass"),
        ({"tflm": True, "litert": None}, '["tflm", "litert"]', "unknown"),
    ],
)
def test_parity_holds_when_no_rung_was_missed(
    tmp_path: Path, rungs: dict[str, bool | None], limit: str, status: str
) -> None:
    path = repository(tmp_path, f"parity = {limit}")
    export(tmp_path, rungs)
    assert checks(path)["parity"].status == status


def test_parity_of_another_file_is_not_this_ones(tmp_path: Path) -> None:
    path = repository(tmp_path, "parity = true")
    export(tmp_path, {"tflm": True})
    grow(tmp_path)
    assert "of other files" in checks(path)["parity"].why


def test_a_parity_report_edited_by_hand_is_not_believed(tmp_path: Path) -> None:
    path = repository(tmp_path, "parity = true")
    export(tmp_path, {"tflm": False})
    report = tmp_path / "models" / "parity.json"
    report.write_text(report.read_text().replace("false", "true"))
    assert checks(path)["parity"].status == "unknown"


def test_parity_without_a_report_is_a_missing_file(tmp_path: Path) -> None:
    assert checks(repository(tmp_path, "parity = true"))["parity"].exit_code == 3


@pytest.mark.parametrize(
    ("limit", "value", "status"),
    [
        ('{ host = "3 ms" }', 2500, "pass"),
        ('{ host = "2 ms" }', 2500, "fail"),
        ('{ "host/litert" = "1 ms" }', 120, "pass"),
        ('{ "host/litert" = "100 us" }', 120, "fail"),
    ],
)
def test_a_measured_latency_is_the_slowest_runtimes_or_the_named_ones(
    tmp_path: Path, limit: str, value: int, status: str
) -> None:
    path = repository(tmp_path, f"latency = {limit}")
    bench(tmp_path, {"runtime": "litert", "median_us": 120.0}, {"runtime": "torch", "median_us": 2500.0})
    (found,) = checks(path).values()
    assert (found.value, found.status, found.origin) == (value, status, "measured")


@pytest.mark.parametrize(
    "row",
    [
        {"median_us": 5.0, "sha256": "0" * 64},
        {"median_us": 5.0, "origin": "emulated"},
        {"median_us": -5.0},
        {"median_us": "5"},
        {"median_us": float("nan")},
        {"error": "died"},
        {"median_us": 5.0, "target": "rpi4"},
    ],
)
def test_a_latency_of_something_else_is_none(tmp_path: Path, row: dict[str, Any]) -> None:
    path = repository(tmp_path, 'latency = { host = "3 ms" }')
    bench(tmp_path, {"runtime": "litert"} | row)
    (found,) = checks(path).values()
    assert found.status == "unknown"


HUGE = 10**400  # more than any float holds


@pytest.mark.parametrize(
    "changes",
    [{"n": HUGE}, {"accuracy": float("nan")}, {"accuracy": HUGE}, {"per_class": {"bus": {"accuracy": 0.9, "n": HUGE}}}],
)
def test_numbers_that_no_evaluation_gives_are_not_known(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = repository(tmp_path, "accuracy = 0.5\nworst_class_accuracy = 0.5")
    evaluation(tmp_path, **changes)
    assert {item.exit_code for item in checks(path).values() if item.status == "unknown"} == {3}


def test_seeds_that_are_no_list_are_not_known(tmp_path: Path) -> None:
    path = repository(tmp_path, "accuracy = 0.5")
    evaluation(tmp_path, seeds=5)
    assert checks(path)["accuracy"].detail == "n 200, test: fold 1, seeds not known"


def test_a_time_beyond_all_measure_is_not_believed(tmp_path: Path) -> None:
    path = repository(tmp_path, 'latency = { host = "1 ms" }')
    bench(tmp_path, {"runtime": "litert", "median_us": HUGE})
    assert checks(path)["latency host"].status == "unknown"


@pytest.mark.parametrize("files", [5, {}, [{"sha256": [1]}], [{"sha256": {}}]])
def test_a_manifest_of_another_shape_proves_nothing(tmp_path: Path, files: Any) -> None:
    path = repository(tmp_path, "parity = true")
    export(tmp_path, {"tflm": True})
    (tmp_path / "models" / "manifest.json").write_text(json.dumps({"schema": 1, "files": files}))
    assert checks(path)["parity"].status == "unknown"
