"""ComParE 2021 PRS, calls of primates: `lab/{train,devel,test}.csv` (filename, label) and the files in `wav/`.

Selection is by `devel`. The organisers keep the labels of the test clips: these are read as unlabelled, there for
`edgeasc predict` and left out of every score (B. W. Schuller et al.: The INTERSPEECH 2021 Computational
Paralinguistics Challenge, and J. A. Zwerts et al., arXiv 2101.10390).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeasc.data.clips import UNLABELLED, Clip, Role
from edgeasc.data.table import Row, no_duplicates, rows
from edgeasc.specs import nearest

COLUMNS = ("filename", "label")
LISTS: dict[str, Role] = {"train": "train", "devel": "validation", "test": "test"}
UNKNOWN = "?"
LABELS = ("background", "chimpanzee", "guenon", "mandrill", "redcap")
# How the lists and the papers spell the classes.
SPELLINGS = {
    "chimpanze": "chimpanzee",
    "geunon": "guenon",
    "mandrille": "mandrill",
    "red-capped mangabey": "redcap",
    "redcapped mangabey": "redcap",
    "mangabey": "redcap",
}


def is_primates(folder: Path) -> bool:
    """Whether the training and development lists and the folder of recordings are there."""
    return all((folder / "lab" / f"{name}.csv").is_file() for name in ("train", "devel")) and (folder / "wav").is_dir()


def read_primates(folder: Path) -> tuple[list[Clip], list[Clip], list[str], list[str]]:
    """Clips with a label, clips without, class names, and notes.

    Raises:
        BadInput: a list or one of its rows is wrong, names a missing clip or one that another list has; the message
            names the line.
    """
    found = [(row, role) for name, role in LISTS.items() for row in _listed(folder / "lab" / f"{name}.csv", role)]
    clips = [_clip(row, role, folder / "wav") for row, role in found]
    no_duplicates(clips, [row for row, _ in found])
    known = [clip for clip in clips if clip.label != UNLABELLED]
    unknown = [clip for clip in clips if clip.label == UNLABELLED]
    notes = [f"clips without a label, to be predicted and never scored: {len(unknown)}"] if unknown else []
    if not any(role == "test" for _, role in found):
        notes.append("lab/test.csv is not there: scores are those of the development clips")
    return known, unknown, list(LABELS), notes


def _listed(table: Path, role: Role) -> Iterator[Row]:
    """The rows of a list; that of the test clips may be missing."""
    if role != "test" or table.is_file():
        yield from rows(table, COLUMNS)


def _clip(row: Row, role: Role, audio: Path) -> Clip:
    name = row.text("filename")
    return Clip(id=name, label=_label(row, role), group=name, role=role, path=row.file("filename", audio))


def _label(row: Row, role: Role) -> int:
    value = row.text("label")
    if value == UNKNOWN and role == "test":
        return UNLABELLED
    word = " ".join(value.lower().split()).removesuffix("s")
    word = SPELLINGS.get(word, word)
    if word not in LABELS:
        raise row.fault(f"label {value!r} is no class of the challenge{nearest(word, list(LABELS))}")
    return LABELS.index(word)
