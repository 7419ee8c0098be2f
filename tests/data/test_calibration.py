"""Calibration sets: balance, the round trip, digests, and the shipped set."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_toys import SeededSource, toy_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeasc.data.calibration import (
    calibration_clips,
    calibration_path,
    read_calibration,
    select_calibration,
    write_calibration,
)
from edgeasc.data.clips import Clip
from edgeasc.data.scenes import built_in_scenes
from edgeasc.data.split import split
from edgeasc.errors import BadInput, UsageError


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 80), groups=st.integers(2, 8), seed=st.integers(0, 99))
def test_classes_differ_by_one_clip_at_most(count: int, groups: int, seed: int) -> None:
    dataset = toy_dataset(groups=groups, devices=("a", "b"))
    chosen = select_calibration(dataset, dataset.clips, count, seed)
    counts = Counter(clip.label for clip in chosen.clips)
    assert len(chosen.clips) == min(count, len(dataset.clips)) == len({clip.id for clip in chosen.clips})
    assert max(counts.values()) - min(counts.get(label, 0) for label in dataset.labels) <= 1


def test_devices_are_balanced_although_the_data_set_is_not() -> None:
    dataset = toy_dataset(groups=20, devices=("a", "a", "a", "b"))
    chosen = select_calibration(dataset, dataset.clips, 12)
    assert Counter((clip.label, clip.device) for clip in chosen.clips) == {
        (label, device): 2 for label in dataset.labels for device in "ab"
    }


def test_the_same_seed_selects_the_same_clips() -> None:
    dataset = toy_dataset(groups=10)
    assert select_calibration(dataset, dataset.clips, 9, 5) == select_calibration(dataset, dataset.clips[::-1], 9, 5)
    assert select_calibration(dataset, dataset.clips, 9, 5) != select_calibration(dataset, dataset.clips, 9, 6)


def test_a_written_set_reads_back_equal(tmp_path: Path) -> None:
    dataset = toy_dataset(devices=("a", 'quo"te'))
    chosen = select_calibration(dataset, dataset.clips, 7)
    write_calibration(tmp_path / "set.toml", chosen)
    assert read_calibration(tmp_path / "set.toml") == chosen
    assert [clip.id for clip in calibration_clips(chosen, dataset)] == [clip.id for clip in chosen.clips]


class ChangedSource(SeededSource):
    """One clip sounds otherwise."""

    def digest(self, clip: Clip) -> str:
        return "0" * 64 if clip.id == "1/0/0" else super().digest(clip)


def test_a_clip_that_changed_is_named() -> None:
    dataset = toy_dataset()
    chosen = select_calibration(dataset, dataset.clips, len(dataset.clips))
    with pytest.raises(BadInput, match="clip '1/0/0' of toy is not the one") as caught:
        calibration_clips(chosen, replace(dataset, source=ChangedSource()))
    assert caught.value.exit_code == 3


def test_a_clip_that_is_gone_is_named() -> None:
    dataset = toy_dataset()
    chosen = select_calibration(dataset, dataset.clips, len(dataset.clips))
    with pytest.raises(BadInput, match="no clip"):
        calibration_clips(chosen, replace(dataset, clips=dataset.clips[1:]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("schema = 1", "source: Field required"),
        ("schema = 2\nsource = 'x'\nrule = 'y'\nseed = 0\nclips = []", "schema"),
        ("schema = 1\nsource = 'x'\nrule = 'y'\nseed = 0\nclips = []", "clips"),
        ("schema = 1\nsource = 'x'\nrule = 'y'\nseed = 0\nclips = [{id = 'a', label = 'b', sha256 = 'zz'}]", "sha256"),
        ("schema = 1\nsource = 'x'\nrules = 'y'", "rule"),
        ("schema = ", "not TOML"),
    ],
)
def test_a_file_that_is_no_calibration_set_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "set.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=reason):
        read_calibration(path)


def test_no_clips_and_no_count_are_refused() -> None:
    with pytest.raises(BadInput, match="no clips of toy"):
        select_calibration(toy_dataset(), [], 5)
    with pytest.raises(UsageError, match="0 clips"):
        select_calibration(toy_dataset(), toy_dataset().clips, 0)


def test_the_shipped_set_is_what_its_rule_selects() -> None:
    dataset = built_in_scenes()
    shipped = read_calibration(calibration_path("built-in-scenes"))
    assert shipped == select_calibration(dataset, split(dataset).train, 120, shipped.seed)
    assert len(calibration_clips(shipped, dataset)) == 120
    counts = Counter((clip.label, clip.device) for clip in shipped.clips)
    assert set(counts.values()) == {2} and len(counts) == 60
    assert np.all([clip.device not in ("s4", "s5", "s6") for clip in shipped.clips])


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown set 'builtin-scenes'; did you mean 'built-in-scenes'"):
        calibration_path("builtin-scenes")
