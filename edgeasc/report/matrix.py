"""The confusion matrix: rows are what a clip is, columns what it was taken for."""

from __future__ import annotations

from collections.abc import Sequence

from edgeasc.report.svg import drawing, percent, shortened, tag, tip, words

LIGHT, DARK = (0.0, 0.40), (0.88, 1.0)  # opacities of shares below and above one half: text stays readable on both
COUNTS_UP_TO = 24  # classes; beyond, cells are too small for numbers


def draw_confusion(labels: Sequence[str], counts: Sequence[Sequence[int]], width: float) -> str:
    """A square of cells shaded by their share of the row; empty where there are no counts."""
    if not counts:
        return ""
    room = min(width * 0.29, 150.0)
    side = (width - room - 2) / len(labels)
    top = room * 0.86
    body = []
    for row, (label, line) in enumerate(zip(labels, counts, strict=True)):
        total, y = sum(line), top + row * side
        if side >= 9:
            body.append(words(room - 8, y + side / 2 + 4, shortened(label, room - 8), "label", "end"))
        for column, count in enumerate(line):
            share = count / total if total else 0.0
            x = room + column * side
            body.append(
                _cell(
                    x,
                    y,
                    side,
                    share,
                    row == column,
                    f"{label} taken for {labels[column]}: {count} of {total} ({percent(share)})",
                )
            )
            if count and len(labels) <= COUNTS_UP_TO:
                class_ = "count strong" if share >= 0.5 else "count"
                body.append(words(x + side / 2, y + side / 2 + 4, count, class_, "middle"))
    for column, label in enumerate(labels):
        if side >= 9:
            x, y = room + (column + 0.5) * side + 4, top - 8
            turn = f"rotate(-55 {x:.1f} {y:.1f})"
            body.append(words(x, y, shortened(label, room * 0.95), "label", transform=turn))
    right = sum(counts[index][index] for index in range(len(labels)))
    total = sum(map(sum, counts))
    height = top + side * len(labels) + 2
    return drawing(width, height, "".join(body), f"Confusion matrix: {right} of {total} clips on the diagonal")


def _cell(x: float, y: float, side: float, share: float, right: bool, text: str) -> str:
    low, high = DARK if share >= 0.5 else LIGHT
    opacity = low + (high - low) * ((share - 0.5) * 2 if share >= 0.5 else share * 2)
    class_ = "right" if right else "wrong"
    box = tag("rect", tip(text), x=x + 1, y=y + 1, width=side - 2, height=side - 2, rx=2, class_="cell-back")
    return box + tag(
        "rect", tip(text), x=x + 1, y=y + 1, width=side - 2, height=side - 2, rx=2, class_=class_, fill_opacity=opacity
    )
