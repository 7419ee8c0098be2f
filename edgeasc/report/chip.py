"""The budget as a chip: as many cells as the budget has bytes, filled layer by layer. What stays empty is headroom."""

from __future__ import annotations

from collections.abc import Sequence

from edgeasc.audit.document import Layer
from edgeasc.report.svg import drawing, line, short_bytes, tag, tip

SIDE = 48  # cells along each side
CELL = 6
PIN, PINS = 10, 12  # length of a pin, and how many each side has
EDGE = 14  # the package around the cells
TINTS = 4


def draw_chip(layers: Sequence[Layer], used: int, budget: int | None) -> str:
    """The non-zero bytes of `layers` in a package of `budget` bytes (without one, of `used`); a breach leaves it."""
    room = max(budget or used, 1)
    per_cell = room / SIDE**2
    body_side = SIDE * CELL + 2 * EDGE
    body = [_package(body_side)]
    start = PIN + EDGE
    whole = SIDE**2 if used >= room else max(1, round(used / per_cell))
    filled, cells = 0.0, 0
    for number, layer in enumerate(item for item in layers if item.bytes):
        filled += layer.bytes
        until = min(whole, round(filled / per_cell))
        if until > cells:
            shape = _cells(cells, until, start, start)
            text = f"{layer.name}: {layer.bytes:,} bytes not zero"
            body.append(tag("path", tip(text), d=shape, class_=f"cell tint{number % TINTS}"))
        cells = max(cells, until)
    if whole < SIDE**2:
        shape = _cells(whole, SIDE**2, start, start)
        body.append(tag("path", tip(f"{room - used:,} bytes left"), d=shape, class_="cell free"))
    size = body_side + 2 * PIN
    label = f"{used:,} of {room:,} bytes"
    if used > room:
        body.append(tag("rect", x=PIN, y=PIN, width=body_side, height=body_side, rx=8, class_="breach"))
        label += ", over the budget"
    return drawing(size, size, "".join(body), f"Chip diagram: {label}")


def cell_words(used: int, budget: int | None) -> str:
    """What one cell of the chip stands for."""
    left = f", {budget - used:,} B free" if budget and budget >= used else ""
    return f"One cell is {short_bytes(round(max(budget or used, 1) / SIDE**2, 2))}; shades are layers{left}"


def _package(side: int) -> str:
    pins = []
    for index in range(PINS):
        at = PIN + side * (index + 0.5) / PINS
        pins += [line(0, at, PIN, at, "pin"), line(PIN + side, at, side + 2 * PIN, at, "pin")]
        pins += [line(at, 0, at, PIN, "pin"), line(at, PIN + side, at, side + 2 * PIN, "pin")]
    body = tag("rect", x=PIN, y=PIN, width=side, height=side, rx=8, class_="package")
    return "".join(pins) + body + tag("circle", cx=PIN + 7, cy=PIN + 7, r=2.5, class_="mark")


def _cells(first: int, until: int, left: float, top: float) -> str:
    """Path data of the cells [first, until), row after row, one rectangle per row."""
    parts, inner = [], CELL - 1
    while first < until:
        row, column = divmod(first, SIDE)
        count = min(until - first, SIDE - column)
        x, y = left + column * CELL, top + row * CELL
        parts += [f"M{x + index * CELL:g} {y:g}h{inner}v{inner}h-{inner}z" for index in range(count)]
        first += count
    return "".join(parts)
