"""SARIF 2.1.0 for code scanning: one result per broken or tight limit, the layer as its logical location.

Schema: OASIS, https://docs.oasis-open.org/sarif/sarif/v2.1.0; GitHub's subset wants a file, a line and a fingerprint.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import edgeasc
from edgeasc.audit.findings import explain
from edgeasc.audit.gate.document import Check, GateReport, ModelGate
from edgeasc.audit.gate.formats.github import repository_path
from edgeasc.audit.gate.formats.words import difference_of, sentence
from edgeasc.audit.gate.quantities import quantity
from edgeasc.tables import printable

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
UNREADABLE = "unreadable"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(report: GateReport, root: Path) -> dict[str, Any]:
    """The document; paths from `root`, the checked-out repository."""
    results, rules = [], dict[str, dict[str, Any]]()
    for model in report.models:
        uri = quote(repository_path(model.place, root))
        if model.error:
            rules.setdefault(UNREADABLE, _rule(UNREADABLE, "artefacts that cannot be read or counted"))
            results.append(_result(UNREADABLE, "error", model, uri, model.error, UNREADABLE))
        for check in model.checks:
            if check.status != "pass":
                rule = _rule_id(check)
                rules.setdefault(rule, _rule(rule, _about(check)))
                level = "warning" if check.passed else "error"
                results.append(
                    _result(rule, level, model, uri, sentence(model, check), check.name, _layers(model, check))
                )
        forbidden = {check.name for check in model.checks if check.kind == "finding"}
        for item in model.audit.findings if model.audit else ():
            if item.code not in forbidden:
                rules.setdefault(item.code, _rule(item.code, _finding_words(item.code)))
                words = f"{item.message}; costs {item.cost}; cure: {item.cure}"
                layers = (item.layer,) if item.layer else ()
                level = _LEVELS[item.severity]
                results.append(_result(item.code, level, model, uri, words, f"{item.code} {item.layer}", layers))
    order = list(rules)
    for result in results:
        result["ruleIndex"] = order.index(result["ruleId"])
    driver = {
        "name": "edgeasc check",
        "version": edgeasc.__version__,
        "semanticVersion": edgeasc.__version__,
        "rules": list(rules.values()),
    }
    run = {"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results}
    return {"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}


def _rule_id(check: Check) -> str:
    return check.name if check.kind == "finding" else f"{check.kind}/{check.name.replace(' ', '-')}"


def _about(check: Check) -> str:
    if check.kind == "finding":
        return _finding_words(check.name)
    found = quantity(check.name)
    words = found.words if found else check.name
    return f"the baseline holds: {words}" if check.kind == "ratchet" else f"a limit on: {words}"


def _finding_words(code: str) -> str:
    return f"{explain(code).title}: `edgeasc explain {code}` tells more"


def _rule(name: str, words: str) -> dict[str, Any]:
    return {
        "id": printable(name),
        "name": "".join(part.capitalize() for part in name.replace("/", "-").replace("_", "-").split("-")) or "Limit",
        "shortDescription": {"text": printable(words)},
        "fullDescription": {"text": printable(words)},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["model-budget"]},
    }


def _result(
    rule: str, level: str, model: ModelGate, uri: str, words: str, what: str, layers: tuple[str, ...] = ()
) -> dict[str, Any]:
    place: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": 1},  # of a binary file; code scanning shows nothing without one
        }
    }
    if layers:
        place["logicalLocations"] = [{"fullyQualifiedName": printable(name), "kind": "member"} for name in layers]
    return {
        "ruleId": printable(rule),
        "level": level,
        "message": {"text": printable(f"{model.name}: {words}")},
        "locations": [place],
        "partialFingerprints": {"edgeascLimit/v1": _fingerprint(model.name, rule, what)},
    }


def _layers(model: ModelGate, check: Check) -> tuple[str, ...]:
    if check.layer:
        return (check.layer,)
    change = difference_of(model, check.name)
    return tuple(layer.name for layer in change.layers[:10]) if change else ()


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()[:32]
