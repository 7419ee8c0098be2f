"""Accuracy by group (class, recording device) with its 95 % interval, before and after compression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeasc.report.scores import Share
from edgeasc.report.svg import Scale, drawing, line, percent, shortened, tag, tip, words

ROW, TOP, FOOT = 26, 20, 24


def draw_groups(groups: Sequence[Share], overall: Share, before: Mapping[str, float], width: float, what: str) -> str:
    """One row per group: the share, its interval, and a hollow dot for the share before compression where known."""
    if not groups:
        return ""
    left, right = min(150.0, width * 0.27), 100.0
    across = Scale(0.0, 1.0, left, width - right)
    bottom = TOP + ROW * len(groups)
    body = [_axis(across, bottom, width)]
    x = across(overall.accuracy)
    body += [
        line(x, TOP - 4, x, bottom, "overall"),
        words(x, TOP - 8, f"all {percent(overall.accuracy)}", "axis", "middle"),
    ]
    for number, group in enumerate(groups):
        y = TOP + ROW * (number + 0.5)
        body.append(words(left - 10, y + 4, shortened(group.name, left - 10), "label", "end"))
        body.append(line(across(group.low), y, across(group.high), y, "whisker"))
        if group.name in before:
            old = before[group.name]
            text = f"{group.name} before compression: {percent(old)}"
            body.append(tag("circle", tip(text), cx=across(old), cy=y, r=4.5, class_="before"))
        text = f"{group.name}: {percent(group.accuracy)} of {group.n}, {percent(group.low)} to {percent(group.high)}"
        body.append(tag("circle", tip(text), cx=across(group.accuracy), cy=y, r=4.5, class_="now"))
        body.append(words(width, y + 4, f"{percent(group.accuracy)} of {group.n}", "figure", "end"))
    label = f"Accuracy by {what} with intervals: " + ", ".join(f"{g.name} {percent(g.accuracy)}" for g in groups)
    return drawing(width, bottom + FOOT, "".join(body), label)


def _axis(across: Scale, bottom: float, width: float) -> str:
    parts = []
    for tick in across.ticks(4 if width > 500 else 2):
        parts.append(line(across(tick), TOP, across(tick), bottom, "grid"))
        parts.append(words(across(tick), bottom + 16, percent(tick, 0), "axis", "middle"))
    return "".join(parts)
