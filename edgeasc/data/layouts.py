"""Which kind of data set lies at a path, and its clips.

Three layouts are recognised: a CSV manifest (the file, or a folder with one at its top), the ESC-50 layout
(`meta/*.csv` and `audio/`), and one folder per class. No path at all means the built-in scenes.
"""

from __future__ import annotations

from pathlib import Path

from edgeasc.data.clips import Clip, Dataset, FileSource
from edgeasc.data.manifest import MANIFEST_COLUMNS, file_within, header, read_esc50, read_manifest
from edgeasc.errors import BadInput, MissingDependency

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg"}
_KINDS = "expected a CSV manifest (path,label), the ESC-50 layout (meta/*.csv and audio/), or one folder per class"


def open_dataset(source: Path | None, seed: int = 0) -> Dataset:
    """The data set at `source`, or the built-in scenes drawn from `seed` when there is none.

    Raises:
        BadInput: nothing recognisable there, a wrong row (file and line), a path that leaves the folder,
            a class without a clip, or fewer than two classes.
        MissingDependency: the built-in scenes without scipy.
    """
    if source is None:
        return _built_in(seed)
    try:
        if source.is_file():
            return _from_manifest(source)
        if not source.is_dir():
            raise BadInput("data set", "no such file or folder" if not source.exists() else _KINDS, source)
        return _from_folder(source)
    except OSError as error:
        raise BadInput("data set", error.strerror or str(error), source) from error


def _built_in(seed: int) -> Dataset:
    """The built-in scenes, whose rendering needs scipy."""
    try:
        from edgeasc.data.scenes import built_in_scenes
    except ImportError as error:
        why = "scipy is not installed; run: pip install 'edgeasc[audio]'"
        raise MissingDependency("built-in scenes", why) from error
    return built_in_scenes(seed)


def _from_folder(folder: Path) -> Dataset:
    """The data set in a folder, by what lies at its top."""
    if (folder / "meta").is_dir() and (folder / "audio").is_dir():
        return _from_esc50(folder)
    tables = [path for path in sorted(folder.glob("*.csv")) if set(MANIFEST_COLUMNS) <= set(header(path))]
    if len(tables) > 1:
        raise BadInput("data set", f"{len(tables)} manifests ({tables[0].name}, ...); name the one to use", folder)
    return _from_manifest(tables[0]) if tables else _from_class_folders(folder)


def _from_manifest(table: Path) -> Dataset:
    """A CSV manifest; its paths are relative to its own folder."""
    clips, labels, notes = read_manifest(table)
    return _checked(table.parent.resolve().name, labels, clips, table, notes)


def _from_esc50(folder: Path) -> Dataset:
    """The ESC-50 layout, with exactly one table in `meta/`."""
    tables = sorted((folder / "meta").glob("*.csv"))
    if len(tables) != 1:
        raise BadInput("data set", f"meta/ holds {len(tables)} CSV files, expected one", folder)
    clips, labels = read_esc50(tables[0], folder / "audio")
    return _checked(folder.resolve().name, labels, clips, tables[0], [])


def _from_class_folders(folder: Path) -> Dataset:
    """One folder per class, its name the label; audio files directly inside."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise BadInput("data set", _KINDS, folder)
    clips, skipped = [], 0
    for label, place in enumerate(classes):
        files = [path for path in sorted(place.iterdir()) if not path.name.startswith(".")]
        audio = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
        if not audio:
            raise BadInput("data set", f"class {place.name!r} has no clip (.wav, .flac or .ogg)", place)
        skipped += len(files) - len(audio)
        for path in audio:
            name = f"{place.name}/{path.name}"
            clips.append(Clip(id=name, label=label, group=name, path=_inside(folder, name)))
    notes = [f"files left aside, not .wav, .flac or .ogg: {skipped}"] if skipped else []
    return _checked(folder.resolve().name, [path.name for path in classes], clips, folder, notes)


def _inside(folder: Path, name: str) -> Path:
    """The file `name` of `folder`, refused when it is a link that leads out."""
    try:
        return file_within(folder, name)
    except BadInput as error:
        raise BadInput("data set", error.why, folder / name) from None


def _checked(name: str, labels: list[str], clips: list[Clip], where: Path, notes: list[str]) -> Dataset:
    """A data set of at least two classes whose labels print on one line."""
    for label in labels:
        if not label.isprintable():
            raise BadInput("data set", f"class name {label!r} holds control characters", where)
    if len(labels) < 2:
        raise BadInput("data set", f"only one class ({labels[0]!r}); a classifier needs two", where)
    return Dataset(name, tuple(labels), tuple(clips), FileSource(), tuple(notes))
