"""Accuracy against bytes over several runs, and the front of those that no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence

from edgeasc.report.story import Point
from edgeasc.report.svg import CHARACTER, Scale, drawing, line, path, percent, short_bytes, shortened, tag, tip, words

LEFT, RIGHT, TOP, FOOT = 48, 18, 22, 42
Box = tuple[float, float, float, float]  # left, top, right, bottom


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Those for which no other point has at most its bytes and at least its accuracy, by rising bytes.

    Only points judged on the same recordings compete.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda item: (item.bytes, -item.scores.overall.accuracy)):
        if point.same_split and (not front or point.scores.overall.accuracy > front[-1].scores.overall.accuracy):
            front.append(point)
    return front


def draw_pareto(points: Sequence[Point], budget: int | None, width: float) -> str:
    """Runs with the intervals of their accuracy; bytes logarithmically; `budget` as a line."""
    points = [point for point in points if point.bytes > 0]
    if not points:
        return ""
    height = 340.0
    sizes = [point.bytes for point in points] + ([budget] if budget else [])
    across = Scale(min(sizes) * 0.7, max(sizes) * 1.5, LEFT, width - RIGHT, log=True)
    lows = [point.scores.overall.low for point in points]
    highs = [point.scores.overall.high for point in points]
    up = Scale(max(0.0, min(lows) - 0.05), min(1.0, max(highs) + 0.05), height - FOOT, TOP)
    body = [_axes(across, up, width, height)]
    taken: list[Box] = []
    if budget:
        x = across(budget)
        body += [
            line(x, TOP, x, height - FOOT, "limit"),
            words(x + 5, TOP + 10, f"budget {budget:,} B", "limit-name"),
        ]
        taken.append((x, TOP, x + 90, TOP + 14))
    front = pareto_front(points)
    body.append(path(_steps(front, across, up, width - RIGHT), "front"))
    taken += [_around(across(point.bytes), up(point.scores.overall.accuracy), 8) for point in points]
    for point in sorted(points, key=lambda item: item.this):
        body.append(_point(point, across, up))
    for point in sorted(points, key=lambda item: (not item.this, item not in front)):
        body.append(_name(point, across, up, taken, width))
    label = "Accuracy against bytes: " + ", ".join(
        f"{p.name} {percent(p.scores.overall.accuracy)} at {p.bytes:,} bytes" for p in points
    )
    return drawing(width, height, "".join(body), label)


def _axes(across: Scale, up: Scale, width: float, height: float) -> str:
    parts = []
    for tick in up.ticks(5):
        parts.append(line(LEFT, up(tick), width - RIGHT, up(tick), "grid"))
        parts.append(words(LEFT - 6, up(tick) + 4, percent(tick, 0), "axis", "end"))
    for tick in across.ticks(6 if width > 500 else 3):
        parts.append(line(across(tick), height - FOOT, across(tick), height - FOOT + 4, "grid"))
        parts.append(words(across(tick), height - FOOT + 17, short_bytes(tick), "axis", "middle"))
    parts.append(words((LEFT + width - RIGHT) / 2, height - 4, "bytes of non-zero parameters (log)", "axis", "middle"))
    return "".join(parts)


def _steps(front: Sequence[Point], across: Scale, up: Scale, end: float) -> list[tuple[float, float]]:
    """The front as stairs: an accuracy holds until a larger network does better."""
    corners: list[tuple[float, float]] = []
    for point in front:
        x, y = across(point.bytes), up(point.scores.overall.accuracy)
        corners += [(x, corners[-1][1]), (x, y)] if corners else [(x, y)]
    return [*corners, (end, corners[-1][1])] if corners else []


def _point(point: Point, across: Scale, up: Scale) -> str:
    score = point.scores.overall
    x, y = across(point.bytes), up(score.accuracy)
    kind = "this" if point.this else "other" if point.same_split else "elsewhere"
    text = f"{point.name} ({point.form}): {percent(score.accuracy)} of {score.n}, {point.bytes:,} bytes"
    whisker = line(x, up(score.low), x, up(score.high), f"whisker {kind}")
    halo = tag("circle", cx=x, cy=y, r=11, class_="halo") if point.this else ""
    return halo + whisker + tag("circle", tip(text), cx=x, cy=y, r=6.0 if point.this else 4.5, class_=f"point {kind}")


def _name(point: Point, across: Scale, up: Scale, taken: list[Box], width: float) -> str:
    """The run's name at the first free place around its point; none where all are taken (the table has it)."""
    text = shortened(point.name, 150)
    x, y, long = across(point.bytes), up(point.scores.overall.accuracy), CHARACTER * len(text)
    for dx, dy, anchor in ((13, -6, "start"), (13, 15, "start"), (-13, -6, "end"), (-13, 15, "end")):
        left = x + dx if anchor == "start" else x + dx - long
        box = (left, y + dy - 10, left + long, y + dy + 3)
        if box[0] >= LEFT and box[2] <= width and not any(_meet(box, other) for other in taken):
            taken.append(box)
            return words(x + dx, y + dy, text, "label strong" if point.this else "label", anchor)
    return ""


def _around(x: float, y: float, reach: float) -> Box:
    return (x - reach, y - reach, x + reach, y + reach)


def _meet(one: Box, two: Box) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]
