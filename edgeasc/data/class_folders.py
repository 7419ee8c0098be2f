"""One folder per class, its name the label; audio files directly inside.

Two habits of ESC data sets are understood. Folders called `001 - Dog bark` (the older ESC-10) have the label
`Dog bark`. Where all files are named `fold-recording-take...` as in ESC-50 (also in EAT's `<class>/<fold>-*.wav`), the
official folds and recordings are taken from the names.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgeasc.data.clips import Clip
from edgeasc.data.table import inside
from edgeasc.errors import BadInput

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg"}
_NUMBERED = re.compile(r"\d{3} - (.+)")
_ESC_NAME = re.compile(r"([1-9])-(\d+)-[A-Z](?:-\d+)?")  # 1-100032-A-0, and 1-100032-A before there were targets


def read_class_folders(folder: Path) -> tuple[list[Clip], list[str], list[str]] | None:
    """Clips, class names (in the order of their folders) and notes; None where there is no folder.

    Raises:
        BadInput: a class without a clip, two folders of one class, or a link that leads out of the folder.
    """
    places = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not places:
        return None
    labels = _labels(places, folder)
    files = [_recordings(place) for place in places]
    found = [(label, path) for label, (audio, _) in enumerate(files) for path in audio]
    skipped = sum(others for _, others in files)
    notes = [f"files left aside, not .wav, .flac or .ogg: {skipped}"] if skipped else []
    names = [_ESC_NAME.fullmatch(path.stem) for _, path in found]
    official = all(names)
    if official:
        notes.append("folds and recordings taken from the file names (fold-recording-take)")
    clips = []
    for (label, path), name in zip(found, names, strict=True):
        identity = f"{path.parent.name}/{path.name}"
        fold, group = (int(name[1]), name[2]) if official and name else (None, identity)
        clips.append(Clip(id=identity, label=label, fold=fold, group=group, path=inside(folder, identity)))
    return clips, labels, notes


def _labels(places: list[Path], folder: Path) -> list[str]:
    """Names of the classes, without numbers where every folder has one."""
    numbered = [_NUMBERED.fullmatch(place.name) for place in places]
    labels = [
        match[1] if match and all(numbered) else place.name for match, place in zip(numbered, places, strict=True)
    ]
    if twice := {label for label in labels if labels.count(label) > 1}:
        raise BadInput("data set", f"two folders of the class {min(twice)!r}", folder)
    return labels


def _recordings(place: Path) -> tuple[list[Path], int]:
    """The audio files of a class, and how many others lie beside them."""
    files = [path for path in sorted(place.iterdir()) if not path.name.startswith(".")]
    audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    if not audio:
        raise BadInput("data set", f"class {place.name!r} has no clip (.wav, .flac or .ogg)", place)
    return audio, len(files) - len(audio)
