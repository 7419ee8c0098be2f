"""`edgeasc check`: exit codes, one line per failure, formats to files, the step's summary, nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from gate_toys import SCENE, grow, repository

from edgeasc.cli import main

BASELINE = "edgeasc.baseline.json"


@pytest.fixture()
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that passes, as the current folder."""
    repository(tmp_path, "file = 10_000")
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["check", *arguments, "--quiet"])
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("edgeasc: error: ")
    return code, lines[0]


def test_limits_that_hold_give_0(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert "Verdict   pass: 1 model, 1 limits" in capsys.readouterr().out


def test_a_grown_model_gives_1_and_the_layer(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--update-baseline"]) == 0
    grow(place)
    capsys.readouterr()
    assert main(["check"]) == 1
    captured = capsys.readouterr()
    assert "+3.1 kB, all in stage4.1.pw (parameters +3,072)" in captured.out
    assert captured.err == ""


def test_the_ratchet_fails_what_the_limits_allow(place: Path) -> None:
    repository(place, "file = 20_000")
    assert main(["check", "--write-baseline"]) == 0
    grow(place)
    assert [main(["check"]), main(["check", "--ratchet"]), main(["check", "--no-ratchet"])] == [0, 1, 0]


def test_a_deliberate_growth_is_written_without_the_ratchet(place: Path) -> None:
    repository(place, "file = 20_000", "[ratchet]\nenabled = true")
    assert main(["check", "--update-baseline"]) == 0
    first = (place / BASELINE).read_bytes()
    grow(place)
    assert main(["check", "--update-baseline"]) == 1
    assert (place / BASELINE).read_bytes() == first
    assert main(["check", "--update-baseline", "--no-ratchet"]) == 0
    assert main(["check"]) == 0


def test_a_broken_limit_leaves_the_baseline_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repository(place, "file = 1")
    assert main(["check", "--update-baseline"]) == 1
    assert "not written" in capsys.readouterr().err
    assert not (place / BASELINE).exists()


@pytest.mark.parametrize(
    ("text", "code", "wanted"),
    [
        ('[[models]]\npath = "models/*.tflite"\n[models.limits]\nfiel = 3', 2, "did you mean 'file'"),
        ('[[models]]\npath = "modles/*.tflite"', 2, "nothing matches"),
        ("not toml =", 2, "not TOML"),
    ],
)
def test_a_wrong_configuration_gives_2_in_one_line(
    place: Path, text: str, code: int, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "edgeasc.toml").write_text(text)
    found, line = refused(capsys)
    assert (found, wanted in line) == (code, True)


def test_no_configuration_gives_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--config", str(tmp_path / "edgeasc.toml"))[0] == 2


def test_a_baseline_of_another_schema_gives_3_in_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / BASELINE).write_text(json.dumps({"schema": 9, "kind": "edgeasc baseline", "models": {}}))
    for arguments in ([], ["--update-baseline"], ["--ratchet"]):
        code, line = refused(capsys, *arguments)
        assert (code, "schema 9" in line) == (3, True)
    assert json.loads((place / BASELINE).read_text())["schema"] == 9


def test_a_missing_baseline_gives_3_where_it_was_asked_for(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--baseline", "other.json")[0] == 3


def test_a_ratchet_without_a_baseline_gives_2(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--ratchet")[0] == 2


def test_a_damaged_model_gives_3_and_the_table(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / SCENE).write_bytes(b"TFL3")
    assert main(["check"]) == 3
    assert "FAIL" in capsys.readouterr().out


def test_every_format_goes_to_a_file_in_one_call(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = ["json=o.json", "markdown=o.md", "junit=o.xml", "sarif=sub/o.sarif", "text=o.txt", "github=o.log"]
    assert main(["check", *(word for pair in pairs for word in ("--output", pair))]) == 0
    assert json.loads((place / "o.json").read_text())["kind"] == "check"
    assert json.loads((place / "sub/o.sarif").read_text())["version"] == "2.1.0"
    assert ElementTree.parse(place / "o.xml").getroot().tag == "testsuites"
    assert (place / "o.md").read_text().startswith("### edgeasc check: pass")
    assert (place / "o.txt").read_text() == capsys.readouterr().out


@pytest.mark.parametrize("output", ["junit", "juni=x.xml", "junit=", "=x"])
def test_a_wrong_output_gives_2(place: Path, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--output", output)[0] == 2


def test_an_output_named_twice_gives_2(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "--output", "junit=x", "--output", "json=x")[0] == 2
    assert not (place / "x").exists()


def test_an_output_that_cannot_be_written_leaves_nothing_behind(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "file").write_text("a file, no folder")
    before = sorted(path.name for path in place.rglob("*"))
    code, line = refused(capsys, "--output", "junit=file/o.xml", "--update-baseline")
    assert (code, "file" in line) == (3, True)
    assert sorted(path.name for path in place.rglob("*")) == before


def test_json_is_one_document_on_stdout(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--format", "json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["passed"] is True
    assert captured.err == ""


def test_github_annotates_and_fills_the_steps_summary(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "summary.md"))
    (place / "summary.md").write_text("before\n")
    repository(place, "file = 1")
    assert main(["check", "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith(f"::error file={SCENE},")
    summary = (place / "summary.md").read_text()
    assert summary.startswith("before\n### edgeasc check: FAIL")


def test_no_summary_without_the_format(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "summary.md"))
    assert main(["check"]) == 0
    assert not (place / "summary.md").exists()


def test_a_summary_that_cannot_be_written_does_not_change_the_verdict(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "missing" / "summary.md"))
    assert main(["check", "--format", "github"]) == 0
    assert "no step summary" in capsys.readouterr().err


def test_annotations_name_paths_from_the_workspace(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(place.parent))
    repository(place, "file = 1")
    main(["check", "--format", "github"])
    assert f"file={place.name}/{SCENE}," in capsys.readouterr().out


def test_a_check_needs_no_runtime_and_no_torch(place: Path) -> None:
    program = "import sys; from edgeasc.cli import main; main(['check']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=place)
    modules = set(done.stdout.splitlines()[-1].strip("[]").replace("'", "").split(", "))
    assert "edgeasc.audit.gate.run" in modules
    assert not modules & {"torch", "tensorflow", "onnxruntime", "onnx", "tflite_micro", "ai_edge_litert", "matplotlib"}
