"""Damaged configurations, baselines and evidence: a verdict or one line, never a traceback; and what always adds up."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from gate_toys import SCENE, bench, evaluation, export, only, repository
from hypothesis import given
from hypothesis import strategies as st

from edgeasc.audit.gate.baseline import BaselineModel, LayerRow, dump_baseline, read_baseline, write_baseline
from edgeasc.audit.gate.difference import differences, layer_changes
from edgeasc.audit.gate.document import Measured
from edgeasc.audit.gate.run import check
from edgeasc.cli import main

LIMITS = 'file = 10_000\naccuracy = 0.5\nworst_class_accuracy = 0.2\nparity = true\nlatency = { host = "9 ms" }'
HEAD = "[ratchet]\nenabled = true"
PLACES = (
    "edgeasc.toml",
    "edgeasc.baseline.json",
    "models/evaluate.json",
    "models/parity.json",
    "models/manifest.json",
    "models/bench.json",
)


def mutated(payload: bytes, rng: np.random.Generator) -> bytes:
    """`payload` with some bytes replaced, removed, doubled, or cut off."""
    data = bytearray(payload)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(data)))
        match rng.integers(4):
            case 0:
                data[at] = int(rng.integers(256))
            case 1:
                del data[at : at + int(rng.integers(1, 30))]
            case 2:
                data[at:at] = data[at : at + int(rng.integers(1, 30))]
            case _:
                data[at : at + 1] = rng.choice([b'"', b"{", b"[", b"-", b"9" * 400, b"null", b"1e999", b"\xff"])
        data = data or bytearray(b" ")
    return bytes(data)


@pytest.mark.parametrize("name", PLACES)
def test_a_damaged_file_gives_a_verdict_or_one_line(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = repository(tmp_path, LIMITS, HEAD)
    evaluation(tmp_path)
    export(tmp_path, {"tflm": True})
    bench(tmp_path, {"median_us": 5.0, "runtime": "litert"})
    write_baseline(tmp_path / "edgeasc.baseline.json", check(config, ratchet=False), None)
    assert main(["check"]) == 0
    payload, rng, codes = (tmp_path / name).read_bytes(), np.random.default_rng(len(name)), set()
    for _ in range(60):
        (tmp_path / name).write_bytes(mutated(payload, rng))
        capsys.readouterr()
        codes.add(main(["check", "--quiet"]))
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) <= 1, lines
        assert not any("internal error" in line for line in lines), lines
    assert codes <= {0, 1, 2, 3}
    assert len(codes) > 1


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
counts = st.integers(0, 10**9)


@st.composite
def networks(draw: st.DrawFn) -> tuple[LayerRow, ...]:
    """Layers of any names and sizes."""
    found = draw(st.lists(st.tuples(names, counts, counts), max_size=6, unique_by=lambda item: item[0]))
    return tuple(
        LayerRow(name=name, op="conv", parameters=size, nonzero=size, bytes=size, macs=macs, activation_bytes=0)
        for name, size, macs in found
    )


def described(layers: tuple[LayerRow, ...]) -> BaselineModel:
    total = sum(layer.bytes for layer in layers)
    return BaselineModel(sha256="0" * 64, numbers={"nonzero_bytes": total}, layers=layers)


@given(networks(), networks())
def test_the_layers_of_a_difference_add_up_to_it(before: tuple[LayerRow, ...], after: tuple[LayerRow, ...]) -> None:
    value = described(after).numbers["nonzero_bytes"]
    for item in differences(described(before), {"nonzero_bytes": Measured(value)}, after, ""):
        assert sum(layer.change for layer in item.layers) == item.change


@given(networks(), networks())
def test_there_and_back_is_no_difference(before: tuple[LayerRow, ...], after: tuple[LayerRow, ...]) -> None:
    there = {item.name: item.change for item in layer_changes(before, after, "macs")}
    back = {item.name: item.change for item in layer_changes(after, before, "macs")}
    assert there == {name: -change for name, change in back.items()}


@given(st.dictionaries(names, networks(), max_size=3))
def test_a_baseline_comes_back_as_it_was_written(models: dict[str, tuple[LayerRow, ...]]) -> None:
    wanted = {name: described(layers) for name, layers in models.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "baseline.json"
        path.write_text(dump_baseline(wanted), encoding="utf-8")
        assert read_baseline(path).models == wanted


def test_a_run_folder_is_judged_by_a_rule_about_training(large_run: Path, tmp_path: Path) -> None:
    config = tmp_path / "edgeasc.toml"
    for size, passed in (("61KiB", True), ("60KiB", False)):
        config.write_text(f'[[models]]\npath = "."\n[models.limits]\nrules = {{ qti-report = "{size}" }}\n')
        model = only(check(config))
        assert (model.name, model.passed) == (".", passed)
    assert large_run == tmp_path


def test_a_name_that_is_no_plain_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = repository(tmp_path)
    (tmp_path / "models" / "a\nb.tflite").write_bytes((tmp_path / SCENE).read_bytes())
    config.write_text('[[models]]\npath = "models/*.tflite"\n')
    assert main(["check", "--config", str(config)]) == 2
    assert "no plain text" in capsys.readouterr().err
