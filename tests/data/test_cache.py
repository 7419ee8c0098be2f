"""The feature cache: hits, keys, damage, many writers, and folders that cannot be written."""

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_toys import SeededSource, fill_cache, toy_dataset

from edgeasc.data.cache import clip_features, default_cache, feature_array
from edgeasc.errors import BadInput
from edgeasc.features.logmel import log_mel
from edgeasc.specs import LogMel, ModelSpec, Recipe

SPEC = LogMel(n_fft=512, win_length=400, hop_length=160, n_mels=16)
RECIPE = Recipe(model=ModelSpec(name="bcresnet-mod-1"), features=SPEC)


def test_features_are_those_of_the_waveforms(tmp_path: Path) -> None:
    dataset = toy_dataset()
    features = feature_array(dataset, dataset.clips, RECIPE, tmp_path)
    assert features.dtype == np.float32 and features.shape == (30, 1, 16, 21)
    for row, clip in zip(features, dataset.clips, strict=True):
        assert np.array_equal(row[0], log_mel(dataset.waveform(clip, 16_000), SPEC))


def test_a_second_call_reads_and_does_not_listen(tmp_path: Path) -> None:
    source = SeededSource()
    dataset = replace(toy_dataset(), source=source)
    first = feature_array(dataset, dataset.clips, RECIPE, tmp_path)
    assert source.asked == 30
    assert np.array_equal(feature_array(dataset, dataset.clips, RECIPE, tmp_path), first)
    assert source.asked == 30


def test_another_front_end_has_its_own_entries(tmp_path: Path) -> None:
    dataset = toy_dataset()
    for n_mels in (16, 20):
        recipe = RECIPE.model_copy(update={"features": SPEC.model_copy(update={"n_mels": n_mels})})
        assert feature_array(dataset, dataset.clips[:2], recipe, tmp_path).shape[2] == n_mels
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other magic", "header only", "swapped shape"])
def test_a_damaged_entry_is_computed_again_and_replaced(tmp_path: Path, damage: str) -> None:
    dataset = toy_dataset()
    good = feature_array(dataset, dataset.clips[:1], RECIPE, tmp_path)
    (entry,) = tmp_path.rglob("*.mel")
    payload = entry.read_bytes()
    broken = bytearray(payload)
    if damage == "flipped":
        broken[-5] ^= 0x10
    elif damage == "other magic":
        broken[0] ^= 1
    elif damage == "swapped shape":
        broken[40:48] = broken[44:48] + broken[40:44]
    keep = {"cut": -8, "empty": 0, "header only": 48}.get(damage, len(broken))
    entry.write_bytes(bytes(broken[:keep]))
    assert np.array_equal(feature_array(dataset, dataset.clips[:1], RECIPE, tmp_path), good)
    assert entry.read_bytes() == payload


def test_many_writers_leave_whole_entries_and_no_leftovers(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=fill_cache, args=(tmp_path, RECIPE, 5 * index)) for index in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    assert not list(tmp_path.rglob("*.part"))
    dataset = replace(toy_dataset(), source=(source := SeededSource()))
    plain = feature_array(dataset, dataset.clips, RECIPE)
    before, left = source.asked, len(list(tmp_path.rglob("*.mel")))
    assert np.array_equal(feature_array(dataset, dataset.clips, RECIPE, tmp_path), plain)
    assert source.asked - before == 30 - left  # every entry that is there is whole


def test_a_folder_that_cannot_be_made_costs_a_warning_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    dataset = toy_dataset()
    with pytest.warns(UserWarning, match="feature cache not used"):
        features = feature_array(dataset, dataset.clips[:2], RECIPE, tmp_path / "file")
    assert np.array_equal(features, feature_array(dataset, dataset.clips[:2], RECIPE))


def test_a_full_disk_costs_a_warning_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    dataset = toy_dataset()
    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="feature cache not written.*No space left"):
        features = clip_features(dataset, dataset.clips[0], SPEC, tmp_path)
    assert np.array_equal(features, clip_features(dataset, dataset.clips[0], SPEC))
    assert list(tmp_path.iterdir()) == []


def test_no_clips_are_refused() -> None:
    with pytest.raises(BadInput, match="no clips asked for of toy"):
        feature_array(toy_dataset(), [], RECIPE)


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEASC_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("EDGEASC_CACHE")
    assert default_cache().name == "edgeasc" and default_cache().is_absolute()
