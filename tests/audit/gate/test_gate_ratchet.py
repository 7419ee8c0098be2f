"""The ratchet: no number gets worse than the baseline's, and the baseline only gets better."""

import json
from pathlib import Path
from typing import Any

import pytest
from gate_toys import SCENE, checks, evaluation, grow, only, repository

from edgeasc.audit.gate.baseline import read_baseline, write_baseline
from edgeasc.audit.gate.run import check
from edgeasc.errors import BadInput, UsageError

NAME = "edgeasc.baseline.json"


def kept(folder: Path, config: Path, **numbers: float) -> Path:
    """Write the baseline of `config` and put other numbers into it."""
    write_baseline(folder / NAME, check(config, ratchet=False), None)
    document = json.loads((folder / NAME).read_text("utf-8"))
    document["models"][SCENE]["numbers"] |= numbers
    (folder / NAME).write_text(json.dumps(document))
    return config


def test_without_the_ratchet_growth_is_told_and_passes(tmp_path: Path) -> None:
    config = kept(tmp_path, repository(tmp_path))
    grow(tmp_path)
    model = only(check(config))
    assert model.passed
    assert any(item.worse for item in model.differences)


def test_with_the_ratchet_growth_fails(tmp_path: Path) -> None:
    config = kept(tmp_path, repository(tmp_path))
    assert only(check(config, ratchet=True)).passed
    grow(tmp_path)
    failed = {name for name, item in checks(config, ratchet=True).items() if not item.passed}
    assert failed == {"parameters (ratchet)", "nonzero_bytes (ratchet)", "file (ratchet)", "macs (ratchet)"}


@pytest.mark.parametrize(("mark", "passed"), [(9360, True), (9359, False), (9361, True)])
def test_one_byte_is_enough(tmp_path: Path, mark: int, passed: bool) -> None:
    config = kept(tmp_path, repository(tmp_path), file=mark)
    assert checks(config, ratchet=True)["file (ratchet)"].passed is passed


@pytest.mark.parametrize(("mark", "passed"), [(9267, False), (9268, True)])
def test_a_tolerance_is_a_share_of_the_baseline(tmp_path: Path, mark: int, passed: bool) -> None:
    head = '[ratchet]\nnumbers = ["file"]\ntolerance = { file = "1 %" }'  # 9268 * 1.01 = 9360.68
    config = kept(tmp_path, repository(tmp_path, head=head), file=mark)
    assert checks(config, ratchet=True)["file (ratchet)"].passed is passed


def test_the_configuration_may_switch_it_on_and_the_caller_off(tmp_path: Path) -> None:
    config = kept(tmp_path, repository(tmp_path, head="[ratchet]\nenabled = true"), file=1)
    assert not check(config).passed
    assert check(config, ratchet=False).passed


def test_an_accuracy_may_not_fall(tmp_path: Path) -> None:
    config = repository(tmp_path, "accuracy = 0.5", head='[ratchet]\nnumbers = ["accuracy"]')
    evaluation(tmp_path)
    kept(tmp_path, config)
    assert check(config, ratchet=True).passed
    evaluation(tmp_path, accuracy=0.695)
    assert not check(config, ratchet=True).passed


def test_a_number_that_the_baseline_has_and_nobody_knows_any_more_fails(tmp_path: Path) -> None:
    config = repository(tmp_path, "accuracy = 0.5", head='[ratchet]\nnumbers = ["accuracy"]')
    evaluation(tmp_path)
    kept(tmp_path, config)
    (tmp_path / "models" / "evaluate.json").unlink()
    repository(tmp_path, head='[ratchet]\nnumbers = ["accuracy"]')
    assert checks(config, ratchet=True)["accuracy (ratchet)"].status == "unknown"


def test_a_ratchet_without_a_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--update-baseline"):
        check(repository(tmp_path), ratchet=True)


def test_a_baseline_that_was_asked_for_and_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        check(repository(tmp_path), baseline=tmp_path / "other.json")


def test_updating_under_the_ratchet_keeps_the_better_number(tmp_path: Path) -> None:
    head = '[ratchet]\nenabled = true\nnumbers = ["file"]\ntolerance = { file = "1 %" }'
    config = kept(tmp_path, repository(tmp_path, head=head), file=9300, ram=7000)
    before: Any = read_baseline(tmp_path / NAME)
    write_baseline(tmp_path / NAME, check(config), before)
    numbers = read_baseline(tmp_path / NAME).models[SCENE].numbers
    assert (numbers["file"], numbers["ram"]) == (9300, 6400)


def test_what_got_better_is_said_to_be_a_new_mark(tmp_path: Path) -> None:
    config = kept(tmp_path, repository(tmp_path), file=10_000)
    assert any("--update-baseline" in note for note in only(check(config, ratchet=True)).notes)


def test_a_new_model_has_nothing_to_hold_on_to(tmp_path: Path) -> None:
    kept(tmp_path, repository(tmp_path))
    model = only(check(repository(tmp_path, entry='name = "new"'), ratchet=True))
    assert (model.passed, model.known) == (True, False)


@pytest.mark.parametrize("number", ["deployed bytes", "target cortex-m4"])
def test_a_number_whose_rule_or_target_is_no_longer_listed_fails(tmp_path: Path, number: str) -> None:
    head = f'[ratchet]\nnumbers = ["{number}"]'
    config = kept(tmp_path, repository(tmp_path, "", head), **{number: 1})
    (found,) = checks(config, ratchet=True).values()
    assert (found.status, found.passed) == ("unknown", False)


@pytest.mark.parametrize("mark", [1e308, 10**400])
def test_a_mark_beyond_all_numbers_is_no_baseline(tmp_path: Path, mark: float) -> None:
    config = kept(tmp_path, repository(tmp_path), file=mark)
    with pytest.raises(BadInput):
        check(config, ratchet=True)
