"""A verdict in one sentence, the same in every format."""

from __future__ import annotations

from edgeasc.audit.gate.document import Check, Difference, GateReport, ModelGate
from edgeasc.audit.gate.quantities import show, show_change
from edgeasc.tables import printable


def sentence(model: ModelGate, check: Check) -> str:
    """What a failed or tight check means, with the layer that is to blame where the baseline tells."""
    name = check.title
    if check.value is None:
        return printable(f"{name} is not known: {check.why}")
    found, limit = show(check.value, check.unit), show(check.limit, check.unit)
    if check.unit == "misses":
        return printable(f"{name}: {check.detail}" if not check.passed else f"{name} holds")
    if check.passed:
        return printable(f"{name} {found} {_tight(check)} its limit, {limit}{_of(check)}")
    over = show_change(check.value - check.limit, check.unit)[1:]
    side = "over" if check.best == "least" else "under"
    mark = "what the baseline allows" if check.kind == "ratchet" else "its limit"
    text = f"{name} {found} is {over} {side} {mark}, {limit}{_of(check)}"
    change = difference_of(model, check.name)
    if change is not None and change.worse:
        text += f": {change.words} since the baseline"
    return printable(text)


def _tight(check: Check) -> str:
    """How close it is."""
    if check.best == "most":
        return "may by chance alone lie above"
    if check.origin == "estimated" and (check.left or 0.0) > 0.0:
        return "may by the error of the estimate lie below"
    return f"leaves {100 * (check.left or 0.0):.1f} % of"


def _of(check: Check) -> str:
    """What an evaluated, measured or estimated number rests on."""
    return f" ({check.origin}: {check.detail})" if check.origin != "counted" and check.detail else ""


def worth_telling(model: ModelGate) -> list[Check]:
    """Checks that need a sentence: broken and tight ones, a number once however many limits it breaks."""
    told: dict[str, Check] = {}
    for check in model.checks:
        if check.status != "pass" and (check.name not in told or told[check.name].passed):
            told[check.name] = check
    return list(told.values())


def difference_of(model: ModelGate, name: str) -> Difference | None:
    """How the number called `name` changed."""
    return next((item for item in model.differences if item.name == name), None)


def verdict(report: GateReport) -> str:
    """The whole report in a line."""
    failed = [model.name for model in report.models if not model.passed]
    count = len(report.models)
    if not failed:
        limits = sum(len(model.checks) for model in report.models)
        tight = sum(check.status == "tight" for model in report.models for check in model.checks)
        words = f"pass: {count} model{'s' if count != 1 else ''}, {limits} limits" + (
            f", {tight} tight" if tight else ""
        )
        return words
    return f"FAIL: {len(failed)} of {count} model{'s' if count != 1 else ''}: {', '.join(failed)}"
