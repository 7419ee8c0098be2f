"""Folders of classes as older ESC data sets have them: numbered names, folds and recordings in file names."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeasc.data.layouts import open_dataset
from edgeasc.data.split import split
from edgeasc.errors import BadInput

Write = Callable[[Path], Path]
OLD = ("001 - Dog bark/1-100-A.ogg", "001 - Dog bark/2-101-A.ogg", "002 - Rain/1-200-A.ogg", "002 - Rain/2-201-B.ogg")


def folder(root: Path, names: tuple[str, ...], write_clip: Write) -> Path:
    for name in names:
        write_clip(root / name)
    return root


def test_older_esc10_names_its_classes_without_numbers(tmp_path: Path, write_clip: Write) -> None:
    dataset = open_dataset(folder(tmp_path, OLD, write_clip))
    assert dataset.labels == ("Dog bark", "Rain")
    assert dataset.clips[0].id == "001 - Dog bark/1-100-A.ogg"


def test_folds_and_recordings_come_from_esc_names(tmp_path: Path, write_clip: Write) -> None:
    names = (
        "dog/1-100-A-0.wav",
        "dog/1-100-B-0.wav",
        "dog/2-101-A-0.wav",
        "rain/1-200-A-10.wav",
        "rain/2-201-A-10.wav",
    )
    dataset = open_dataset(folder(tmp_path, names, write_clip))
    assert [(clip.fold, clip.group) for clip in dataset.clips] == [
        (1, "100"), (1, "100"), (2, "101"), (1, "200"), (2, "201")
    ]  # fmt: skip
    assert {clip.id for clip in split(dataset, fold=2, validation=0.0).test} == {names[2], names[4]}
    assert dataset.notes == ("folds and recordings taken from the file names (fold-recording-take)",)


def test_one_file_named_otherwise_leaves_all_without_folds(tmp_path: Path, write_clip: Write) -> None:
    dataset = open_dataset(folder(tmp_path, (*OLD, "002 - Rain/own.wav"), write_clip))
    assert dataset.folds == () and dataset.clips[0].group == dataset.clips[0].id


def test_names_that_merely_begin_with_a_number_are_no_folds(tmp_path: Path, write_clip: Write) -> None:
    names = ("bus/1-street.wav", "bus/2-street.wav", "tram/1-line-4.wav")
    assert open_dataset(folder(tmp_path, names, write_clip)).folds == ()


def test_two_folders_of_one_class_are_refused(tmp_path: Path, write_clip: Write) -> None:
    with pytest.raises(BadInput, match="two folders of the class 'Dog bark'"):
        open_dataset(folder(tmp_path, (*OLD, "003 - Dog bark/1-300-A.ogg"), write_clip))
