"""One self-contained page about a run: what it weighs, how well it hears, where, and what the proof says.

`story` reads the run folder, the chart modules turn numbers into inline SVG (pure functions, no library), `page` puts
both into the template. The page loads nothing: no script, no font, no image, and a policy in its head forbids them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["write_report"]
PAGE = "report.html"


def write_report(run: str | Path, out: str | Path | None = None, compare: Sequence[str | Path] = ()) -> Path:
    """Write the page about the run folder `run` and give its path, by default `report.html` in the run folder.

    Args:
        compare: runs to set beside it; by default those found in the folder that holds `run`.

    Raises:
        BadInput: no finished run, or a file in it that does not say what it should.
        MissingDependency: jinja2 is not installed.
    """
    from edgeasc.files import write_text
    from edgeasc.report.page import render_page
    from edgeasc.report.story import read_story

    folder = Path(run)
    page = render_page(read_story(folder, [Path(item) for item in compare]))
    path = folder / PAGE if out is None else Path(out)
    write_text(path, page)
    return path
