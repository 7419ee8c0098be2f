"""Specifications: what their written form and their digest keep through the years."""

from typing import ClassVar

import pytest
from pydantic import Field

from edgeasc.recipes import load_recipe
from edgeasc.specs import ModelSpec, Recipe, Spec, TrainSpec, dump_toml

BEFORE_LATER_FIELDS = {
    "bcresnet-8": "c251e2fed9780445",
    "bcresnet-mod-1": "d5fd150c2b904bb5",
    "bcresnet-mod-8": "a8795053b18eaef7",
    "esc10": "6eba3d43235bf43e",
    "scenes-demo": "54fbd3afdbd5db8d",
}


class Inner(Spec):
    LATER: ClassVar[frozenset[str]] = frozenset({"size"})
    old: int = 1
    size: int = 2


class Outer(Spec):
    LATER: ClassVar[frozenset[str]] = frozenset({"words"})
    inner: Inner = Inner()
    words: tuple[str, ...] = Field(default_factory=tuple)


@pytest.mark.parametrize("name", list(BEFORE_LATER_FIELDS))
def test_a_recipe_hashes_as_it_did_before_its_specification_grew(name):
    assert load_recipe(name).digest == BEFORE_LATER_FIELDS[name]


def test_defaults_hash_as_they_did_before_the_specification_grew():
    assert Recipe(model=ModelSpec(name="cnn10")).digest == "d3eeb084cdb24ded"


def test_a_later_field_is_written_only_when_it_differs_from_its_default():
    assert Outer().model_dump() == {"inner": {"old": 1}}
    assert Outer(inner=Inner(size=3), words=("a",)).model_dump(mode="json") == {
        "inner": {"old": 1, "size": 3},
        "words": ["a"],
    }


def test_a_later_field_is_read_back():
    given = Outer(inner=Inner(size=3))
    assert Outer.model_validate_json(given.model_dump_json()) == given
    assert Outer.model_validate(Outer().model_dump()) == Outer()


def test_a_later_field_changes_the_digest_when_it_is_used():
    assert Outer(inner=Inner(size=3)).digest != Outer().digest


def test_every_later_field_is_one_with_a_default():
    kinds = [Spec]
    for kind in kinds:
        kinds += kind.__subclasses__()
        assert all(not kind.model_fields[name].is_required() for name in kind.LATER), kind


def test_resolved_recipe_text_names_no_later_field():
    assert "arithmetic" not in dump_toml(load_recipe("esc10"))


def test_the_length_of_training_is_told_in_what_it_counts():
    assert TrainSpec(epochs=3500).length == "3,500 epochs"
    assert TrainSpec(epochs=7, iterations=60_000).length == "60,000 iterations"
