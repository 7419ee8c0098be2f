"""`edgeasc doctor`."""

from __future__ import annotations

from typing import Any

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.terminal import format_option, note, show
from edgeasc.tables import Block, Table


@click.command("doctor", cls=Verb, short_help="Say what is installed here, and try it.")
@click.option("--imports/--no-imports", default=True, help="Import the large packages too, some seconds (default).")
@format_option
def command(imports: bool, form: str, quiet: bool) -> int:
    """List packages, runtimes, converters and tools, and send a small network through every one of them.

    What is absent is named with its install command. Exit code 1 when something that is installed does not work.

    \b
      edgeasc doctor
      edgeasc doctor --format json > doctor.json
    """
    from edgeasc.export.doctor import doctor

    note("trying every package, converter and runtime that is here ...", quiet)
    document = doctor(imports)
    show(_blocks(document), document, form)
    return 0 if document["passed"] else 1


def _blocks(document: dict[str, Any]) -> list[Block]:
    packages = [(row["name"], row["purpose"], row["version"] or "", _state(row)) for row in document["packages"]]
    runtimes = [(row["name"], row["by"], _state(row)) for row in document["runtimes"]]
    converters = [(row["name"], _state(row)) for row in document["converters"]]
    tools = [(row["name"], row["purpose"], row["version"] or "", _state(row)) for row in document["tools"]]
    return [
        f"edgeasc {document['edgeasc']}, Python {document['python']}, {document['platform']}",
        Table(("package", "for", "version", "state"), packages),
        Table(("runtime", "by", "state"), runtimes),
        Table(("TFLite converter", "state"), converters),
        Table(("tool", "for", "version", "state"), tools),
        "Verdict   " + ("pass: what is here works" if document["passed"] else "FAIL: something here does not work"),
    ]


def _state(row: dict[str, Any]) -> str:
    if not row["installed"]:
        return f"absent: {row['install']}"
    works = row.get("works")
    return "here" if works is None else "works" if works else f"FAIL: {row['why']}"
