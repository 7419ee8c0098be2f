"""The catalogue of findings, as data: `audit/findings.toml` says what each means, costs, and how it is cured."""

from __future__ import annotations

from functools import cache
from importlib import resources

from edgeasc.audit.target_document import Finding, Severity
from edgeasc.errors import UsageError
from edgeasc.specs import Spec, nearest, parse_spec, read_toml

SEVERITY: dict[str, Severity] = {"E": "error", "W": "warning", "I": "info"}


class Explanation(Spec):
    """One entry of the catalogue."""

    code: str
    title: str
    means: str
    cost: str
    cure: str
    source: str

    @property
    def severity(self) -> Severity:
        """How bad it is, by the first letter of the code."""
        return SEVERITY[self.code[0]]


@cache
def explanations() -> dict[str, Explanation]:
    """The whole catalogue by code, errors first."""
    with resources.as_file(resources.files("edgeasc.audit") / "findings.toml") as path:
        document = read_toml(path, "findings")
    entries = [parse_spec(Explanation, {"code": code, **entry}, what="findings") for code, entry in document.items()]
    return {entry.code: entry for entry in sorted(entries, key=lambda entry: ("EWI".index(entry.code[0]), entry.code))}


def explain(code: str) -> Explanation:
    """The entry of `code`, in any case.

    Raises:
        UsageError: no such code; the nearest is named.
    """
    known = explanations()
    if code.upper() not in known:
        raise UsageError("explain", f"unknown finding {code!r}{nearest(code.upper(), list(known))}")
    return known[code.upper()]


def finding(code: str, layer: str, message: str, cost: str = "") -> Finding:
    """A finding at `layer`; without a `cost` of its own it has the catalogue's."""
    entry = explanations()[code]
    return Finding(code, entry.severity, layer, message, cost or entry.cost, entry.cure)
