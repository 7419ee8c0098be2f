"""`edgeasc explain`."""

from __future__ import annotations

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.terminal import format_option, show


@click.command("explain", cls=Verb)
@click.argument("code", required=False)
@format_option
def command(code: str | None, form: str, quiet: bool) -> None:
    """Explain a finding of the audit: what it means, what it costs, how it is cured. Without CODE: list all.

    \b
      edgeasc explain
      edgeasc explain W102
    """
    from edgeasc.audit.findings import explain, explanations
    from edgeasc.audit.target_report import explanation_blocks, explanation_listing

    entries = [explain(code)] if code else list(explanations().values())
    blocks = explanation_blocks(entries[0]) if code else [explanation_listing(entries)]
    rows = [{**entry.model_dump(mode="json"), "severity": entry.severity} for entry in entries]
    show(blocks, {"schema": 1, "findings": rows}, form)
