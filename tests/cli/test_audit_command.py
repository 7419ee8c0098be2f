"""`edgeasc audit` and `edgeasc rules`: exit codes, forms of output, assumed defaults."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgeasc.cli import main
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(tflite_bytes(dummy_graph()))
    return str(path)


def test_a_broken_budget_gives_1_and_says_so(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", model, "--budget", "100", "--no-arena"]) == 1
    captured = capsys.readouterr()
    assert "Verdict   FAIL: deployed bytes" in captured.out
    assert "error" not in captured.err


def test_a_budget_that_holds_gives_0(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", model, "--budget", "100KiB", "--no-arena"]) == 0
    assert "Verdict   pass" in capsys.readouterr().out


def test_the_assumed_rule_is_said_and_quiet_silences_it(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit", model, "--no-arena"])
    assert "assumed: --rules deployed" in capsys.readouterr().err
    main(["audit", model, "--no-arena", "--quiet"])
    assert capsys.readouterr().err == ""


def test_json_is_one_document_on_stdout(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", model, model, "--format", "json", "--no-arena"]) == 0
    captured = capsys.readouterr()
    assert (json.loads(captured.out)["schema"], len(json.loads(captured.out)["models"])) == (1, 2)
    assert captured.err == ""


def test_markdown_is_tables(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit", model, "--format", "markdown", "--no-arena"])
    assert "|---|" in capsys.readouterr().out


def test_all_layers_lists_more_rows(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["audit", model, "--no-arena"])
    short = capsys.readouterr().out
    main(["audit", model, "--no-arena", "--all-layers"])
    assert len(capsys.readouterr().out.splitlines()) > len(short.splitlines())


def test_a_training_rule_on_a_bare_file_gives_3(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", model, "--rules", "qti-report"]) == 3
    assert "not computable from this file" in capsys.readouterr().err


def test_an_unknown_rule_gives_2(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", model, "--rules", "qti"]) == 2
    assert "known: " in capsys.readouterr().err


def test_rules_lists_and_explains(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    assert "qti-report" in capsys.readouterr().out
    assert main(["rules", "qti-report"]) == 0
    assert "1024" in capsys.readouterr().out
    assert main(["rules", "qti-raport"]) == 2


@pytest.mark.parametrize(("budget", "code"), [("100", 1), ("100KiB", 0)])
def test_platforms_are_told_the_verdicts(
    model: str, budget: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(model).parent)
    found = {}
    for form in ("junit", "github", "sarif"):
        call = ["audit", "model.tflite", "--budget", budget, "--target", "cortex-m4", "--no-arena", "--format", form]
        assert main(call) == code
        found[form] = capsys.readouterr().out
    suite = ElementTree.fromstring(found["junit"])[0]
    assert [case.attrib["name"].split(" <=")[0] for case in suite.iter("testcase")] == [
        "deployed bytes",
        "target cortex-m4",
    ]
    assert int(suite.attrib["failures"]) == code
    assert ("::error file=model.tflite," in found["github"]) is bool(code)
    levels = {result["ruleId"]: result["level"] for result in json.loads(found["sarif"])["runs"][0]["results"]}
    assert (levels.get("limit/deployed-bytes") == "error") is bool(code)
