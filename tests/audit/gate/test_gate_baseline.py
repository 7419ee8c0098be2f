"""The committed baseline: it comes back as it was written, a foreign one is refused, nothing is half-written."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from gate_toys import SCENE, only, repository

from edgeasc.audit.gate.baseline import read_baseline, write_baseline
from edgeasc.audit.gate.run import check
from edgeasc.errors import BadInput, CheckFailed, EdgeascError

NAME = "edgeasc.baseline.json"


@pytest.fixture()
def written(tmp_path: Path) -> Path:
    """A repository's baseline."""
    write_baseline(tmp_path / NAME, check(repository(tmp_path, "file = 10_000")), None)
    return tmp_path / NAME


def test_a_baseline_holds_the_numbers_and_the_layers(written: Path) -> None:
    model = read_baseline(written).models[SCENE]
    audited = only(check(written.parent / "edgeasc.toml")).audit
    assert audited is not None
    assert model.numbers["file"] == audited.file_bytes
    assert model.sha256 == audited.sha256
    assert sum(layer.parameters for layer in model.layers) == audited.parameters.total
    assert sum(layer.macs for layer in model.layers) == audited.macs


def test_the_same_models_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    first = written.read_bytes()
    write_baseline(written, check(tmp_path / "edgeasc.toml"), read_baseline(written))
    assert written.read_bytes() == first


def test_every_layer_and_number_is_a_line_of_its_own(written: Path) -> None:
    lines = written.read_text("utf-8").splitlines()
    layers = json.loads(written.read_text("utf-8"))["models"][SCENE]["layers"]
    assert sum('"op":' in line for line in lines) == len(layers)


def test_nothing_changed_against_ones_own_baseline(written: Path) -> None:
    model = only(check(written.parent / "edgeasc.toml"))
    assert (model.known, model.differences) == (True, ())


@pytest.mark.parametrize("schema", [2, 0, "1", None, True, 1.5])
def test_a_baseline_of_another_schema_is_refused(written: Path, schema: Any) -> None:
    document = json.loads(written.read_text("utf-8")) | {"schema": schema}
    written.write_text(json.dumps(document))
    with pytest.raises(BadInput, match="schema"):
        check(written.parent / "edgeasc.toml")


def model_with(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {"sha256": "0" * 64, "numbers": {"file": 3}, "peak_layer": "", "layers": []}
    return plain | changes


LAYER = {"name": "a", "op": "b", "parameters": 1, "nonzero": 1, "bytes": 1, "macs": 1, "activation_bytes": 1}


@pytest.mark.parametrize(
    "models",
    [
        {"a": model_with(numbers={"file": -1})},
        {"a": model_with(numbers={"file": "many"})},
        {"a": model_with(numbers={"weight": 3})},
        {"a": model_with(numbers=[1])},
        {"a": model_with(sha256="abc")},
        {"a": model_with(layers=[LAYER | {"bytes": -1}])},
        {"a": model_with(layers=[LAYER | {"bytes": 1.5}])},
        {"a": model_with(layers=[{"name": "a"}])},
        {"a": model_with(more=1)},
        {"a": 3},
        [],
        None,
    ],
)
def test_a_damaged_baseline_is_refused(tmp_path: Path, models: Any) -> None:
    path = tmp_path / NAME
    path.write_text(json.dumps({"schema": 1, "kind": "edgeasc baseline", "edgeasc": "0", "models": models}))
    with pytest.raises(BadInput, match="baseline"):
        read_baseline(path)


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", "\x00", '{"schema": 1, "kind": "audit", "models": {}}'])
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(BadInput, match="baseline"):
        read_baseline(tmp_path / NAME)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_without_bounds_is_refused(written: Path, number: str) -> None:
    text = written.read_text("utf-8")
    written.write_text(text.replace('"ram": 6400', f'"ram": {number}'))
    assert number in written.read_text("utf-8")
    with pytest.raises(BadInput):
        read_baseline(written)


def test_a_failing_check_is_not_blessed(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match=SCENE):
        write_baseline(tmp_path / NAME, check(repository(tmp_path, "file = 1")), None)
    assert not (tmp_path / NAME).exists()


def test_an_older_baseline_survives_a_failed_write(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, report = written.read_bytes(), check(written.parent / "edgeasc.toml")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(EdgeascError):
        write_baseline(written, report, None)
    assert written.read_bytes() == first
    assert not list(written.parent.glob("*.part")) + list(written.parent.glob(".*.part"))


def test_a_model_that_left_the_configuration_is_told_and_left_out(written: Path) -> None:
    config = repository(written.parent, "file = 10_000", entry='name = "door"')
    report = check(config)
    assert any(SCENE in note for note in report.notes)
    assert any("not in the baseline" in note for note in only(report).notes)
    write_baseline(written, report, read_baseline(written))
    assert list(read_baseline(written).models) == ["door"]
