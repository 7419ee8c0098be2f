"""`edgeasc check`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER
from edgeasc.cli.terminal import note, repository_root, show
from edgeasc.errors import CheckFailed, EdgeascError, UsageError

if TYPE_CHECKING:
    from edgeasc.audit.gate.document import GateReport

FORMATS = ("text", "json", "markdown", "junit", "github", "sarif")


@click.command("check", cls=Verb, short_help="The CI gate: many models, many limits, the difference to a baseline.")
@click.option("--config", type=FOLDER, default=Path("edgeasc.toml"), show_default=True, help="Artefacts and limits.")
@click.option("--baseline", type=FOLDER, help="Compare with this file.  [default: the one that the config names]")
@click.option(
    "--update-baseline",
    "--write-baseline",
    "update",
    is_flag=True,
    help="Write what was found as the new baseline, when every limit holds.",
)
@click.option(
    "--ratchet/--no-ratchet", default=None, help="No number may be worse than the baseline's.  [default: the config's]"
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print.")
@click.option(
    "--output", "outputs", multiple=True, metavar="FORMAT=FILE", help="Write a format to a file too. May be repeated."
)
def command(
    config: Path,
    baseline: Path | None,
    update: bool,
    ratchet: bool | None,
    form: str,
    outputs: tuple[str, ...],
    quiet: bool,
) -> int:
    """Judge every model that edgeasc.toml lists, and say which layer made the difference.

    Under the ratchet a number that is worse than in the baseline fails as well, and --update-baseline only ever makes
    the baseline better. In GitHub Actions --format github annotates, and fills the step's summary.

    \b
      edgeasc check
      edgeasc check --ratchet --format github --output junit=edgeasc.junit.xml
      edgeasc check --update-baseline
    """
    from edgeasc.audit.gate.baseline import write_baseline
    from edgeasc.audit.gate.config import read_config
    from edgeasc.audit.gate.formats.render import render
    from edgeasc.audit.gate.run import baseline_path, find_baseline, gate
    from edgeasc.files import write_text

    places = _outputs(outputs)
    read = read_config(config)
    path = baseline_path(read, baseline)
    before = (path, None) if update and not path.exists() else find_baseline(read, baseline)
    fresh = update and before[1] is None
    report = gate(read, before, False if fresh else ratchet)
    root = repository_root()
    texts = [(place, render(report, kind, root)) for kind, place in places]  # all of them before the first is written
    for place, text in texts:
        write_text(place, text)
    _print(report, form, root)
    if form == "github":
        _step_summary(report, root, quiet)
    if update:
        if not report.passed:
            raise CheckFailed("baseline", "not written: a limit is broken", path)
        write_baseline(path, report, before[1])
        note(f"baseline written: {path}", quiet)
    return report.exit_code


def _outputs(texts: tuple[str, ...]) -> list[tuple[str, Path]]:
    """`FORMAT=FILE` texts.

    Raises:
        UsageError: another form, or a file named twice.
    """
    found: list[tuple[str, Path]] = []
    for text in texts:
        form, equals, name = text.partition("=")
        if form not in FORMATS or not equals or not name:
            raise UsageError("--output", f"{text!r}: write FORMAT=FILE with one of {', '.join(FORMATS)}")
        if any(place == Path(name) for _, place in found):
            raise UsageError("--output", f"{name!r} is named twice")
        found.append((form, Path(name)))
    return found


def _print(report: GateReport, form: str, root: Path) -> None:
    from edgeasc.audit.gate.formats.blocks import check_blocks
    from edgeasc.audit.gate.formats.render import render

    if form == "text":
        show(check_blocks(report), None, form)
    else:
        click.echo(render(report, form, root), nl=False)


def _step_summary(report: GateReport, root: Path, quiet: bool) -> None:
    """Append Markdown to the file that GitHub names; that it cannot be written does not change the verdict."""
    from edgeasc.audit.gate.formats.render import render
    from edgeasc.files import append_bytes

    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    try:
        append_bytes(Path(place), (render(report, "markdown", root) + "\n").encode())
    except EdgeascError as error:
        note(f"no step summary: {error}", quiet)
