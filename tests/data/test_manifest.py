"""CSV manifests and the ESC-50 table: what is read, and how each wrong row is named."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeasc.data.layouts import open_dataset
from edgeasc.data.manifest import read_manifest
from edgeasc.data.split import split
from edgeasc.errors import BadInput

Table = Callable[[str], Path]
GOOD = "path,label,device,city,fold,group\na.wav,bus,a,Bonn,1,r1\nb.wav,tram,s1,,2,\ndeep/c.wav,bus,,,2,r2\n"


def test_manifest_columns_reach_the_clips(manifest: Table) -> None:
    dataset = open_dataset(manifest(GOOD))
    first, second, third = dataset.clips
    assert dataset.labels == ("bus", "tram")
    assert (first.id, first.label, first.device, first.city, first.fold, first.group) == (
        "a.wav",
        0,
        "a",
        "Bonn",
        1,
        "r1",
    )
    assert (second.device, second.city, second.fold, second.group) == ("s1", None, 2, "b.wav")
    assert third.id == "deep/c.wav" and third.device is None
    assert dataset.folds == (1, 2) and dataset.devices == ("a", "s1")


def test_waveforms_come_from_the_files(manifest: Table) -> None:
    dataset = open_dataset(manifest(GOOD))
    assert dataset.waveform(dataset.clips[0], 16_000).shape == (800,)
    assert dataset.waveform(dataset.clips[0], 8_000).shape == (400,)


@pytest.mark.parametrize(
    "text", [GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, GOOD.replace("a.wav", '"a.wav"'), GOOD + "\n,,,,,\n"]
)
def test_windows_line_ends_bom_quotes_and_blank_lines_are_read(manifest: Table, text: str) -> None:
    assert [clip.id for clip in open_dataset(manifest(text)).clips] == ["a.wav", "b.wav", "deep/c.wav"]


def test_a_folder_is_opened_by_the_manifest_at_its_top(manifest: Table) -> None:
    assert len(open_dataset(manifest(GOOD).parent).clips) == 3


def test_columns_that_are_not_used_are_noted(manifest: Table) -> None:
    text = "path,label,mood\na.wav,bus,calm\nb.wav,tram,gay\n"
    assert open_dataset(manifest(text)).notes == ("columns not used: mood",)


def test_a_manifest_may_prescribe_the_split(manifest: Table) -> None:
    parts = split(open_dataset(manifest("path,label,role\na.wav,bus,train\nb.wav,tram,train\ndeep/c.wav,bus,test\n")))
    assert [clip.id for clip in parts.test] == ["deep/c.wav"] and len(parts.train) == 2


ROWS = {
    "unknown role": ("path,label,role\na.wav,bus,train\nb.wav,tram,dev\n", "line 3: role 'dev' is none of train, val"),
    "role missing": ("path,label,role\na.wav,bus,train\nb.wav,tram,\n", "line 3: column 'role' is empty, other rows"),
    "missing column": ("path,lable\na.wav,bus\n", r"line 1: no column 'label'; did you mean 'lable'"),
    "column twice": ("path,label,label\na.wav,bus,bus\n", "line 1: a column name appears twice"),
    "no rows": ("path,label\n", "has no row"),
    "empty file": ("", "empty file"),
    "too few cells": ("path,label\na.wav,bus\nb.wav\n", "line 3: 1 cells, the header has 2"),
    "too many cells": ("path,label\na.wav,bus,extra\n", "line 2: 3 cells"),
    "no label": ("path,label\na.wav,bus\nb.wav,\n", "line 3: column 'label' is empty"),
    "no path": ("path,label\n,bus\n", "line 2: column 'path' is empty"),
    "no file": ("path,label\na.wav,bus\nz.wav,tram\n", "line 3: 'z.wav' does not exist"),
    "folder": ("path,label\ndeep,bus\n", "line 2: 'deep' is not a file"),
    "parent folder": ("path,label\n../other.wav,bus\n", "line 2: '../other.wav' leaves the folder"),
    "absolute": ("path,label\n/etc/hostname,bus\n", "line 2: '/etc/hostname' leaves the folder"),
    "twice": ("path,label\na.wav,bus\nb.wav,bus\na.wav,tram\n", "line 4: 'a.wav' is listed already on line 2"),
    "twice, spelt otherwise": ("path,label\na.wav,bus\ndeep/../a.wav,tram\n", "line 3: .* listed already on line 2"),
    "fold": ("path,label,fold\na.wav,bus,one\n", "line 2: column 'fold' is 'one', expected an integer"),
    "negative fold": ("path,label,fold\na.wav,bus,-1\n", "line 2: column 'fold' is '-1'"),
    "fold in other digits": ("path,label,fold\na.wav,bus,²\n", "line 2: column 'fold'"),
    "control character": ("path,label\na.wav,b\x1bus\n", "line 2: column 'label' holds control characters"),
    "nul": ("path,label\na\0.wav,bus\n", "line 2:"),
    "line break in a label": ('path,label\na.wav,"b\nus"\n', "line 3: column 'label' holds control characters"),
    "open quote": ('path,label\na.wav,"bus\n', "line 2: unexpected end of data"),
    "huge cell": (f"path,label\na.wav,{'x' * 200_000}\n", "line 2: field larger"),
    "one class": ("path,label\na.wav,bus\nb.wav,bus\n", "only one class"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_wrong_row_is_named_by_file_and_line(manifest: Table, name: str) -> None:
    text, reason = ROWS[name]
    path = manifest(text)
    with pytest.raises(BadInput, match=reason) as caught:
        open_dataset(path)
    assert caught.value.exit_code == 3
    assert "clips.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_refused(manifest: Table) -> None:
    path = manifest(GOOD)
    path.write_bytes(b"path,label\na.wav,stra\xdfe\n")
    with pytest.raises(BadInput, match="not UTF-8"):
        open_dataset(path)


def test_a_link_that_leads_out_of_the_folder_is_refused(manifest: Table, write_clip: Callable[[Path], Path]) -> None:
    path = manifest("path,label\na.wav,bus\nlink.wav,tram\n")
    outside = write_clip(path.parent.parent / "outside.wav")
    os.symlink(outside, path.parent / "link.wav")
    with pytest.raises(BadInput, match=r"line 3: 'link\.wav' leaves the folder"):
        open_dataset(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(alphabet=st.sampled_from('abwv./,"\n\r\0 1²\ufeff\x1b'), max_size=60), whole=st.booleans())
def test_any_text_is_read_or_refused_in_one_line(manifest: Table, text: str, whole: bool) -> None:
    path = manifest(text if whole else "path,label\na.wav,bus\n" + text)
    try:
        clips, labels, _ = read_manifest(path)
    except BadInput as refusal:
        assert "\n" not in str(refusal)
    else:
        assert {clip.id for clip in clips} <= {"a.wav", "b.wav", "deep/c.wav"} and labels


def esc50(folder: Path, write_clip: Callable[[Path], Path], rows: str) -> Path:
    for name in ("1-100-A-0.wav", "1-100-B-0.wav", "2-200-A-7.wav", "3-300-A-0.wav"):
        write_clip(folder / "audio" / name)
    (folder / "meta").mkdir()
    (folder / "meta" / "esc.csv").write_text("filename,fold,target,category,take\n" + rows)
    return folder


ESC_ROWS = "1-100-A-0.wav,1,0,dog,A\n1-100-B-0.wav,1,0,dog,B\n2-200-A-7.wav,2,7,rain,A\n3-300-A-0.wav,3,0,dog,A\n"


def test_esc50_layout_groups_by_source_recording(tmp_path: Path, write_clip: Callable[[Path], Path]) -> None:
    dataset = open_dataset(esc50(tmp_path, write_clip, ESC_ROWS))
    assert dataset.labels == ("dog", "rain")  # in the order of target
    assert [clip.group for clip in dataset.clips] == ["100", "100", "200", "300"]
    assert [clip.label for clip in dataset.clips] == [0, 0, 1, 0]
    assert dataset.folds == (1, 2, 3)


def marked(folder: Path, write_clip: Callable[[Path], Path], marks: tuple[str, ...]) -> Path:
    """The ESC-50 folder with a column that marks the subset."""
    esc50(folder, write_clip, ESC_ROWS)
    table = folder / "meta" / "esc.csv"
    head, *rows = table.read_text().splitlines()
    lines = [f"{head},esc10", *(f"{row},{mark}" for row, mark in zip(rows, marks, strict=True))]
    table.write_text("\n".join(lines) + "\n")
    return folder


def test_the_esc10_subset_is_asked_for_by_name(tmp_path: Path, write_clip: Callable[[Path], Path]) -> None:
    folder = marked(tmp_path / "ESC", write_clip, ("True", "False", "True", "False"))
    dataset = open_dataset(folder.with_name("ESC@esc10"))
    assert [clip.id for clip in dataset.clips] == ["1-100-A-0.wav", "2-200-A-7.wav"]
    assert dataset.name == "ESC@esc10" and dataset.labels == ("dog", "rain")


def test_a_whole_esc50_says_how_to_ask_for_the_subset(tmp_path: Path, write_clip: Callable[[Path], Path]) -> None:
    dataset = open_dataset(marked(tmp_path / "ESC", write_clip, ("True", "False", "True", "False")))
    assert len(dataset.clips) == 4
    assert dataset.notes == ("all classes; for the subset ESC-10 alone: --data ESC@esc10",)


@pytest.mark.parametrize(
    ("marks", "why"),
    [
        (("True", "yes", "True", "False"), "line 3: column 'esc10' is 'yes', expected True or False"),
        (("False",) * 4, "no clip belongs to 'esc10'"),
    ],
)
def test_a_wrong_mark_of_the_subset_is_refused(
    tmp_path: Path, write_clip: Callable[[Path], Path], marks: tuple[str, ...], why: str
) -> None:
    folder = marked(tmp_path / "ESC", write_clip, marks)
    with pytest.raises(BadInput, match=why):
        open_dataset(folder.with_name("ESC@esc10"))


def test_a_table_without_the_subsets_column_is_refused(tmp_path: Path, write_clip: Callable[[Path], Path]) -> None:
    folder = esc50(tmp_path / "ESC", write_clip, ESC_ROWS)
    with pytest.raises(BadInput, match="line 1: no column 'esc10' to choose clips by"):
        open_dataset(folder.with_name("ESC@esc10"))


ESC_FAULTS = {
    "other category": (
        "1-100-A-0.wav,1,0,dog,A\n1-100-B-0.wav,1,0,cat,B\n",
        "line 3: target 0 is 'cat' here, 'dog' above",
    ),
    "target": ("1-100-A-0.wav,1,zero,dog,A\n", "line 2: column 'target' is 'zero'"),
    "one category twice": ("1-100-A-0.wav,1,0,dog,A\n2-200-A-7.wav,2,7,dog,A\n", "one category has two targets"),
    "no file": ("9-9-A-0.wav,1,0,dog,A\n", "line 2: '9-9-A-0.wav' does not exist"),
    "leaves": ("../meta/esc.csv,1,0,dog,A\n", "line 2: .* is not of the form|line 2: .* leaves"),
}


@pytest.mark.parametrize("name", ESC_FAULTS)
def test_a_wrong_row_of_an_esc50_table_is_named(tmp_path: Path, write_clip: Callable[[Path], Path], name: str) -> None:
    rows, reason = ESC_FAULTS[name]
    with pytest.raises(BadInput, match=reason):
        open_dataset(esc50(tmp_path, write_clip, rows))
