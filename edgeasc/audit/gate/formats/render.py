"""One report in any of its formats."""

from __future__ import annotations

import json
from pathlib import Path

from edgeasc.audit.gate.document import GateReport
from edgeasc.audit.gate.formats.blocks import check_blocks, check_markdown
from edgeasc.errors import UsageError
from edgeasc.specs import nearest
from edgeasc.tables import as_text

FORMATS = ("text", "json", "markdown", "junit", "github", "sarif")


def render(report: GateReport, form: str, root: Path) -> str:
    """`report` as text in the format `form`; paths for platforms are told from `root`.

    Raises:
        UsageError: no such format.
    """
    if form not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError("format", f"unknown format {form!r}{nearest(form, list(FORMATS))}; known: {known}")
    match form:
        case "json":
            return json.dumps(report.to_json(), indent=1, allow_nan=False) + "\n"
        case "markdown":
            return check_markdown(report)
        case "junit":
            from edgeasc.audit.gate.formats.junit import junit

            return junit(report)
        case "github":
            from edgeasc.audit.gate.formats.github import annotation_lines, without_commands

            return "\n".join([*annotation_lines(report, root), without_commands(as_text(check_blocks(report)))])
        case "sarif":
            from edgeasc.audit.gate.formats.sarif import sarif

            return json.dumps(sarif(report, root), indent=1) + "\n"
        case _:
            return as_text(check_blocks(report))
