"""A gate's report as paragraphs and tables, for text, Markdown and a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from edgeasc.audit.gate.document import Check, Difference, GateReport, ModelGate
from edgeasc.audit.gate.formats.words import sentence, verdict, worth_telling
from edgeasc.audit.gate.quantities import show, show_change
from edgeasc.audit.gate.verdict import allowed_words, found_words
from edgeasc.tables import Block, Table, as_markdown, printable

_VERDICTS = {"pass": "pass", "tight": "pass (tight)", "fail": "FAIL", "unknown": "FAIL"}
SUMMARY_BYTES = 900_000  # GitHub refuses a step summary above 1 MiB


def check_blocks(report: GateReport) -> list[Block]:
    """Every model with its limits and differences, then what fails, in sentences."""
    blocks: list[Block] = [block for model in report.models for block in _model_blocks(model)]
    if len(report.models) > 1:
        blocks.append(_summary(report))
    return [*blocks, _foot(report)]


def check_markdown(report: GateReport) -> str:
    """The same for a pull request, the verdict first."""
    title = f"### edgeasc check: {'pass' if report.passed else 'FAIL'}\n\n"
    text = title + as_markdown([_foot(report), *check_blocks(report)[:-1]])
    if len(text.encode()) > SUMMARY_BYTES:
        kept = text.encode()[:SUMMARY_BYTES].decode(errors="ignore").rpartition("\n")[0]
        return f"{kept}\n\nThe rest is left out: the report is longer than a step summary may be.\n"
    return text


def _model_blocks(model: ModelGate) -> Iterable[Block]:
    digest = f"   sha256 {model.audit.sha256[:12]}" if model.audit else ""
    name = "" if model.name == model.path else f"   {printable(model.path)}"
    yield f"Model     {printable(model.name)}{name}{digest}"
    if model.checks:
        yield Table(("limit", ">allowed", ">found", ">left", "verdict"), [_check_row(check) for check in model.checks])
    if model.differences:
        rows = [_difference_row(item) for item in model.differences]
        yield Table(("since the baseline", ">before", ">now", "change"), rows)
    lines = [f"Error     {printable(model.error)}"] if model.error else []
    if model.known and model.audit and not model.differences:
        lines.append("Baseline  nothing changed")
    lines += [f"Note      {printable(note)}" for note in model.notes]
    if lines:
        yield "\n".join(lines)


def _check_row(check: Check) -> tuple[str, ...]:
    if check.value is None:
        left = ""
    elif check.unit == "share":
        left = f"{show_change(check.value - check.limit, check.unit)}"
    elif check.passed:
        left = "" if check.left is None else f"{100 * check.left:.1f} %"
    else:
        left = f"{show_change(check.value - check.limit, check.unit)[1:]} over" if check.unit != "misses" else ""
    return (check.title, allowed_words(check), found_words(check), left, _VERDICTS[check.status])


def _difference_row(item: Difference) -> tuple[str, ...]:
    return (item.name, show(item.before, item.unit), show(item.after, item.unit), item.words)


def _summary(report: GateReport) -> Table:
    rows = []
    for model in report.models:
        change = next((item for item in model.differences if item.name == "file"), None)
        size = f"{model.audit.file_bytes:,} B" if model.audit else ""
        since = show_change(change.change, change.unit) if change else "" if not model.known else "0 B"
        rows.append((model.name, size, since, str(len(model.checks)), "pass" if model.passed else "FAIL"))
    return Table(("model", ">file", ">since the baseline", ">limits", "verdict"), rows, "Together")


def _foot(report: GateReport) -> str:
    lines = [f"Note      {printable(note)}" for note in report.notes]
    for model in report.models:
        for check in worth_telling(model):
            mark = "Tight     " if check.passed else "Broken    "
            lines.append(f"{mark}{printable(model.name)}: {sentence(model, check)}")
        if model.error:
            lines.append(f"Broken    {printable(model.name)}: {printable(model.error)}")
    return "\n".join([*lines, f"Verdict   {printable(verdict(report))}"])
