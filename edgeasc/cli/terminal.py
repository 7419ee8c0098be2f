"""How results reach the reader: rich tables on a terminal, plain text elsewhere, JSON or Markdown on request."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from edgeasc.tables import Block, Table, as_markdown, as_text, printable

FORMATS = ("text", "json", "markdown")
GAP = (0, 2, 0, 0)  # above, right, below, left of a cell on a terminal


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--format` of every verb that reports."""
    choice = click.Choice(FORMATS)
    return click.option("--format", "form", type=choice, default="text", show_default=True, help="How to print.")(
        function
    )


def show(blocks: Iterable[Block], document: Any, form: str) -> None:
    """Print a report in the form asked for: `document` as JSON, or `blocks` as text or Markdown."""
    if form == "json":
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
    elif form == "markdown":
        click.echo(as_markdown(blocks), nl=False)
    elif sys.stdout.isatty():
        _show_rich(blocks)
    else:
        click.echo(as_text(blocks), nl=False)


def repository_root() -> Path:
    """Where platforms of continuous integration count paths from: the checked-out repository, or here."""
    return Path(os.environ.get("GITHUB_WORKSPACE") or ".")


def note(text: str, quiet: bool = False) -> None:
    """A remark on stderr, such as an assumed default; it never mixes with a report on stdout."""
    if not quiet:
        click.echo(text, err=True)


def assumed(values: dict[str, str], quiet: bool = False) -> None:
    """Say which defaults were taken because nothing was given."""
    if values:
        note("assumed: " + ", ".join(f"{name} {value}" for name, value in values.items()), quiet)


def _show_rich(blocks: Iterable[Block]) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    for number, block in enumerate(blocks):
        if number:
            console.print()
        if not isinstance(block, Table):
            console.print(Text(block))
            continue
        table = RichTable(title=block.title or None, title_justify="left", title_style="bold", box=None, padding=GAP)
        for name, right in zip(block.names, block.right, strict=True):
            table.add_column(name, header_style="dim", justify="right" if right else "left", overflow="fold")
        for row in block.rows:
            style = "bold red" if "FAIL" in row else None
            table.add_row(*(Text(printable(cell)) for cell in row), style=style)
        console.print(table)
