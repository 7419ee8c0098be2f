"""`edgeasc.toml`: what is refused, in one line that helps, and what its values mean."""

from pathlib import Path

import pytest
from gate_toys import repository

from edgeasc.audit.gate.artefacts import find_artefacts
from edgeasc.audit.gate.config import GateConfig, read_config
from edgeasc.errors import UsageError
from edgeasc.specs import parse_spec


def config_of(folder: Path, text: str) -> Path:
    path = folder / "edgeasc.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[[models]]\npath = "x"\n[models.limits]\nfiel = 3', "did you mean 'file'"),
        ('[[models]]\npath = "x"\n[models.limits]\nacuracy = 0.5', "did you mean 'accuracy'"),
        ('[[models]]\npath = "x"\nlimit = 3', "did you mean 'limits'"),
        ('basline = "x"\n[[models]]\npath = "x"', "did you mean 'baseline'"),
        ('[[model]]\npath = "x"', "did you mean 'models'"),
        ('[ratchet]\ntolerence = {}\n[[models]]\npath = "x"', "did you mean 'tolerance'"),
        ('[ratchet]\nnumbers = ["fil"]\n[[models]]\npath = "x"', "did you mean 'file'"),
        ('[limits]\nrules = { dcase2052 = true }\n[[models]]\npath = "x"', "did you mean 'dcase202"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path, text: str, wanted: str) -> None:
    with pytest.raises(UsageError, match=wanted):
        read_config(config_of(tmp_path, text))


@pytest.mark.parametrize(
    "limit",
    [
        'file = "64 KiBs"', "file = 0", "file = -3", "file = 1.5", "file = true", 'macs = "30MB"', 'macs = "1.5"',
        'accuracy = 75', 'accuracy = "175 %"', "accuracy = nan", "accuracy = true", 'latency = { host = 80 }',
        'latency = { host = "80" }', 'latency = { host = "0 ms" }', 'latency = "80 ms"', 'parity = "tflm"',
        'rules = ["deployed"]', "rules = { deployed = false }", 'rules = { deployed = "many" }',
        "rules = { deployed = true }",
    ],
)  # fmt: skip
def test_a_value_that_is_no_limit_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(UsageError, match=r"edgeasc\.toml"):
        read_config(config_of(tmp_path, f'[[models]]\npath = "x"\n[models.limits]\n{limit}\n'))


@pytest.mark.parametrize(
    "text", ["", "schema = 2\n[[models]]\npath = 'x'", "[[models]]\nname = 'x'", "not = = toml", "\x00"]
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"edgeasc\.toml"):
        read_config(config_of(tmp_path, text))


def test_a_missing_configuration_shows_what_one_looks_like(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[\[models\]\]"):
        read_config(tmp_path / "edgeasc.toml")


def test_values_take_units() -> None:
    entry = {"path": "x", "limits": {"file": "64KiB", "gzip": "60kB", "macs": "1.5M", "nonzero": "8,055",
             "accuracy": "75 %", "latency": {"host": "1.5 ms", "m4": "2 s"}}}  # fmt: skip
    limits = parse_spec(GateConfig, {"models": [entry]}).models[0].limits
    assert limits.named() == {
        "file": 65_536,
        "gzip": 60_000,
        "macs": 1_500_000,
        "nonzero": 8_055,
        "accuracy": 0.75,
        "latency host": 1_500,
        "latency m4": 2_000_000,
    }


def test_a_model_replaces_common_limits_one_by_one(tmp_path: Path) -> None:
    head = '[limits]\nfile = "1KiB"\nmacs = "1M"\nrules = { deployed = "1KiB" }'
    path = repository(tmp_path, 'file = "2KiB"\nrules = { dcase2024 = true }', head)
    (listed,) = find_artefacts(read_config(path))
    assert (listed.limits.file, listed.limits.macs) == (2048, 1_000_000)
    assert listed.limits.rules == {"deployed": 1024, "dcase2024": "own"}


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    path = config_of(tmp_path, '[[models]]\npath = "models/*.tflite"\n')
    with pytest.raises(UsageError, match="nothing matches"):
        find_artefacts(read_config(path))


@pytest.mark.parametrize("second", ['"models/*.tflite"', '["models/scene.tflite"]'])
def test_an_artefact_under_two_entries_is_refused(tmp_path: Path, second: str) -> None:
    path = repository(tmp_path)
    path.write_text(f"{path.read_text('utf-8')}\n[[models]]\npath = {second}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="listed before"):
        find_artefacts(read_config(path))


def test_a_name_is_for_one_artefact(tmp_path: Path) -> None:
    path = repository(tmp_path)
    (tmp_path / "models" / "b.tflite").write_bytes(b"x")
    path.write_text('[[models]]\nname = "both"\npath = "models/*.tflite"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="2 match"):
        find_artefacts(read_config(path))


def test_a_file_with_brackets_in_its_name_is_meant_literally(tmp_path: Path) -> None:
    path = repository(tmp_path)
    (tmp_path / "models" / "a[1].tflite").write_bytes(b"x")
    path.write_text('[[models]]\npath = "models/a[1].tflite"\n', encoding="utf-8")
    assert [item.path for item in find_artefacts(read_config(path))] == ["models/a[1].tflite"]


def test_paths_start_at_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = repository(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    (listed,) = find_artefacts(read_config(path))
    assert listed.name == "models/scene.tflite"
    assert listed.place.is_file()


NINES = "9" * 400  # more than any float holds


@pytest.mark.parametrize(
    "limit",
    [f"parameters = {NINES}", f'macs = "{NINES}M"', f'file = "{NINES} kB"', f'latency = {{ host = "{NINES} ms" }}'],
)
def test_a_limit_beyond_all_numbers_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(UsageError, match=r"models\.0\.limits"):
        read_config(repository(tmp_path, limit))
