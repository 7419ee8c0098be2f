"""The machine-readable forms keep to their published schemas, and no name of a stranger breaks out of them."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from gate_toys import SCENE, grow, only, repository

from edgeasc.audit.gate.baseline import write_baseline
from edgeasc.audit.gate.document import Check, GateReport
from edgeasc.audit.gate.formats.render import FORMATS, render
from edgeasc.audit.gate.run import check
from edgeasc.errors import UsageError

HOSTILE = "\x1b[2J\n::error::x]]> <b>&\"',%0A::set-output name=a::b | `c` \ud800"


@pytest.fixture()
def report(tmp_path: Path) -> GateReport:
    """One model that breaks three limits and just holds one, and one that cannot be read."""
    config = repository(tmp_path, 'file = 9_400\nmacs = "300k"')
    write_baseline(tmp_path / "edgeasc.baseline.json", check(config), None)
    grow(tmp_path)
    (tmp_path / "models" / "broken one.tflite").write_bytes(b"nothing")
    text = f'{config.read_text("utf-8")}ram = 6500\n[[models]]\npath = "models/broken one.tflite"\n'
    config.write_text(text, encoding="utf-8")
    return check(config, ratchet=True)


@pytest.fixture()
def hostile(report: GateReport) -> GateReport:
    """The same with names, reasons and layers from a stranger."""
    models = []
    for model in report.models:
        checks = tuple(replace(item, detail=HOSTILE, origin="measured", why=HOSTILE) for item in model.checks)
        models.append(replace(model, name=HOSTILE, path=HOSTILE, checks=checks, notes=(HOSTILE,), error=HOSTILE))
    return replace(report, models=tuple(models), notes=(HOSTILE,))


def rendered(report: GateReport, form: str, tmp_path: Path) -> str:
    text = render(report, form, tmp_path)
    text.encode()  # no half of a surrogate pair
    return text


# JUnit: element -> (required attributes, optional ones, children in order; `*` any number, `?` at most one).
# From JUnit.xsd of windyroad/JUnit-Schema, which Ant, Jenkins, GitLab and Azure read.
JUNIT: dict[str, tuple[set[str], set[str], list[str]]] = {
    "testsuites": (set(), set(), ["testsuite*"]),
    "testsuite": (
        {"id", "name", "package", "hostname", "timestamp", "tests", "failures", "errors", "time"},
        {"skipped"},
        ["properties", "testcase*", "system-out", "system-err"],
    ),
    "properties": (set(), set(), ["property*"]),
    "property": ({"name", "value"}, set(), []),
    "testcase": ({"name", "classname", "time"}, set(), ["error?", "failure?"]),
    "failure": ({"type"}, {"message"}, []),
    "error": ({"type"}, {"message"}, []),
    "system-out": (set(), set(), []),
    "system-err": (set(), set(), []),
}


def assert_junit(element: ElementTree.Element) -> None:
    required, optional, children = JUNIT[element.tag]
    assert required <= set(element.attrib) <= required | optional, element.tag
    shape = "".join(f"<{child.tag}>" for child in element)
    pattern = "".join(f"(<{child.rstrip('*?')}>){child[-1] if child[-1] in '*?' else ''}" for child in children)
    assert re.fullmatch(pattern, shape), (element.tag, shape)
    assert element.tag != "testcase" or len(element) <= 1
    for child in element:
        assert_junit(child)


@pytest.mark.parametrize("name", ["report", "hostile"])
def test_junit_keeps_to_its_schema(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    root = ElementTree.fromstring(rendered(request.getfixturevalue(name), "junit", tmp_path))
    assert root.tag == "testsuites"
    assert_junit(root)
    for suite in root:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(suite.attrib["errors"]) == len(suite.findall("testcase/error"))


def test_junit_has_a_case_per_limit_and_an_error_for_what_cannot_be_read(report: GateReport, tmp_path: Path) -> None:
    scene, broken = ElementTree.fromstring(rendered(report, "junit", tmp_path))
    failed = {case.attrib["name"].split(" <=")[0] for case in scene.iter("testcase") if len(case)}
    assert {"file", "macs", "file (ratchet)", "macs (ratchet)"} <= failed
    assert "ram" not in failed
    assert broken.find("testcase/error") is not None


def test_junit_is_reproducible_on_request(report: GateReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert 'timestamp="1970-01-01T00:00:00"' in rendered(report, "junit", tmp_path)


# SARIF 2.1.0: object -> (required keys, keys allowed here, all of which the schema knows with these types).
SARIF: dict[str, tuple[set[str], dict[str, type]]] = {
    "log": ({"version", "runs"}, {"$schema": str, "version": str, "runs": list}),
    "run": ({"tool"}, {"tool": dict, "results": list, "columnKind": str}),
    "driver": ({"name"}, {"name": str, "version": str, "semanticVersion": str, "rules": list}),
    "rule": (
        {"id"},
        {
            "id": str,
            "name": str,
            "shortDescription": dict,
            "fullDescription": dict,
            "defaultConfiguration": dict,
            "properties": dict,
        },
    ),
    "result": (
        {"message"},
        {
            "ruleId": str,
            "ruleIndex": int,
            "level": str,
            "message": dict,
            "locations": list,
            "partialFingerprints": dict,
        },
    ),
    "location": (set(), {"physicalLocation": dict, "logicalLocations": list}),
}


def assert_sarif(what: str, item: Any) -> None:
    required, known = SARIF[what]
    assert required <= set(item) <= set(known), (what, item)
    assert all(type(value) is known[key] for key, value in item.items()), what


@pytest.mark.parametrize("name", ["report", "hostile"])
def test_sarif_keeps_to_its_schema(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    document = json.loads(rendered(request.getfixturevalue(name), "sarif", tmp_path))
    assert_sarif("log", document)
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert_sarif("run", run)
    assert set(run["tool"]) == {"driver"}
    assert_sarif("driver", run["tool"]["driver"])
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert_sarif("rule", rule)
        assert rule["shortDescription"]["text"]
    for result in run["results"]:
        assert_sarif("result", result)
        assert result["message"]["text"]
        assert result["level"] in ("none", "note", "warning", "error")
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        for location in result["locations"]:
            assert_sarif("location", location)
            place = location["physicalLocation"]
            assert re.fullmatch(r"[A-Za-z0-9._~/%-]+", place["artifactLocation"]["uri"])  # a URI reference
            assert place["region"] == {"startLine": 1}
            assert all(item["fullyQualifiedName"] for item in location.get("logicalLocations", []))
        assert all(type(value) is str for value in result["partialFingerprints"].values())


def test_sarif_places_a_result_in_its_file_and_its_layer(report: GateReport, tmp_path: Path) -> None:
    (run,) = json.loads(rendered(report, "sarif", tmp_path))["runs"]
    by_rule = {result["ruleId"]: result for result in run["results"]}
    location = by_rule["limit/file"]["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == SCENE
    assert location["logicalLocations"] == [{"fullyQualifiedName": "stage4.1.pw", "kind": "member"}]
    assert by_rule["limit/ram"]["level"] == "warning"
    uri = by_rule["unreadable"]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert (uri, unquote(uri)) == ("models/broken%20one.tflite", "models/broken one.tflite")


def test_sarif_fingerprints_tell_results_apart_and_stay(report: GateReport, tmp_path: Path) -> None:
    def marks() -> list[str]:
        (run,) = json.loads(rendered(report, "sarif", tmp_path))["runs"]
        return [result["partialFingerprints"]["edgeascLimit/v1"] for result in run["results"]]

    assert marks() == marks()
    assert len(set(marks())) == len(marks())


COMMAND = re.compile(r"::(error|warning|notice) file=([^:,\n]*),title=([^:,\n]*)::([^\r\n]*)")


@pytest.mark.parametrize("name", ["report", "hostile"])
def test_annotations_are_commands_and_nothing_else_is(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    text = rendered(request.getfixturevalue(name), "github", tmp_path)
    commands, _, rest = text.partition("::stop-commands::")
    token, _, log = rest.partition("\n")
    for line in commands.splitlines():
        assert COMMAND.fullmatch(line), line
    assert log.endswith(f"\n::{token}::\n")
    assert f"::{token}::" not in log.removesuffix(f"::{token}::\n")


def test_annotations_tell_errors_from_warnings(report: GateReport, tmp_path: Path) -> None:
    text = rendered(report, "github", tmp_path)
    found = {match[3]: match[1] for match in COMMAND.finditer(text)}
    assert found[f"{SCENE}%3A file"] == "error"
    assert found[f"{SCENE}%3A ram is tight"] == "warning"
    assert found["models/broken one.tflite%3A cannot be judged"] == "error"


def test_the_message_names_the_layer_in_every_format(report: GateReport, tmp_path: Path) -> None:
    for form in FORMATS:
        assert "all in stage4.1.pw" in rendered(report, form, tmp_path), form


@pytest.mark.parametrize("form", ["text", "markdown", "github", "junit", "sarif"])
def test_no_name_moves_the_cursor_or_opens_a_tag(hostile: GateReport, tmp_path: Path, form: str) -> None:
    text = rendered(hostile, form, tmp_path)
    assert "\x1b" not in text
    assert "\n::error::x" not in text
    if form == "markdown":
        assert "<b>" not in text


def test_json_keeps_the_shape_of_schema_1(report: GateReport, tmp_path: Path) -> None:
    document = json.loads(rendered(report, "json", tmp_path))
    keys = {"schema", "kind", "config", "baseline", "ratchet", "models", "notes", "passed", "exit_code"}
    assert (set(document), document["schema"], document["kind"]) == (keys, 1, "check")
    model = document["models"][0]
    assert set(model) == {
        "name", "path", "sha256", "numbers", "checks", "differences", "notes", "in_baseline", "parts", "error",
        "passed",
    }  # fmt: skip
    assert set(model["checks"][0]) == {
        "name", "kind", "unit", "best", "limit", "value", "status", "origin", "detail", "why", "layer", "exit_code",
        "left", "passed",
    }  # fmt: skip
    assert set(model["differences"][0]) == {
        "name", "unit", "best", "before", "after", "layers", "words", "change",
    }  # fmt: skip
    assert set(model["differences"][0]["layers"][0]) == {"name", "change", "state"}
    assert (document["passed"], document["exit_code"]) == (False, 3)


def test_markdown_says_the_verdict_first_and_shrinks_to_what_github_takes(report: GateReport, tmp_path: Path) -> None:
    assert rendered(report, "markdown", tmp_path).startswith("### edgeasc check: FAIL\n")
    model = report.models[0]
    long = replace(report, models=tuple(replace(model, name=f"{number}") for number in range(1200)))
    assert len(rendered(long, "markdown", tmp_path).encode()) < 2**20


def test_every_status_has_its_sentence(report: GateReport, tmp_path: Path) -> None:
    model = report.models[0]
    shown: dict[str, Check] = {item.status: item for item in model.checks}
    assert {"tight", "fail", "pass"} <= set(shown)
    passing = replace(model, checks=(shown["pass"],))
    text = rendered(replace(report, models=(passing,)), "text", tmp_path)
    assert "Verdict   pass: 1 model, 1 limits" in text


def test_an_unknown_format_names_the_nearest(report: GateReport, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'junit'"):
        render(report, "juni", tmp_path)


def test_only_one_model_needs_no_summary(tmp_path: Path) -> None:
    single = check(repository(tmp_path, "file = 10_000"))
    assert only(single).passed
    assert "Together" not in rendered(single, "text", tmp_path)
