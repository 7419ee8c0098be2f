"""Tables of recordings: a CSV file read row by row, every fault named with file and line.

Two tables are known: the manifest (path, label, optional device, city, fold, group; paths relative to the folder of
the table) and the table of the ESC-50 layout (filename, fold, target, category; files in `audio/`).
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

MANIFEST_COLUMNS = ("path", "label")
MANIFEST_OPTIONS = ("device", "city", "fold", "group")
ESC50_COLUMNS = ("filename", "fold", "target", "category")


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


def read_manifest(table: Path) -> tuple[list[Clip], list[str], list[str]]:
    """Clips, class names (sorted) and notes of a CSV manifest.

    Raises:
        BadInput: the table or one of its rows is wrong; the message names the line.
    """
    rows = list(_rows(table, MANIFEST_COLUMNS))
    labels = sorted({row.text("label") for row in rows})
    clips = []
    for row in rows:
        path = row.file("path", table.parent)
        name = Path(row.text("path")).as_posix()
        fold = row.number("fold") if row.cells.get("fold") else None
        clips.append(
            Clip(
                id=name,
                label=labels.index(row.text("label")),
                device=row.option("device"),
                city=row.option("city"),
                fold=fold,
                group=row.option("group") or name,
                path=path,
            )
        )
    _no_duplicates(clips, rows)
    return clips, labels, _ignored(rows, MANIFEST_COLUMNS + MANIFEST_OPTIONS)


def read_esc50(table: Path, audio: Path) -> tuple[list[Clip], list[str]]:
    """Clips and class names (in the order of `target`) of an ESC-50 table.

    The group of a clip is the second field of its name, the recording it was cut from.

    Raises:
        BadInput: the table or one of its rows is wrong; the message names the line.
    """
    rows = list(_rows(table, ESC50_COLUMNS))
    names: dict[int, str] = {}
    for row in rows:
        category = names.setdefault(row.number("target"), row.text("category"))
        if category != row.text("category"):
            raise row.fault(f"target {row.cells['target']} is {row.cells['category']!r} here, {category!r} above")
    order = sorted(names)
    if len(set(names.values())) != len(names):
        raise BadInput("table", "one category has two targets", table)
    clips = []
    for row in rows:
        name = row.text("filename")
        fields = name.split("-")
        if len(fields) < 2 or not fields[1]:
            raise row.fault(f"{name!r} is not of the form fold-recording-take-target")
        path, label = row.file("filename", audio), order.index(row.number("target"))
        clips.append(Clip(id=name, label=label, fold=row.number("fold"), group=fields[1], path=path))
    _no_duplicates(clips, rows)
    return clips, [names[target] for target in order]


def header(table: Path) -> list[str]:
    """Column names of `table`. Raises: BadInput."""
    return next(iter(_records(table)))[1]


def _rows(table: Path, required: tuple[str, ...]) -> Iterator[Row]:
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
    try:
        text = read_bytes(table, "table").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("table", f"not UTF-8 text (byte {error.start})", table) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 0
    try:
        for cells in reader:
            line = reader.line_num
            yield line, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise BadInput("table", f"line {reader.line_num}: {error}", table) from error
    if line == 0:
        raise BadInput("table", "empty file", table)


def _no_duplicates(clips: list[Clip], rows: list[Row]) -> None:
    """Refuse a file that is listed twice, also under two spellings."""
    first: dict[Path, Row] = {}
    for clip, row in zip(clips, rows, strict=True):
        assert clip.path is not None
        before = first.setdefault(clip.path.resolve(), row)
        if before is not row:
            raise row.fault(f"{clip.id!r} is listed already on line {before.line}")


def _ignored(rows: list[Row], known: tuple[str, ...]) -> list[str]:
    unknown = [column for column in rows[0].cells if column not in known]
    return [f"columns not used: {', '.join(unknown)}"] if unknown else []
