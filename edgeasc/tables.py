"""Reports as data: paragraphs and tables, and their plain text and Markdown forms.

A room says what a report contains; how it looks is decided here, or by rich on a terminal (`cli.terminal`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings. A heading that starts with `>` is right-aligned (numbers)."""

    headings: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    title: str = ""

    @property
    def names(self) -> list[str]:
        """The headings without their alignment marks."""
        return [heading.removeprefix(">") for heading in self.headings]

    @property
    def right(self) -> list[bool]:
        """Whether each column is right-aligned."""
        return [heading.startswith(">") for heading in self.headings]


Block = str | Table


def printable(text: str) -> str:
    """`text` on one line, without characters that could move a terminal's cursor or hide what follows."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def as_text(blocks: Iterable[Block]) -> str:
    """Aligned plain text, one empty line between blocks."""
    return "\n\n".join(_table_text(block) if isinstance(block, Table) else block for block in blocks) + "\n"


def as_markdown(blocks: Iterable[Block]) -> str:
    """GitHub-flavoured Markdown; the lines of a paragraph stay lines."""
    return "\n\n".join(_table_markdown(block) if isinstance(block, Table) else _prose(block) for block in blocks) + "\n"


def _table_text(table: Table) -> str:
    cells = [[printable(cell) for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(table.names, *cells, strict=True)]
    lines = [table.title] if table.title else []
    for row in (table.names, *cells):
        parts = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, table.right, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _table_markdown(table: Table) -> str:
    lines = [f"**{_escaped(table.title)}**", ""] if table.title else []
    lines.append(_row(table.names))
    lines.append("|" + "|".join("---:" if right else "---" for right in table.right) + "|")
    lines += [_row(row) for row in table.rows]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _prose(text: str) -> str:
    return "  \n".join(_escaped(line) for line in text.splitlines())


def _escaped(text: str) -> str:
    """Names come from files of strangers: nothing in them may become markup."""
    result = printable(text)
    for char in "\\`*_[]<>|":
        result = result.replace(char, {"<": "&lt;", ">": "&gt;"}.get(char, f"\\{char}"))
    return result
