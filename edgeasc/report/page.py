"""The page: the template filled with a run's numbers and its charts, each drawn for a wide and for a narrow screen."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any

import edgeasc
from edgeasc.extras import missing
from edgeasc.report.chip import cell_words, draw_chip
from edgeasc.report.curves import draw_curves
from edgeasc.report.groups import draw_groups
from edgeasc.report.matrix import draw_confusion
from edgeasc.report.memory import draw_memory
from edgeasc.report.pareto import draw_pareto, pareto_front
from edgeasc.report.scores import Scores
from edgeasc.report.story import Rung, Story
from edgeasc.report.svg import compact, percent
from edgeasc.sizes import format_size
from edgeasc.tables import printable

if TYPE_CHECKING:
    from edgeasc.audit.document import Layer, ModelAudit

WIDE, NARROW = 760.0, 350.0  # drawing units; on the screen about as many pixels
FOUND = "integers"  # the stage of a compression that is the deployed network


def render_page(story: Story) -> str:
    """The whole page as HTML.

    Raises:
        MissingDependency: jinja2 is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise missing(error.name) or error from None
    folder = resources.files("edgeasc.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"percent": percent, "compact": compact, "size": format_size, "plain": printable}
    environment.filters["breakable"] = _breakable
    template = environment.from_string((folder / "page.html.jinja").read_text(encoding="utf-8"))
    style = (folder / "page.css").read_text(encoding="utf-8")
    return template.render(
        story=story,
        scores=story.scores,
        audit=story.audit,
        style=style,
        version=edgeasc.__version__,
        figures=_figures(story),
        sizes=_sizes(story.audit) if story.audit else [],
        layers=_layers(story.audit) if story.audit else [],
        hidden=len(story.audit.layers) - len(_counted(story.audit)) if story.audit else 0,
        front={point.name for point in pareto_front(story.points)},
        rungs=[(rung, _verdict(rung)) for rung in story.rungs],
        charts=_charts(story),
        before=_before(story),
    )


def _charts(story: Story) -> dict[str, Any]:
    """Markup by chart; empty where the run has no numbers for it."""
    scores, before = story.scores, _before(story)
    old_class, old_device = (
        {share.name: share.accuracy for share in group}
        for group in ((before.per_class, before.per_device) if before else ((), ()))
    )
    audit, memory = story.audit, story.memory
    budget = story.budget if audit and audit.rules and audit.rules[0].name == "deployed" else None
    return {
        "chip": _once(draw_chip(audit.layers, audit.parameters.nonzero_bytes, budget)) if audit else "",
        "cell": cell_words(audit.parameters.nonzero_bytes, budget) if audit else "",
        "devices": _both(lambda width: draw_groups(scores.per_device, scores.overall, old_device, width, "device")),
        "classes": _both(lambda width: draw_groups(scores.per_class, scores.overall, old_class, width, "class")),
        "confusion": _both(lambda width: draw_confusion(scores.labels, scores.confusion, min(width, 620.0))),
        "curves": _both(lambda width: draw_curves(story.phases, width)),
        "pareto": _both(lambda width: draw_pareto(story.points, budget, width)),
        "memory": _both(lambda width: draw_memory(memory, width)) if memory else "",
    }


def _once(markup: str) -> Any:
    from markupsafe import Markup

    return Markup(markup)  # made by our own drawing functions, which escape every name


def _breakable(name: str) -> Any:
    """A layer's name, with places at which a narrow column may break it."""
    from markupsafe import Markup, escape

    text = str(escape(printable(name)))
    return Markup(text.replace(".", ".<wbr>").replace("_", "_<wbr>"))  # escaped above


def _both(draw: Callable[[float], str]) -> Any:
    """A chart in two widths, of which the style sheet shows one: text keeps its size on a phone."""
    wide, narrow = draw(WIDE), draw(NARROW)
    if not wide:
        return ""
    return _once(f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>')


def _before(story: Story) -> Scores | None:
    """The scores before compression."""
    return story.stages[0][1] if len(story.stages) > 1 else None


def _figures(story: Story) -> list[tuple[str, str, str]]:
    """The few numbers at the top: name, value, what it means."""
    overall = story.scores.overall
    interval = f"{100 * overall.low:.1f} to {100 * overall.high:.1f} %, n = {overall.n}"
    rows = [("accuracy", percent(overall.accuracy), interval)]
    audit = story.audit
    if audit:
        rule = audit.rules[0]
        of = f"of {story.budget:,} allowed, rule {rule.name}" if story.budget else f"rule {rule.name}"
        rows.append(("weights", f"{rule.bytes:,} B", of))
        rows.append(("MACs", compact(audit.macs), "multiply-accumulates of one inference"))
        rows.append(("activations", f"{audit.peak_activation_bytes:,} B", f"at their peak, in {audit.peak_layer}"))
    else:
        rows.append(("log loss", f"{story.scores.log_loss:.3f}", "lower is better"))
    judged = [rung for rung in story.rungs if rung.passed is not None]
    if judged:
        good = sum(bool(rung.passed) for rung in judged)
        rows.append(("parity", f"{good} of {len(judged)}", "runtimes within their limit"))
    return rows


def _sizes(audit: ModelAudit) -> list[tuple[str, int, str, float]]:
    """Sizes that are often mistaken for one another: name, bytes, meaning, share of the largest."""
    rows = [(f"rule {rule.name}", rule.bytes, f"as the rule counts: {rule.text}") for rule in audit.rules]
    if all(rule.name != "deployed" for rule in audit.rules):
        rows.append(("non-zero", audit.parameters.nonzero_bytes, "non-zero weights and biases, each at its width"))
    rows += [
        ("all parameters", audit.parameters.bytes, "zeros included, each at its width"),
        ("file", audit.file_bytes, f"the .{audit.format} on disk, zeros and names included"),
        ("file, gzip -9", audit.gzip_bytes, "what a download costs"),
        ("activations", audit.peak_activation_bytes, "RAM of the layers' outputs at their peak; no runtime included"),
    ]
    most = max(size for _, size, _ in rows) or 1
    return [(name, size, words, size / most) for name, size, words in rows]


def _counted(audit: ModelAudit) -> list[Layer]:
    return [layer for layer in audit.layers if layer.parameters or layer.macs]


def _layers(audit: ModelAudit) -> list[dict[str, Any]]:
    """Rows of the table of layers, each number with its share of the column's largest."""
    layers = _counted(audit)
    most = {key: max((getattr(layer, key) for layer in layers), default=0) or 1 for key in _COLUMNS}
    return [
        {
            "layer": layer,
            "output": "×".join(str(side) for side in layer.output_shape[1:]) or "1",
            "zeros": 1 - layer.nonzero / layer.parameters if layer.parameters else None,
            "cells": [(getattr(layer, key), getattr(layer, key) / most[key]) for key in _COLUMNS],
        }
        for layer in layers
    ]


_COLUMNS = ("bytes", "macs", "activation_bytes")


def _verdict(rung: Rung) -> tuple[str, str]:
    """Class and word of a rung's verdict."""
    if rung.passed is None:
        return "info", "for information"
    return ("good", "holds") if rung.passed else ("bad", "missed")
