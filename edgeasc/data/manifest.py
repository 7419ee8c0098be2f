"""Two tables of recordings that have no module of their own.

The manifest: path, label, optional device, city, fold, group, role; paths relative to the folder of the table. The
table of the ESC-50 layout: filename, fold, target, category, optional esc10; files in `audio/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from edgeasc.data.clips import Clip, Role
from edgeasc.data.table import Row, columns_not_used, header, no_duplicates, rows
from edgeasc.errors import BadInput

MANIFEST_COLUMNS = ("path", "label")
MANIFEST_OPTIONS = ("device", "city", "fold", "group", "role")
ESC50_COLUMNS = ("filename", "fold", "target", "category")


def read_manifest(table: Path) -> tuple[list[Clip], list[str], list[str]]:
    """Clips, class names (sorted) and notes of a CSV manifest.

    Raises:
        BadInput: the table or one of its rows is wrong; the message names the line.
    """
    listed = list(rows(table, MANIFEST_COLUMNS))
    _all_or_none(listed, "role")
    labels = sorted({row.text("label") for row in listed})
    clips = []
    for row in listed:
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
                role=_role(row),
                path=path,
            )
        )
    no_duplicates(clips, listed)
    return clips, labels, columns_not_used(listed, MANIFEST_COLUMNS + MANIFEST_OPTIONS)


def read_esc50(table: Path, audio: Path, subset: str = "") -> tuple[list[Clip], list[str]]:
    """Clips and class names (in the order of `target`) of an ESC-50 table.

    The group of a clip is the second field of its name, the recording it was cut from. With a `subset`, only the
    clips for which the column of that name (`esc10`) says True.

    Raises:
        BadInput: the table or one of its rows is wrong; the message names the line.
    """
    listed = _subset(list(rows(table, ESC50_COLUMNS)), subset)
    names: dict[int, str] = {}
    for row in listed:
        category = names.setdefault(row.number("target"), row.text("category"))
        if category != row.text("category"):
            raise row.fault(f"target {row.cells['target']} is {row.cells['category']!r} here, {category!r} above")
    order = sorted(names)
    if len(set(names.values())) != len(names):
        raise BadInput("table", "one category has two targets", table)
    clips = []
    for row in listed:
        name = row.text("filename")
        fields = name.split("-")
        if len(fields) < 2 or not fields[1]:
            raise row.fault(f"{name!r} is not of the form fold-recording-take-target")
        path, label = row.file("filename", audio), order.index(row.number("target"))
        clips.append(Clip(id=name, label=label, fold=row.number("fold"), group=fields[1], path=path))
    no_duplicates(clips, listed)
    return clips, [names[target] for target in order]


def subset_of(table: Path, subset: str) -> bool:
    """Whether the column `subset` of an ESC-50 table picks some clips and leaves others out."""
    if subset not in header(table):
        return False
    return len({row.cells[subset] for row in rows(table, ESC50_COLUMNS)}) > 1


def _subset(listed: list[Row], subset: str) -> list[Row]:
    """The rows that belong to `subset`."""
    if not subset:
        return listed
    table = listed[0].table
    if subset not in listed[0].cells:
        raise BadInput("table", f"line 1: no column {subset!r} to choose clips by", table)
    for row in listed:
        if row.text(subset) not in ("True", "False"):
            raise row.fault(f"column {subset!r} is {row.cells[subset]!r}, expected True or False")
    chosen = [row for row in listed if row.cells[subset] == "True"]
    if not chosen:
        raise BadInput("table", f"no clip belongs to {subset!r}", table)
    return chosen


def _role(row: Row) -> Role | None:
    """What a row says that its clip is for."""
    value = row.option("role")
    for role in get_args(Role):
        if value == role:
            return cast(Role, role)
    if value is not None:
        raise row.fault(f"role {value!r} is none of {', '.join(get_args(Role))}")
    return None


def _all_or_none(listed: list[Row], column: str) -> None:
    """Refuse a column that only some rows fill in."""
    filled = [bool(row.cells.get(column)) for row in listed]
    if any(filled) and not all(filled):
        raise listed[filled.index(False)].fault(f"column {column!r} is empty, other rows have it")
