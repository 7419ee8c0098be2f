"""An ensemble is one system: rules that limit a system limit the sum, rules that limit a model do not."""

from pathlib import Path

from gate_toys import EXAMPLE, SCENE, repository

import edgeasc
from edgeasc.audit.gate.baseline import read_baseline, write_baseline
from edgeasc.audit.gate.document import ModelGate
from edgeasc.audit.gate.run import check

MODEL = edgeasc.audit(EXAMPLE / SCENE, rules=["dcase2021-1a"], arena=False).models[0]
ONE = MODEL.rules[0].bytes


def ensemble(folder: Path, limits: str) -> Path:
    """Two copies of the model as one system."""
    path = repository(folder)
    (folder / "models" / "second.tflite").write_bytes((folder / SCENE).read_bytes())
    entry = f'[[models]]\npath = "models/*.tflite"\nsystem = "ensemble"\n[models.limits]\n{limits}\n'
    path.write_text(entry, encoding="utf-8")
    return path


def together(path: Path) -> ModelGate:
    return check(path).models[-1]


def test_the_parts_add_up(tmp_path: Path) -> None:
    for limit, passed in ((2 * ONE, True), (2 * ONE - 1, False)):
        model = together(ensemble(tmp_path, f"rules = {{ dcase2021-1a = {limit} }}"))
        (found,) = model.checks
        assert (model.name, found.value, found.passed) == ("ensemble", 2 * ONE, passed)


def test_each_part_alone_may_pass_where_the_system_fails(tmp_path: Path) -> None:
    report = check(ensemble(tmp_path, f"rules = {{ dcase2021-1a = {ONE} }}"))
    assert [model.passed for model in report.models] == [True, True, False]
    assert report.exit_code == 1


def test_a_rule_about_a_model_is_not_summed(tmp_path: Path) -> None:
    model = together(ensemble(tmp_path, "rules = { dcase2025 = true }"))
    assert model.checks == ()
    assert "nothing is judged together" in model.notes[0]


def test_a_part_that_cannot_be_read_leaves_the_sum_unknown(tmp_path: Path) -> None:
    path = ensemble(tmp_path, "rules = { dcase2021-1a = true }")
    (tmp_path / SCENE).write_bytes(b"TFL3")
    assert [item.status for item in together(path).checks] == ["unknown"]


def test_a_baseline_holds_the_parts_and_not_the_system(tmp_path: Path) -> None:
    path = ensemble(tmp_path, "rules = { dcase2021-1a = true }")
    write_baseline(tmp_path / "edgeasc.baseline.json", check(path), None)
    assert set(read_baseline(tmp_path / "edgeasc.baseline.json").models) == {SCENE, "models/second.tflite"}
    assert not any("not in the baseline" in note for note in together(path).notes)
