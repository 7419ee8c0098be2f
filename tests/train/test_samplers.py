"""Orders without end: exact balance, every clip in its turn, and entry at any place."""

import numpy as np
import pytest

from edgeasc.specs import TrainSpec
from edgeasc.train.batches import ClipArrays
from edgeasc.train.course import Course
from edgeasc.train.samplers import Balanced, Shuffled

LABELS = np.array([0] * 7 + [1] * 3 + [2] + [3] * 12 + [4] * 2)


def test_of_five_classes_every_five_draws_hold_each_class_once():
    drawn = LABELS[Balanced(LABELS, 5, (1, 2)).draws(0, 5 * 400)].reshape(400, 5)
    assert (np.sort(drawn, 1) == np.arange(5)).all()
    assert len({tuple(row) for row in drawn}) > 60  # and in other orders again and again


@pytest.mark.parametrize("label", range(5))
def test_within_a_class_every_clip_comes_once_before_one_comes_again(label):
    members = np.flatnonzero(label == LABELS)
    drawn = Balanced(LABELS, 5, (1, 2)).draws(0, 5 * 24)
    own = drawn[LABELS[drawn] == label]
    for start in range(0, 24 - len(members) + 1, len(members)):
        assert sorted(own[start : start + len(members)]) == members.tolist()


def test_passes_through_a_class_are_in_different_orders():
    drawn = Balanced(LABELS, 5, (1, 2)).draws(0, 5 * 24)
    own = drawn[LABELS[drawn] == 3]
    assert own[:12].tolist() != own[12:24].tolist()


def test_shuffled_draws_are_permutations_in_a_row():
    drawn = Shuffled(9, (3,)).draws(0, 27).reshape(3, 9)
    assert (np.sort(drawn, 1) == np.arange(9)).all()
    assert len({tuple(row) for row in drawn}) == 3


@pytest.mark.parametrize("make", [lambda: Balanced(LABELS, 5, (1, 2)), lambda: Shuffled(25, (1, 2))])
def test_an_order_entered_in_the_middle_goes_on_as_if_from_the_start(make):
    whole = make().draws(0, 200)
    assert make().draws(133, 40).tolist() == whole[133:173].tolist()


def test_another_seed_gives_another_order():
    assert Shuffled(25, (1, 2)).draws(0, 25).tolist() != Shuffled(25, (1, 3)).draws(0, 25).tolist()


def course(draws=1, **spec):
    clips = ClipArrays(np.zeros((25, 1, 1, 1), np.float32), LABELS, 5)
    return Course(TrainSpec(batch_size=8, **spec), clips, "train", draws)


def test_batches_cross_epochs_without_losing_a_draw():
    found = course(iterations=7, evaluate_every=3, sampler="balanced")
    batches = [clips for stretch in range(3) for _, clips in found.batches(stretch, np.random.default_rng(0))]
    assert np.concatenate(batches).tolist() == found.order.draws(0, 56).tolist()


def test_batches_of_pairs_are_twice_as_large():
    found = course(draws=2, iterations=2)
    assert [len(clips) for _, clips in found.batches(0, np.random.default_rng(0))] == [16, 16]


def test_plain_epochs_come_from_the_generator_of_their_epoch():
    batches = [clips for _, clips in course(epochs=2).batches(1, np.random.default_rng(5))]
    expected = np.array_split(np.random.default_rng(5).permutation(25), 4)
    assert [b.tolist() for b in batches] == [e.tolist() for e in expected]


@pytest.mark.parametrize(("spec", "total", "stretches"), [
    ({"epochs": 3}, 12, 3),
    ({"iterations": 401}, 401, 3),
    ({"iterations": 50}, 50, 1),
    ({"iterations": 400, "evaluate_every": 50}, 400, 8),
])  # fmt: skip
def test_a_course_counts_its_steps_and_stretches(spec, total, stretches):
    found = course(**spec)
    assert (found.total, found.stretches) == (total, stretches)
    assert [step for stretch in range(stretches) for step in found.steps(stretch)] == list(range(total))
