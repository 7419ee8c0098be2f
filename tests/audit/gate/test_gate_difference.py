"""The difference names the layer, and its layers add up to the column."""

from pathlib import Path
from typing import Any

import pytest
from gate_toys import grow, only, repository

from edgeasc.audit.gate.baseline import BaselineModel, LayerRow, write_baseline
from edgeasc.audit.gate.difference import differences
from edgeasc.audit.gate.document import Difference, Measured
from edgeasc.audit.gate.quantities import show_change
from edgeasc.audit.gate.run import check


def row(name: str, size: int = 0, macs: int = 0) -> LayerRow:
    counts = {"parameters": size, "nonzero": size, "bytes": size}
    return LayerRow(name=name, op="conv", macs=macs, activation_bytes=1, **counts)


def change(before: list[LayerRow], after: list[LayerRow], name: str = "nonzero_bytes", **numbers: float) -> Difference:
    """The difference of one number whose value is the sum of its column, or as given."""
    column = {"nonzero_bytes": "bytes", "file": "parameters", "macs": "macs"}[name]
    old, new = (sum(getattr(item, column) for item in rows) for rows in (before, after))
    model = BaselineModel(sha256="0" * 64, numbers={name: numbers.get("old", old)}, layers=tuple(before))
    (found,) = differences(model, {name: Measured(numbers.get("new", new))}, after, "")
    return found


def test_the_grown_layer_is_named(tmp_path: Path) -> None:
    config = repository(tmp_path)
    write_baseline(tmp_path / "edgeasc.baseline.json", check(config), None)
    grow(tmp_path)
    words = {item.name: item.words for item in only(check(config)).differences}
    assert words["file"] == "+3.1 kB, all in stage4.1.pw (parameters +3,072)"
    assert words["parameters"] == "+3,072, all in stage4.1.pw"
    assert words["macs"] == "+491,520, all in stage4.1.pw"
    assert "ram" not in words


def test_one_layer_is_all_of_it() -> None:
    found = change([row("a", 100), row("b", 100)], [row("a", 100), row("b", 3172)])
    assert found.words == "+3.1 kB, all in b"


def test_several_layers_are_told_apart_the_largest_first() -> None:
    found = change([row("a", 100), row("b", 100)], [row("a", 50), row("b", 300)])
    assert found.words == "+150 B: +200 B in b, -50 B in a"


def test_many_layers_are_summed_up() -> None:
    before = [row(f"l{number}", 10) for number in range(5)]
    after = [row(f"l{number}", 20 + number) for number in range(5)]
    found = change(before, after)
    assert found.words == "+60 B: +14 B in l4, +13 B in l3, +12 B in l2, +21 B in 2 more"
    assert sum(layer.change for layer in found.layers) == found.change


def test_layers_that_came_or_went_are_marked() -> None:
    found = change([row("a", 100), row("old", 100)], [row("a", 100), row("new", 150)])
    assert found.words == "+50 B: +150 B in new (new), -100 B in old (gone)"


def test_a_file_that_grew_without_its_layers_says_so() -> None:
    found = change([row("a", 100)], [row("a", 100)], "file", old=500, new=700)
    assert found.words == "+200 B, no layer changed"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [("a", "b", "+10 B, peak moved from a to b"), ("a", "a", "+10 B, peak still in a")],
)
def test_ram_names_the_layer_of_the_peak(before: str, after: str, words: str) -> None:
    model = BaselineModel(sha256="0" * 64, numbers={"ram": 100}, peak_layer=before)
    (found,) = differences(model, {"ram": Measured(110)}, (), after)
    assert found.words == words


def test_a_smaller_accuracy_is_worse_and_a_smaller_file_better() -> None:
    model = BaselineModel(sha256="0" * 64, numbers={"accuracy": 0.7, "file": 100})
    found = differences(model, {"accuracy": Measured(0.65), "file": Measured(90)}, (), "")
    assert [(item.name, item.worse) for item in found] == [("accuracy", True), ("file", False)]
    assert found[0].words == "-5.0 points"


def test_numbers_on_one_side_only_are_no_difference() -> None:
    model = BaselineModel(sha256="0" * 64, numbers={"ram": 100})
    assert differences(model, {"file": Measured(1)}, (), "") == ()


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (999, "bytes", "+999 B"), (3072, "bytes", "+3.1 kB"), (-3072, "bytes", "-3.1 kB"), (1e6, "count", "+1.00 M"),
        (-12, "count", "-12"), (1500, "us", "+1.5 ms"), (0.004, "share", "+0.4 points"),
    ],
)  # fmt: skip
def test_a_change_is_short_and_signed(value: float, unit: Any, words: str) -> None:
    assert show_change(value, unit) == words
