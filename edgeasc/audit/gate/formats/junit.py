"""JUnit XML: one suite per model, one case per limit.

Keeps to the schema of the Ant task that most readers share (windyroad/JUnit-Schema, JUnit.xsd) and to the Jenkins
plugin's junit-10.xsd: counts, host name and a time stamp, which SOURCE_DATE_EPOCH makes reproducible.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from xml.etree import ElementTree

from edgeasc.audit.gate.document import Check, GateReport, ModelGate
from edgeasc.audit.gate.formats.words import sentence
from edgeasc.audit.gate.quantities import show
from edgeasc.tables import printable


def junit(report: GateReport) -> str:
    """The document."""
    root = ElementTree.Element("testsuites")
    for number, model in enumerate(report.models):
        root.append(_suite(number, model))
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(number: int, model: ModelGate) -> ElementTree.Element:
    failed = sum(not check.passed for check in model.checks)
    cases = len(model.checks) + bool(model.error)
    suite = ElementTree.Element(
        "testsuite",
        {
            "id": str(number),
            "name": printable(model.name),
            "package": "edgeasc",
            "hostname": "localhost",
            "timestamp": _stamp(),
            "tests": str(cases),
            "failures": str(failed),
            "errors": str(int(bool(model.error))),
            "time": "0",
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    facts = {"path": model.path, "sha256": model.audit.sha256 if model.audit else ""}
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", {"name": name, "value": printable(value) or "unknown"})
    for check in model.checks:
        suite.append(_case(model, check))
    if model.error:
        case = _empty_case(model, "can be read")
        _complaint(case, "error", "unreadable", model.error)
        suite.append(case)
    told = [f"{item.name}: {item.words}" for item in model.differences] + list(model.notes)
    ElementTree.SubElement(suite, "system-out").text = "\n".join(map(printable, told))
    ElementTree.SubElement(suite, "system-err").text = ""
    return suite


def _case(model: ModelGate, check: Check) -> ElementTree.Element:
    case = _empty_case(
        model, f"{check.title} {'<=' if check.best == 'least' else '>='} {show(check.limit, check.unit)}"
    )
    if not check.passed:
        _complaint(case, "failure", check.kind, sentence(model, check))
    return case


def _empty_case(model: ModelGate, name: str) -> ElementTree.Element:
    said = {"name": printable(name), "classname": f"edgeasc.{printable(model.name)}", "time": "0"}
    return ElementTree.Element("testcase", said)


def _complaint(case: ElementTree.Element, tag: str, kind: str, words: str) -> None:
    ElementTree.SubElement(case, tag, {"type": kind, "message": printable(words)}).text = printable(words)


def _stamp() -> str:
    """Now in UTC, without a zone as the schema wants it."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
