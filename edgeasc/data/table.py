"""A CSV file read row by row, every fault named with file and line, and lists of names line by line.

What the columns mean is said by those who read: `manifest`, `urbansound8k`, `primates`, `speech_commands`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeasc.data.clips import Clip
from edgeasc.errors import BadInput
from edgeasc.files import read_bytes
from edgeasc.specs import nearest


@dataclass(frozen=True)
class Row:
    """One row of a table: its cells by column name, and where it stands."""

    cells: dict[str, str]
    table: Path
    line: int

    def fault(self, why: str) -> BadInput:
        """The error that names this row."""
        return BadInput("table", f"line {self.line}: {why}", self.table)

    def text(self, column: str) -> str:
        """A cell that must hold printable text."""
        value = self.cells[column]
        if not value:
            raise self.fault(f"column {column!r} is empty")
        if not value.isprintable() or len(value) > 1000:
            raise self.fault(f"column {column!r} holds control characters or more than 1000 characters")
        return value

    def option(self, column: str) -> str | None:
        """A cell that may be absent or empty."""
        return self.text(column) if self.cells.get(column) else None

    def number(self, column: str) -> int:
        """A cell that must hold an integer from 0 to 9999."""
        value = self.text(column)
        if not (value.isascii() and value.isdigit() and len(value) <= 4):
            raise self.fault(f"column {column!r} is {value!r}, expected an integer from 0 to 9999")
        return int(value)

    def file(self, column: str, folder: Path) -> Path:
        """The audio file that a cell names, inside `folder`."""
        name = self.text(column)
        try:
            return file_within(folder, name)
        except BadInput as error:
            raise self.fault(f"{name!r} {error.why}") from None


@dataclass(frozen=True)
class Line:
    """One line of a list of names."""

    text: str
    table: Path
    number: int

    def fault(self, why: str) -> BadInput:
        """The error that names this line."""
        return BadInput("list", f"line {self.number}: {why}", self.table)


def file_within(folder: Path, name: str) -> Path:
    """The regular file `name` below `folder`; links out of the folder count as outside.

    Raises:
        BadInput: an absolute path, a path that leaves the folder, or no such file.
    """
    path = folder / name
    try:
        if Path(name).is_absolute() or not path.resolve().is_relative_to(folder.resolve()):
            raise BadInput("path", "leaves the folder of the data set", folder)
        if not path.is_file():
            raise BadInput("path", "is not a file" if path.exists() else "does not exist", folder)
    except (OSError, ValueError, RuntimeError) as error:  # a name too long, a NUL byte, a loop of links
        raise BadInput("path", f"cannot be looked up ({error.__class__.__name__})", folder) from error
    return path


def lines(table: Path) -> Iterator[Line]:
    """The lines of a list of names, stripped, empty ones left out.

    Raises:
        BadInput: unreadable, not UTF-8, or a line of control characters or more than 1000 characters.
    """
    for number, text in enumerate(_text(table).splitlines(), start=1):
        line = Line(text.strip(), table, number)
        if not line.text.isprintable() or len(line.text) > 1000:
            raise line.fault("control characters or more than 1000 characters")
        if line.text:
            yield line


def header(table: Path) -> list[str]:
    """Column names of `table`. Raises: BadInput."""
    return next(iter(_records(table)))[1]


def inside(folder: Path, name: str) -> Path:
    """The file `name` that was found in `folder`, refused by its path when it is a link that leads out."""
    try:
        return file_within(folder, name)
    except BadInput as error:
        raise BadInput("data set", error.why, folder / name) from None


def rows(table: Path, required: tuple[str, ...]) -> Iterator[Row]:
    """The rows of `table` below its header, blank lines left out."""
    records = iter(_records(table))
    _, columns = next(records)
    for column in required:
        if column not in columns:
            raise BadInput("table", f"line 1: no column {column!r}{nearest(column, columns)}", table)
    if len(set(columns)) != len(columns):
        raise BadInput("table", "line 1: a column name appears twice", table)
    seen = False
    for line, cells in records:
        if not any(cells):
            continue
        seen = True
        if len(cells) != len(columns):
            raise BadInput("table", f"line {line}: {len(cells)} cells, the header has {len(columns)}", table)
        yield Row(dict(zip(columns, cells, strict=True)), table, line)
    if not seen:
        raise BadInput("table", "has no row", table)


def _records(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of every record; the header comes first."""
    reader = csv.reader(io.StringIO(_text(table), newline=""), strict=True)
    line = 0
    try:
        for cells in reader:
            line = reader.line_num
            yield line, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise BadInput("table", f"line {reader.line_num}: {error}", table) from error
    if line == 0:
        raise BadInput("table", "empty file", table)


def _text(table: Path) -> str:
    try:
        return read_bytes(table, "table").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("table", f"not UTF-8 text (byte {error.start})", table) from error


def no_duplicates(clips: list[Clip], listed: list[Row]) -> None:
    """Refuse a file that is listed twice, also under two spellings."""
    first: dict[Path, Row] = {}
    for clip, row in zip(clips, listed, strict=True):
        assert clip.path is not None
        before = first.setdefault(clip.path.resolve(), row)
        if before is not row:
            where = f" of {before.table.name}" if before.table != row.table else ""
            raise row.fault(f"{clip.id!r} is listed already on line {before.line}{where}")


def columns_not_used(listed: list[Row], known: tuple[str, ...]) -> list[str]:
    """A note on the columns that nobody reads, or nothing."""
    unknown = [column for column in listed[0].cells if column not in known]
    return [f"columns not used: {', '.join(unknown)}"] if unknown else []
