"""UrbanSound8K as its authors distribute it: `metadata/UrbanSound8K.csv` and `audio/fold1` to `audio/fold10`.

The ten folds are official and never drawn anew: slices of one field recording lie in one fold, and results on
reshuffled slices are too good (J. Salamon, C. Jacoby, J. P. Bello: A Dataset and Taxonomy for Urban Sound Research,
ACM Multimedia 2014, and the data set's own page).
"""

from __future__ import annotations

from pathlib import Path

from edgeasc.data.clips import Clip
from edgeasc.data.table import Row, no_duplicates, rows
from edgeasc.errors import BadInput

TABLE = Path("metadata") / "UrbanSound8K.csv"
COLUMNS = ("slice_file_name", "fsID", "fold", "classID", "class")
FOLDS = 10


def is_urbansound8k(folder: Path) -> bool:
    """Whether the data set's table lies where its authors put it."""
    return (folder / TABLE).is_file() and (folder / "audio").is_dir()


def read_urbansound8k(folder: Path) -> tuple[list[Clip], list[str]]:
    """Clips and class names (in the order of `classID`); the group of a slice is its field recording, `fsID`.

    Raises:
        BadInput: the table or one of its rows is wrong, or names a missing slice; the message names the line.
    """
    listed = list(rows(folder / TABLE, COLUMNS))
    names = _class_names(listed, folder / TABLE)
    order = sorted(names)
    clips = [_clip(row, folder / "audio", order) for row in listed]
    no_duplicates(clips, listed)
    return clips, [names[number] for number in order]


def _clip(row: Row, audio: Path, order: list[int]) -> Clip:
    fold = row.number("fold")
    if not 1 <= fold <= FOLDS:
        raise row.fault(f"fold {fold}; there are folds 1 to {FOLDS}")
    name = row.text("slice_file_name")
    path = row.file("slice_file_name", audio / f"fold{fold}")
    return Clip(
        id=f"fold{fold}/{name}", label=order.index(row.number("classID")), fold=fold, group=row.text("fsID"), path=path
    )


def _class_names(listed: list[Row], table: Path) -> dict[int, str]:
    """Class name by number, one for one."""
    names: dict[int, str] = {}
    for row in listed:
        name = names.setdefault(row.number("classID"), row.text("class"))
        if name != row.text("class"):
            raise row.fault(f"classID {row.cells['classID']} is {row.cells['class']!r} here, {name!r} above")
    if len(set(names.values())) != len(names):
        raise BadInput("table", "one class has two numbers", table)
    return names
