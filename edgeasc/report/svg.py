"""The few SVG parts that all charts share. Colours are classes of the page's style sheet, so that themes can change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from edgeasc.tables import printable

CHARACTER = 6.3  # width of a character of the charts' 11 px sans-serif, in the drawing's units; an estimate


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to [start, end] of the drawing, logarithmically where `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (
            (math.log(x) for x in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        )
        part = (value - low) / (high - low) if high > low else 0.5
        return self.start + part * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside the range, about `count` of them."""
        return _log_ticks(self.low, self.high, count) if self.log else _ticks(self.low, self.high, count)


def _ticks(low: float, high: float, count: int) -> list[float]:
    if high <= low:
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten with 2 and 5 between, thinned out until there are few enough."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) <= count + 1:
            break
    return found


def clean(words: object) -> str:
    """Text from a stranger for a place between tags or in an attribute."""
    return escape(printable(str(words)), quote=True)


def tag(name: str, content: str = "", **attributes: object) -> str:
    """One element. `content` is markup; attributes are escaped, numbers rounded, `class_` is `class`."""
    parts = [f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items()]
    return f"<{name}{''.join(parts)}>{content}</{name}>" if content else f"<{name}{''.join(parts)}/>"


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else clean(value)


def words(x: float, y: float, text: object, class_: str = "", anchor: str = "start", **attributes: object) -> str:
    """Text with its baseline at `y`."""
    extra = {"class_": class_} if class_ else {}
    extra |= {"text_anchor": anchor} if anchor != "start" else {}
    return tag("text", clean(text), x=float(x), y=float(y), **extra, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=class_)


def tip(text: object) -> str:
    """What a pointer that rests on the element around it is told."""
    return tag("title", clean(text) or " ")


def path(points: list[tuple[float, float]], class_: str) -> str:
    """An open line through `points`; nothing without two of them."""
    if len(points) < 2:
        return ""
    return tag("path", d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), class_=class_)


def drawing(width: float, height: float, body: str, label: str) -> str:
    """The whole picture, `label` being what a screen reader says."""
    box = f"0 0 {width:g} {height:g}"
    return tag("svg", body, viewBox=box, role="img", aria_label=label)


def shortened(text: str, width: float) -> str:
    """`text` with its middle left out where it would be wider than `width`."""
    text, room = printable(text), max(4, int(width / CHARACTER))
    if len(text) <= room:
        return text
    head = (room - 1) // 2
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def percent(share: float, digits: int = 1) -> str:
    """A share as `59.0 %`."""
    return f"{100 * share:.{digits}f} %"


def compact(number: float) -> str:
    """A number in few characters: 950, 4.1k, 1.02M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def short_bytes(size: float) -> str:
    """Bytes in few characters: `950 B`, `4.1 kB`."""
    text = compact(size)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"
