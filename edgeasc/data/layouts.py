"""Which kind of data set lies at a path, and its clips.

Recognised are a CSV manifest (the file, or a folder with one at its top), the layouts of ESC-50, UrbanSound8K, Speech
Commands and ComParE PRS as their authors distribute them, and one folder per class. No path at all means the built-in
scenes. `DIR@esc10` are the clips of an ESC-50 folder whose column `esc10` says True.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeasc.data.class_folders import read_class_folders
from edgeasc.data.clips import Clip, Dataset, FileSource
from edgeasc.data.manifest import MANIFEST_COLUMNS, read_esc50, read_manifest, subset_of
from edgeasc.data.primates import is_primates, read_primates
from edgeasc.data.speech_commands import is_speech_commands, read_speech_commands
from edgeasc.data.table import header
from edgeasc.data.urbansound8k import TABLE, is_urbansound8k, read_urbansound8k
from edgeasc.errors import BadInput, MissingDependency

ESC10 = "esc10"  # the column of an ESC-50 table that marks its ten-class subset
_KINDS = (
    "expected a CSV manifest (path,label), one folder per class, or the layout of ESC-50 (meta/*.csv and audio/), "
    "UrbanSound8K, Speech Commands or ComParE PRS"
)


def open_dataset(source: Path | None, seed: int = 0) -> Dataset:
    """The data set at `source`, or the built-in scenes drawn from `seed` when there is none.

    Raises:
        BadInput: nothing recognisable there, a wrong row or line (file and line), a list that names a missing clip,
            a path that leaves the folder, a class without a clip, or fewer than two classes.
        MissingDependency: the built-in scenes without scipy.
    """
    if source is None:
        return _built_in(seed)
    try:
        if source.is_file():
            return _from_manifest(source)
        if source.is_dir():
            return _from_folder(source)
        folder, at, subset = source.name.rpartition("@")
        if at and subset == ESC10 and source.with_name(folder or ".").is_dir():
            return _from_esc50(source.with_name(folder or "."), subset)
        raise BadInput("data set", "no such file or folder" if not source.exists() else _KINDS, source)
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
    name = folder.resolve().name
    if is_urbansound8k(folder):
        clips, labels = read_urbansound8k(folder)
        return replace(_checked(name, labels, clips, folder / TABLE, []), layout="urbansound8k")
    if is_speech_commands(folder):
        clips, labels, notes = read_speech_commands(folder)
        return replace(_checked(name, labels, clips, folder, notes), layout="speech-commands")
    if is_primates(folder):
        clips, unknown, labels, notes = read_primates(folder)
        known = _checked(name, labels, clips, folder, notes)
        return replace(known, unlabelled=tuple(unknown), layout="compare-prs")
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


def _from_esc50(folder: Path, subset: str = "") -> Dataset:
    """The ESC-50 layout, with exactly one table in `meta/`; whole, or a subset that its table marks."""
    tables = sorted((folder / "meta").glob("*.csv"))
    if len(tables) != 1:
        raise BadInput("data set", f"meta/ holds {len(tables)} CSV files, expected one", folder)
    clips, labels = read_esc50(tables[0], folder / "audio", subset)
    name = folder.resolve().name
    notes = []
    if not subset and subset_of(tables[0], ESC10):
        notes = [f"all classes; for the subset ESC-10 alone: --data {name}@{ESC10}"]
    found = _checked(f"{name}@{subset}" if subset else name, labels, clips, tables[0], notes)
    return replace(found, layout="esc-50")


def _from_class_folders(folder: Path) -> Dataset:
    """One folder per class."""
    found = read_class_folders(folder)
    if found is None:
        raise BadInput("data set", _KINDS, folder)
    clips, labels, notes = found
    return _checked(folder.resolve().name, labels, clips, folder, notes)


def _checked(name: str, labels: list[str], clips: list[Clip], where: Path, notes: list[str]) -> Dataset:
    """A data set of at least two classes whose labels print on one line."""
    for label in labels:
        if not label.isprintable():
            raise BadInput("data set", f"class name {label!r} holds control characters", where)
    if len(labels) < 2:
        raise BadInput("data set", f"only one class ({labels[0]!r}); a classifier needs two", where)
    return Dataset(name, tuple(labels), tuple(clips), FileSource(), tuple(notes))
