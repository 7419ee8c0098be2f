"""Which layout a path holds; folders of classes; relabelling."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from data_toys import toy_dataset

from edgeasc.data.clips import relabelled
from edgeasc.data.layouts import open_dataset
from edgeasc.errors import BadInput

Write = Callable[[Path], Path]


def class_folders(folder: Path, write_clip: Write) -> Path:
    for name in ("tram/2.wav", "tram/1.WAV", "bus/1.flac", "park/1.ogg"):
        write_clip(folder / name)
    return folder


def test_one_folder_per_class(tmp_path: Path, write_clip: Write) -> None:
    dataset = open_dataset(class_folders(tmp_path, write_clip))
    assert dataset.labels == ("bus", "park", "tram")
    assert [clip.id for clip in dataset.clips] == ["bus/1.flac", "park/1.ogg", "tram/1.WAV", "tram/2.wav"]
    assert dataset.waveform(dataset.clips[0], 16_000).shape == (800,)
    assert dataset.notes == ()


def test_other_files_are_left_aside_and_said_so(tmp_path: Path, write_clip: Write) -> None:
    class_folders(tmp_path, write_clip)
    (tmp_path / "bus" / "notes.txt").write_text("x")
    (tmp_path / "bus" / ".hidden.wav").write_text("x")
    assert open_dataset(tmp_path).notes == ("files left aside, not .wav, .flac or .ogg: 1",)


def test_a_class_with_no_clip_is_refused_by_name(tmp_path: Path, write_clip: Write) -> None:
    class_folders(tmp_path, write_clip)
    (tmp_path / "metro").mkdir()
    with pytest.raises(BadInput, match="class 'metro' has no clip") as caught:
        open_dataset(tmp_path)
    assert caught.value.exit_code == 3


def test_a_class_of_text_files_has_no_clip(tmp_path: Path, write_clip: Write) -> None:
    class_folders(tmp_path, write_clip)
    (tmp_path / "metro").mkdir()
    (tmp_path / "metro" / "list.txt").write_text("x")
    with pytest.raises(BadInput, match="class 'metro' has no clip"):
        open_dataset(tmp_path)


def test_a_link_out_of_a_class_folder_is_refused(tmp_path: Path, write_clip: Write) -> None:
    class_folders(tmp_path / "set", write_clip)
    os.symlink(write_clip(tmp_path / "outside.wav"), tmp_path / "set" / "bus" / "link.wav")
    with pytest.raises(BadInput, match=r"link\.wav: leaves the folder"):
        open_dataset(tmp_path / "set")


@pytest.mark.parametrize("make", ["nothing", "empty", "file"])
def test_what_is_no_data_set_is_refused(tmp_path: Path, make: str) -> None:
    path = tmp_path / "place"
    if make == "empty":
        path.mkdir()
    elif make == "file":
        path.write_text("just text")
    with pytest.raises(BadInput) as caught:
        open_dataset(path)
    assert caught.value.exit_code == 3 and str(path) in str(caught.value)


def test_two_manifests_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("path,label\n")
    with pytest.raises(BadInput, match="2 manifests"):
        open_dataset(tmp_path)


def test_an_esc50_folder_needs_exactly_one_table(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "audio").mkdir()
    with pytest.raises(BadInput, match="holds 0 CSV files"):
        open_dataset(tmp_path)


def test_relabelled_counts_classes_as_the_network_does() -> None:
    dataset = toy_dataset(n_classes=2)
    turned = relabelled(dataset, ["class9", "class1", "class0"])
    assert {clip.label for clip in turned.clips if clip.id.startswith("0/")} == {2}
    assert turned.labels == ("class9", "class1", "class0")


def test_relabelled_names_the_nearest_class() -> None:
    with pytest.raises(BadInput, match="class 'class1' is unknown to the network; did you mean 'klass1'"):
        relabelled(toy_dataset(n_classes=2), ["class0", "klass1"])


def test_find_names_the_nearest_clip() -> None:
    with pytest.raises(BadInput, match="no clip '0/0/7'; did you mean"):
        toy_dataset().find(["0/0/7"])
