"""What changed since the baseline, and in which layers: `+3.1 kB, all in stage4.1.pw`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter

from edgeasc.audit.gate.baseline import BaselineModel, LayerRow
from edgeasc.audit.gate.document import Difference, LayerChange, Measured
from edgeasc.audit.gate.quantities import Quantity, Unit, known, show_change

NAMED = 3  # layers named in one line
_WHAT = {"parameters": "parameters", "nonzero": "non-zero", "bytes": "non-zero bytes", "macs": "MACs"}


def differences(
    before: BaselineModel, numbers: Mapping[str, Measured], layers: Iterable[LayerRow], peak_layer: str
) -> tuple[Difference, ...]:
    """Every number that differs from the baseline's, in the order of `numbers`."""
    now = tuple(layers)
    return tuple(
        difference(known(name), before, number.value, now, peak_layer)
        for name, number in numbers.items()
        if name in before.numbers and before.numbers[name] != number.value
    )


def difference(
    kind: Quantity, before: BaselineModel, value: float, layers: tuple[LayerRow, ...], peak_layer: str
) -> Difference:
    """The difference of one number; its words name the layers, or the place of the peak."""
    old = before.numbers[kind.name]
    changes = layer_changes(before.layers, layers, kind.column) if kind.column else ()
    words = show_change(value - old, kind.unit)
    if kind.name == "ram":
        words += f", peak {_moved(before.peak_layer, peak_layer)}"
    elif kind.column:
        words += _where(kind, value - old, changes)
    return Difference(kind.name, kind.unit, kind.best, old, value, changes, words)


def _moved(before: str, after: str) -> str:
    return f"still in {after}" if before == after else f"moved from {before or 'nowhere'} to {after or 'nowhere'}"


def layer_changes(before: Iterable[LayerRow], after: Iterable[LayerRow], column: str) -> tuple[LayerChange, ...]:
    """What each layer adds to the change of `column`, the largest first."""
    value = attrgetter(column)
    old, new = ({row.name: value(row) for row in rows} for rows in (before, after))
    changes = [
        LayerChange(
            name, new.get(name, 0) - old.get(name, 0),
            "new" if name not in old else "gone" if name not in new else "changed",
        )
        for name in dict.fromkeys((*old, *new))
    ]  # fmt: skip
    return tuple(sorted((item for item in changes if item.change), key=lambda item: -abs(item.change)))


def _where(kind: Quantity, change: float, layers: tuple[LayerChange, ...]) -> str:
    """The layers in words; where the layers' column is not the number itself, that column's own change with them."""
    if not layers:
        return ", no layer changed"
    total = sum(layer.change for layer in layers)
    unit: Unit = "bytes" if kind.column == "bytes" else "count"
    told = "" if total == change else f" ({_WHAT[kind.column]} {show_change(total, unit)})"
    if len(layers) == 1:
        return f", all in {_name(layers[0])}{told}"
    named = ", ".join(f"{show_change(layer.change, unit)} in {_name(layer)}" for layer in layers[:NAMED])
    rest = layers[NAMED:]
    more = f", {show_change(sum(layer.change for layer in rest), unit)} in {len(rest)} more" if rest else ""
    return f": {named}{more}{told}"


def _name(layer: LayerChange) -> str:
    return layer.name if layer.state == "changed" else f"{layer.name} ({layer.state})"
