"""Splits: a partition that cuts no recording, with its rule in words."""

from dataclasses import replace

import pytest
from data_toys import toy_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeasc.data.clips import Dataset
from edgeasc.data.scenes import built_in_scenes
from edgeasc.data.split import Split, split
from edgeasc.errors import BadInput, UsageError


def parts(chosen: Split) -> tuple[set[str], set[str], set[str]]:
    return tuple({clip.id for clip in part} for part in (chosen.train, chosen.validation, chosen.test))  # type: ignore[return-value]


@settings(max_examples=60, deadline=None)
@given(
    n_classes=st.integers(2, 4),
    groups=st.integers(3, 9),
    clips_of=st.integers(1, 4),
    folds=st.sampled_from([0, 2, 3]),
    devices=st.sampled_from([(None,), ("a", "b"), ("a", None, "s1")]),
    validation=st.floats(0, 0.6),
    seed=st.integers(0, 1000),
)
def test_split_is_a_partition_that_never_cuts_a_group(
    n_classes: int,
    groups: int,
    clips_of: int,
    folds: int,
    devices: tuple[str | None, ...],
    validation: float,
    seed: int,
) -> None:
    dataset = toy_dataset(n_classes, groups, clips_of, folds, devices)
    chosen = split(dataset, validation=validation, seed=seed)
    train, selected, test = parts(chosen)
    assert len(chosen.train) + len(chosen.validation) + len(chosen.test) == len(dataset.clips)
    assert train | selected | test == {clip.id for clip in dataset.clips}
    groups_of = [{clip.group for clip in part} for part in (chosen.train, chosen.validation, chosen.test)]
    assert not (groups_of[0] & groups_of[1] or groups_of[0] & groups_of[2] or groups_of[1] & groups_of[2])
    assert {clip.label for clip in chosen.train} == {clip.label for clip in chosen.test} == set(range(n_classes))


def test_the_same_seed_draws_the_same_split_and_another_another() -> None:
    dataset = toy_dataset(groups=10)
    assert split(dataset, seed=3) == split(dataset, seed=3)
    assert parts(split(dataset, seed=3)) != parts(split(dataset, seed=4))


def test_a_random_split_does_not_depend_on_the_order_of_clips() -> None:
    dataset = toy_dataset(groups=10)
    assert parts(split(replace(dataset, clips=dataset.clips[::-1]))) == parts(split(dataset))


def test_validation_takes_its_part_of_every_class() -> None:
    chosen = split(toy_dataset(groups=50, clips_of=1), validation=0.1)
    for label in range(3):
        of_class = [
            sum(clip.label == label for clip in part) for part in (chosen.train, chosen.validation, chosen.test)
        ]
        assert of_class == [36, 4, 10]


def test_too_few_recordings_for_validation_are_said_to_be_too_few() -> None:
    chosen = split(toy_dataset(2, 3, 1, 3, (None,)), validation=0.1)
    assert not chosen.validation
    assert chosen.rule.endswith("no validation: too few training recordings to spare one")


def test_without_a_fold_the_largest_is_held_out() -> None:
    chosen = split(toy_dataset(groups=8, folds=4), validation=0)
    assert {clip.fold for clip in chosen.test} == {4}
    assert chosen.validation == ()
    assert chosen.rule == "test: fold 4, the last one; training: folds 1, 2, 3"


def test_the_fold_asked_for_is_held_out() -> None:
    chosen = split(toy_dataset(groups=8, folds=4), fold=2)
    assert {clip.fold for clip in chosen.test} == {2}
    assert {clip.fold for clip in chosen.train + chosen.validation} == {1, 3, 4}
    assert chosen.rule.startswith("test: fold 2; training: folds 1, 3, 4; validation: 10%")


def test_a_fold_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="9 asked for; toy has 1, 2"):
        split(toy_dataset(folds=2), fold=9)


@pytest.mark.parametrize("dataset", [toy_dataset(), built_in_scenes()], ids=["no folds", "prescribed"])
def test_a_fold_of_a_data_set_without_folds_is_a_usage_error(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="no folds"):
        split(dataset, fold=1)


def test_a_recording_in_two_folds_is_refused() -> None:
    dataset = toy_dataset(folds=2)
    torn = (replace(dataset.clips[0], fold=2), *dataset.clips[1:])
    with pytest.raises(BadInput, match="recording '0/0' lies on both sides of fold 2"):
        split(replace(dataset, clips=torn))


def test_a_clip_without_a_fold_beside_others_is_refused() -> None:
    dataset = toy_dataset(folds=2)
    torn = (replace(dataset.clips[0], fold=None), *dataset.clips[1:])
    with pytest.raises(BadInput, match="clip '0/0/0' has no fold"):
        split(replace(dataset, clips=torn))


def test_a_single_fold_leaves_nothing_to_train_on() -> None:
    with pytest.raises(BadInput, match="only fold 1"):
        split(toy_dataset(folds=1))


def test_a_class_held_out_whole_has_no_clip_to_train_on() -> None:
    dataset = toy_dataset(folds=2)
    clips = tuple(clip for clip in dataset.clips if clip.label != 1 or clip.fold == 2)
    with pytest.raises(BadInput, match="class 'class1' has no clip to train on") as caught:
        split(replace(dataset, clips=clips))
    assert caught.value.exit_code == 3


def test_a_class_of_one_recording_cannot_be_tested() -> None:
    with pytest.raises(BadInput, match="single recording"):
        split(toy_dataset(groups=1))


def test_built_in_test_devices_are_unheard_in_training() -> None:
    chosen = split(built_in_scenes())
    heard = {clip.device for clip in chosen.train + chosen.validation}
    assert {clip.device for clip in chosen.test} - heard == {"s4", "s5", "s6"}
    assert "devices never heard in training (s4, s5, s6)" in chosen.rule
    assert (len(chosen.train), len(chosen.validation), len(chosen.test)) == (1800, 200, 900)
