"""Speech Commands as its author distributes it: one folder per word, and two lists that prescribe the split.

`validation_list.txt` and `testing_list.txt` hold lines `word/file.wav`; whatever is in neither trains. Folders that
begin with an underscore hold background noise and are no word. The group of a clip is its speaker, the first field of
the file name: the lists keep speakers apart (P. Warden: Speech Commands, arXiv 1804.03209, sections 5 and 7).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgeasc.data.clips import Clip, Role
from edgeasc.data.table import Line, inside, lines
from edgeasc.errors import BadInput
from edgeasc.specs import nearest

LISTS: dict[str, Role] = {"validation_list.txt": "validation", "testing_list.txt": "test"}
SPEAKER_END = "_nohash_"


def is_speech_commands(folder: Path) -> bool:
    """Whether both lists lie at the top."""
    return all((folder / name).is_file() for name in LISTS)


def read_speech_commands(folder: Path) -> tuple[list[Clip], list[str], list[str]]:
    """Clips, words (sorted) and notes.

    Raises:
        BadInput: a list names a missing clip or one that is listed already, with its line; a word without a clip; a
            link that leads out of the folder.
    """
    places = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    words = [path for path in places if not path.name.startswith("_")]
    if not words:
        raise BadInput("data set", "no folder of a word beside the lists", folder)
    files = {f"{word.name}/{path.name}": path for word in words for path in _recordings(word)}
    roles = _roles(folder, files)
    order = {path: label for label, path in enumerate(words)}
    clips = [
        Clip(
            id=name,
            label=order[path.parent],
            group=_speaker(path),
            role=roles.get(name, "train"),
            path=inside(folder, name),
        )
        for name, path in files.items()
    ]
    aside = [path.name for path in places if path.name.startswith("_")]
    notes = [f"folders left aside, no words: {', '.join(aside)}"] if aside else []
    return clips, [path.name for path in words], notes


def _recordings(word: Path) -> list[Path]:
    found = sorted(path for path in word.iterdir() if path.suffix.lower() == ".wav" and not path.name.startswith("."))
    if not found:
        raise BadInput("data set", f"word {word.name!r} has no clip (.wav)", word)
    return found


def _roles(folder: Path, files: dict[str, Path]) -> dict[str, Role]:
    """What the lists say, by clip."""
    roles: dict[str, Role] = {}
    for name, role in LISTS.items():
        for line in lines(folder / name):
            if line.text not in files:
                raise line.fault(f"there is no clip {line.text!r}{_hint(line, files)}")
            if line.text in roles:
                raise line.fault(f"{line.text!r} is listed already, for {roles[line.text]}")
            roles[line.text] = role
    return roles


def _hint(line: Line, files: Iterable[str]) -> str:
    """The nearest clip of the same word: among all of them it would take minutes to find."""
    word = line.text.partition("/")[0]
    return nearest(line.text, [name for name in files if name.startswith(f"{word}/")][:2000])


def _speaker(path: Path) -> str:
    """The speaker's code; a file named otherwise is its own group."""
    code, found, _ = path.name.partition(SPEAKER_END)
    return code if found else f"{path.parent.name}/{path.name}"
