"""Every limit judges its own number, at its very last byte; what is not known does not pass."""

from pathlib import Path

import pytest
from gate_toys import EXAMPLE, SCENE, checks, only, repository

import edgeasc
from edgeasc.audit.gate.run import check

MODEL = edgeasc.audit(EXAMPLE / SCENE, rules=["deployed", "dcase2024"], arena=False).models[0]
VALUES = {
    "file": MODEL.file_bytes,
    "gzip": MODEL.gzip_bytes,
    "parameters": MODEL.parameters.total,
    "nonzero": MODEL.parameters.nonzero,
    "nonzero_bytes": MODEL.parameters.nonzero_bytes,
    "macs": MODEL.macs,
    "ram": MODEL.peak_activation_bytes,
}


@pytest.mark.parametrize(("name", "value"), VALUES.items())
def test_a_limit_holds_at_its_last_unit_and_not_one_below(tmp_path: Path, name: str, value: int) -> None:
    for limit, passed in ((value, True), (value - 1, False)):
        found = checks(repository(tmp_path, f"{name} = {limit}"))
        assert (list(found), found[name].passed, found[name].value) == ([name], passed, value)


def test_a_rule_is_limited_by_a_size_of_ones_own(tmp_path: Path) -> None:
    size = MODEL.rules[0].bytes
    for limit, passed in ((size, True), (size - 1, False)):
        found = checks(repository(tmp_path, f"rules = {{ deployed = {limit} }}"))
        assert found["deployed bytes"].passed is passed


def test_a_rule_at_its_word_judges_everything_it_limits(tmp_path: Path) -> None:
    found = checks(repository(tmp_path, "rules = { dcase2024 = true }"))
    assert {name: int(item.limit) for name, item in found.items()} == {
        f"dcase2024 {what}": limit for what, limit in MODEL.rules[1].allowed.items()
    }
    assert all(item.passed and item.kind == "rule" for item in found.values())


def test_a_size_of_ones_own_keeps_the_rules_other_limits(tmp_path: Path) -> None:
    found = checks(repository(tmp_path, "rules = { dcase2024 = 100 }"))
    assert not found["dcase2024 bytes"].passed
    assert found["dcase2024 MACs"].limit == MODEL.rules[1].allowed["MACs"]


def test_a_rule_of_ones_own_lies_beside_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = 'title = "t"\nsource = "s"\nform = "deployed"\nunit = "kB"\nexplanation = "e"\nlimit_bytes = 100\n'
    (tmp_path / "house.toml").write_text(rule + '[[count]]\nlabel = "all"\nkinds = ["weight"]\nof = "total"\n')
    path = repository(tmp_path, 'rules = { "house.toml" = true }')
    monkeypatch.chdir(tmp_path.parent)
    assert checks(path)["house bytes"].limit == 100


def test_little_headroom_is_a_warning_and_no_failure(tmp_path: Path) -> None:
    value = VALUES["file"]
    for left, status in ((0.04, "tight"), (0.06, "pass")):
        found = checks(repository(tmp_path, f"file = {round(value / (1 - left))}"))
        assert (found["file"].status, found["file"].passed) == (status, True)


def test_the_headroom_is_the_configurations(tmp_path: Path) -> None:
    path = repository(tmp_path, f"file = {2 * VALUES['file']}", 'headroom = "60 %"')
    assert checks(path)["file"].status == "tight"


def test_a_model_without_limits_is_said_to_pass_whatever_it_weighs(tmp_path: Path) -> None:
    model = only(check(repository(tmp_path)))
    assert model.passed
    assert any("no limit" in note for note in model.notes)


def test_one_damaged_file_does_not_hide_the_verdict_on_the_others(tmp_path: Path) -> None:
    path = repository(tmp_path, "file = 1")
    (tmp_path / "models" / "b.tflite").write_bytes(b"TFL3 or not")
    path.write_text('[[models]]\npath = "models/*.tflite"\n[models.limits]\nfile = 1\n', encoding="utf-8")
    report = check(path)
    damaged, scene = report.models
    assert (damaged.exit_code, scene.exit_code, report.exit_code) == (3, 1, 3)
    assert damaged.error
    assert scene.checks[0].value == VALUES["file"]


def test_operations_that_nobody_counted_do_not_pass(tmp_path: Path) -> None:
    from dataclasses import replace

    from edgeasc.audit.gate.collect import counted_numbers
    from edgeasc.audit.gate.document import Unknown

    number = counted_numbers(replace(MODEL, unknown=("CUSTOM:Fft",)))["macs"]
    assert isinstance(number, Unknown)
    assert "CUSTOM:Fft" in number.why


def test_an_arena_that_nobody_can_measure_does_not_pass(tmp_path: Path) -> None:
    path = repository(tmp_path)
    (tmp_path / "models" / "scene.onnx").write_bytes((EXAMPLE / "models" / "scene.onnx").read_bytes())
    path.write_text('[[models]]\npath = "models/scene.onnx"\n[models.limits]\narena = "1MiB"\n', encoding="utf-8")
    found = checks(path)["arena"]
    assert (found.status, found.exit_code) == ("unknown", 1)


@pytest.mark.needs("tflite_micro")
def test_the_arena_is_measured_where_it_is_limited(tmp_path: Path) -> None:
    found = checks(repository(tmp_path, 'arena = "1MiB"'))["arena"]
    assert found.value is not None
    assert found.value > VALUES["ram"]
    assert found.origin == "measured"


def test_an_absent_tflm_is_something_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeasc.audit import document
    from edgeasc.audit.gate import collect

    monkeypatch.setattr(collect, "find_spec", lambda name: None)
    monkeypatch.setattr(
        "edgeasc.audit.inspect.measure_arena", lambda artefact: document.Arena(None, "not installed; pip install ..")
    )
    report = check(repository(tmp_path, 'arena = "1MiB"'))
    assert report.exit_code == 4
