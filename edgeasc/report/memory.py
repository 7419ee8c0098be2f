"""The memory timeline: which activations exist at which operator, and where a plan would put them."""

from __future__ import annotations

from edgeasc.report.lifetimes import MemoryPlan
from edgeasc.report.svg import Scale, drawing, line, path, short_bytes, tag, tip, words

LEFT, RIGHT, TOP, FOOT = 48, 10, 22, 40
TINTS = 4


def draw_memory(plan: MemoryPlan, width: float) -> str:
    """Every activation as a block: as wide as it lives, as high as its bytes. The line is the sum of those alive."""
    live = plan.live
    if not live or not plan.height:
        return ""
    height = 320.0
    across = Scale(0, len(plan.steps), LEFT, width - RIGHT)
    up = Scale(0, plan.height, height - FOOT, TOP)
    peak = max(live)
    body = [_axes(across, up, len(plan.steps), width, height)]
    for number, block in enumerate(plan.blocks):
        left, right = across(block.first), across(block.last + 1)
        text = f"{block.name}: {block.bytes:,} bytes, from {plan.steps[block.first]} to {plan.steps[block.last]}"
        body.append(
            tag("rect", tip(text), x=left, y=up(block.end), width=max(right - left - 0.6, 0.6),
                height=max(up(block.offset) - up(block.end) - 0.6, 0.4), class_=f"block tint{number % TINTS}")
        )  # fmt: skip
    stairs = [(across(step + side), up(value)) for step, value in enumerate(live) for side in (0, 1)]
    body.append(path(stairs, "live"))
    step = live.index(peak)
    x = across(step + 0.5)
    body.append(line(x, up(peak), x, height - FOOT, "peak"))
    anchor = "start" if x < width / 2 else "end"
    body.append(
        words(
            x + (6 if anchor == "start" else -6),
            TOP - 8,
            f"peak {peak:,} B in {plan.steps[step]}",
            "limit-name",
            anchor,
        )
    )
    label = f"Memory timeline: at most {peak:,} bytes of activations, in {plan.steps[step]}"
    return drawing(width, height, "".join(body), label)


def _axes(across: Scale, up: Scale, steps: int, width: float, height: float) -> str:
    parts = []
    for tick in up.ticks(5):
        parts.append(line(LEFT, up(tick), width - RIGHT, up(tick), "grid"))
        parts.append(words(LEFT - 6, up(tick) + 4, short_bytes(tick), "axis", "end"))
    for tick in across.ticks(8 if width > 500 else 4):
        if tick < steps and tick == int(tick):
            parts.append(words(across(tick + 0.5), height - FOOT + 16, int(tick) + 1, "axis", "middle"))
    parts.append(words((LEFT + width - RIGHT) / 2, height - 4, "operator, in the order they run", "axis", "middle"))
    return "".join(parts)
