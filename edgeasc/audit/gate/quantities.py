"""The numbers that a gate knows: their units, which way is better, and how they are written for people.

Values are integers of bytes, counts and microseconds, and shares from 0 to 1 for accuracies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["bytes", "count", "us", "share", "misses", "bits"]


@dataclass(frozen=True)
class Quantity:
    """One kind of number.

    Attributes:
        best: whether the least or the most is wanted.
        column: the attribute of a layer that explains a change of it, or empty.
    """

    name: str
    unit: Unit
    words: str
    best: Literal["least", "most"] = "least"
    column: str = ""


_FIXED = {
    item.name: item
    for item in (
        Quantity("file", "bytes", "bytes of the file", column="parameters"),
        Quantity("gzip", "bytes", "bytes of the file after gzip -9", column="parameters"),
        Quantity("parameters", "count", "parameters, zeros included", column="parameters"),
        Quantity("nonzero", "count", "parameters that are not zero", column="nonzero"),
        Quantity("nonzero_bytes", "bytes", "bytes of the parameters that are not zero", column="bytes"),
        Quantity("macs", "count", "multiply-accumulates of one inference", column="macs"),
        Quantity("ram", "bytes", "peak activation bytes"),
        Quantity("arena", "bytes", "bytes of TFLM's tensor arena"),
        Quantity("flash", "bytes", "bytes of the network as C"),
        Quantity("accuracy", "share", "accuracy", "most"),
        Quantity("macro_accuracy", "share", "mean of the classes' accuracies", "most"),
        Quantity("worst_class_accuracy", "share", "accuracy of the worst class", "most"),
        Quantity("worst_device_accuracy", "share", "accuracy on the worst recording device", "most"),
        Quantity("parity", "misses", "rungs of the parity ladder that were missed"),
    )
}
FIXED = tuple(_FIXED)
FROM_EVALUATION = ("accuracy", "macro_accuracy", "worst_class_accuracy", "worst_device_accuracy")
LATENCY, TARGET = "latency ", "target "  # and the target
RULE_BYTES = " bytes"  # after the rule
_OF_RULES: tuple[tuple[str, Unit, str, str], ...] = (  # what is limited, unit, words, column
    ("bytes", "bytes", "bytes", "bytes"),
    ("parameters", "count", "parameters", "parameters"),
    ("MACs", "count", "multiply-accumulates", "macs"),
    ("weight bits", "bits", "bits of the widest weight", ""),
)


def quantity(name: str) -> Quantity | None:
    """The quantity called `name`; families: `<rule> bytes` (parameters, ..) and `latency <target>`."""
    if name in _FIXED:
        return _FIXED[name]
    if name.startswith(LATENCY):
        return Quantity(name, "us", f"time of one inference on {name.removeprefix(LATENCY)}", column="macs")
    if name.startswith(TARGET):
        return Quantity(name, "misses", f"reasons why it cannot run on {name.removeprefix(TARGET)}")
    for what, unit, words, column in _OF_RULES:
        if name.endswith(f" {what}"):
            rule = name.removesuffix(f" {what}")
            return Quantity(name, unit, f"{words} under the rule {rule}", column=column)
    return None


def known(name: str) -> Quantity:
    """The quantity called `name`, which exists."""
    found = quantity(name)
    if found is None:
        raise KeyError(name)
    return found


def show(value: float, unit: Unit) -> str:
    """`value` for people, its unit named."""
    match unit:
        case "bytes":
            return f"{value:,.0f} B"
        case "us":
            return f"{value / 1000:,.3g} ms" if value < 1e6 else f"{value / 1e6:,.3g} s"
        case "share":
            return f"{100 * value:.1f} %"
        case "bits":
            return f"{value:.0f} bit"
        case "misses":
            return "holds" if value == 0 else f"{value:.0f} missed"
        case _:
            return f"{value:,.0f}"


def show_change(change: float, unit: Unit) -> str:
    """A signed difference, short: `+3.1 kB`, `-1,024`, `+0.4 points`; kB is 1000 bytes."""
    sign = "-" if change < 0 else "+"
    size = abs(change)
    match unit:
        case "bytes":
            return f"{sign}{size:,.0f} B" if size < 1000 else f"{sign}{size / 1000:,.1f} kB"
        case "us":
            return f"{sign}{show(size, unit)}"
        case "share":
            return f"{sign}{100 * size:.1f} points"
        case "count" if size >= 1e6:
            return f"{sign}{size / 1e6:,.2f} M"
        case _:
            return f"{sign}{size:,.0f}"
