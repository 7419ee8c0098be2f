"""Training curves: loss, accuracy and sparsity over the epochs of all phases."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeasc.report.history import Epoch, Phase
from edgeasc.report.svg import Scale, drawing, line, path, percent, tag, tip, words

LEFT, RIGHT, TOP, PANEL, GAP, FOOT = 44, 8, 24, 150, 30, 34
Value = Callable[[Epoch], float | None]
Series = tuple[str, str, Value]  # name, class, value of an epoch

LOSS: tuple[Series, ...] = (
    ("train", "one", lambda epoch: epoch.train_loss),
    ("validation", "two", lambda epoch: epoch.validation_loss),
)
ACCURACY: tuple[Series, ...] = (
    ("train", "one", lambda epoch: epoch.train_accuracy),
    ("validation", "two", lambda epoch: epoch.validation_accuracy),
)
SPARSITY: tuple[Series, ...] = (("zeros", "three", lambda epoch: epoch.sparsity),)


def draw_curves(phases: Sequence[Phase], width: float) -> str:
    """Panels below one another that share the axis of epochs; empty where there are no epochs."""
    epochs = [epoch for phase in phases for epoch in phase.epochs]
    if not epochs:
        return ""
    panels = [("loss", LOSS, False), ("accuracy", ACCURACY, True)]
    if any(epoch.sparsity is not None for epoch in epochs):
        panels.append(("weights that are zero", SPARSITY, True))
    across = Scale(epochs[0].number - 0.5, epochs[-1].number + 0.5, LEFT, width - RIGHT)
    height = TOP + len(panels) * (PANEL + GAP) - GAP + FOOT
    body = [_phase_marks(phases, across, height - FOOT)]
    for number, (title, series, shares) in enumerate(panels):
        top = TOP + number * (PANEL + GAP)
        body.append(_panel(phases, series, across, top, shares, width))
        body.append(words(LEFT, top - 6, title, "panel-title"))
    for tick in across.ticks(8 if width > 500 else 4):
        if tick == int(tick) and tick >= 1:
            body.append(words(across(tick), height - FOOT + 16, int(tick), "axis", "middle"))
    body.append(words((LEFT + width - RIGHT) / 2, height - 4, "epoch", "axis", "middle"))
    return drawing(width, height, "".join(body), f"Training curves over {len(epochs)} epochs")


def _phase_marks(phases: Sequence[Phase], across: Scale, bottom: float) -> str:
    parts = []
    for phase in phases:
        first, last = across(phase.epochs[0].number - 0.5), across(phase.epochs[-1].number + 0.5)
        if phase is not phases[0]:
            parts.append(line(first, TOP - 16, first, bottom, "divider"))
        room = last - first
        if room > 6 * len(phase.name) + 6:
            parts.append(words(last - 4, TOP - 8, phase.name, "phase", "end"))
    return "".join(parts)


def _panel(
    phases: Sequence[Phase], series: Sequence[Series], across: Scale, top: float, shares: bool, width: float
) -> str:
    found = [
        value for phase in phases for epoch in phase.epochs for _, _, get in series if (value := get(epoch)) is not None
    ]
    if not found:
        return words(LEFT + 8, top + PANEL / 2, "not recorded", "axis")
    low, high = (0.0, 1.0) if shares else (min(0.0, *found, 0.0), max(found) * 1.05 or 1.0)
    up = Scale(low, high, top + PANEL, top)
    parts = [tag("g", _grid(up, width, shares))]
    for name, class_, get in series:
        for phase in phases:
            points = [(epoch, value) for epoch in phase.epochs if (value := get(epoch)) is not None]
            places = [(across(epoch.number), up(value)) for epoch, value in points]
            parts.append(path(places, f"curve {class_}"))
            for (epoch, value), (x, y) in zip(points, places, strict=True):
                shown = percent(value) if shares else f"{value:.3f}"
                text = f"{name}, {phase.name} epoch {epoch.number}: {shown}"
                parts.append(tag("circle", tip(text), cx=x, cy=y, r=2.0, class_=f"dot {class_}"))
    return "".join(parts)


def _grid(up: Scale, width: float, shares: bool) -> str:
    parts = []
    for tick in up.ticks(4):
        parts.append(line(LEFT, up(tick), width - RIGHT, up(tick), "grid"))
        parts.append(words(LEFT - 6, up(tick) + 4, percent(tick, 0) if shares else f"{tick:g}", "axis", "end"))
    return "".join(parts)
