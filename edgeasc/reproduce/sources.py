"""Which of the folders given holds which of the data sets that a table needs, and how far it is the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeasc.data.clips import Dataset
from edgeasc.data.layouts import open_dataset
from edgeasc.errors import BadInput
from edgeasc.reproduce.tables import PaperTable, Recordings


@dataclass(frozen=True)
class Found:
    """Recordings for one data set of a table.

    Attributes:
        wanted: what the paper used.
        remarks: how these differ from it, in words; empty: by every count they are the same.
        comparable: whether figures may be read beside the printed ones.
    """

    wanted: Recordings
    dataset: Dataset
    remarks: tuple[str, ...]
    comparable: bool


def find_recordings(name: str, table: PaperTable, folders: Sequence[Path], stand_in: bool) -> dict[str, Found]:
    """Recordings by the key of the data set they serve as.

    A folder serves as the data set whose layout and number of classes it has. With `stand_in` what is left over serves
    in the place of what is missing, in the order of both.

    Raises:
        BadInput: no folder, or one that is none of the data sets; where to get them is said.
    """
    if not folders:
        raise BadInput("reproduce", f"{name} needs recordings: {_wanted(table)}; give --data DIR")
    found: dict[str, Found] = {}
    others: list[tuple[Path, Dataset]] = []
    for folder in folders:
        dataset = open_dataset(folder)
        match = next((one for one in table.recordings if _is(dataset, one) and one.key not in found), None)
        if match is None:
            others.append((folder, dataset))
        else:
            found[match.key] = _compared(match, dataset)
    for folder, dataset in others:
        missing = next((one for one in table.recordings if one.key not in found), None)
        if missing is None or not stand_in:
            raise BadInput("reproduce", _refusal(dataset, table, stand_in), folder)
        why = f"{dataset.name} ({len(dataset.labels)} classes, {len(dataset.clips)} clips) in the place of"
        found[missing.key] = Found(missing, dataset, (f"{why} {missing.title}: not comparable",), comparable=False)
    return found


def _is(dataset: Dataset, wanted: Recordings) -> bool:
    return dataset.layout == wanted.layout and len(dataset.labels) == wanted.classes


def _compared(wanted: Recordings, dataset: Dataset) -> Found:
    """The data set itself, with what it lacks."""
    remarks = []
    if len(dataset.clips) != wanted.clips:
        remarks.append(f"{len(dataset.clips):,} clips with a label; {wanted.title} has {wanted.clips:,}")
    if wanted.folds and dataset.folds != tuple(range(1, wanted.folds + 1)):
        remarks.append(f"folds {', '.join(map(str, dataset.folds))}; {wanted.title} has 1 to {wanted.folds}")
    return Found(wanted, dataset, tuple(remarks), comparable=not remarks)


def _refusal(dataset: Dataset, table: PaperTable, stand_in: bool) -> str:
    """Why a folder is of no use here."""
    what = f"{len(dataset.labels)} classes" + (f" in the layout of {dataset.layout}" if dataset.layout else "")
    if stand_in:
        return f"one folder more than the table has data sets ({what})"
    return f"not the paper's recordings ({what}): {_wanted(table)}; --stand-in runs the rows on these all the same"


def _wanted(table: PaperTable) -> str:
    """The data sets of a table, where to get them and how they lie on disk."""
    return " or ".join(f"{one.title} ({one.get}; {one.files})" for one in table.recordings)
