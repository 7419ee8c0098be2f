"""`edgeasc report`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER


@click.command("report", cls=Verb, short_help="Write one self-contained HTML page about a run.")
@click.argument("run", type=FOLDER)
@click.option("--out", type=FOLDER, help="The page to write. Default: report.html in the run folder.")
@click.option(
    "--compare",
    type=FOLDER,
    multiple=True,
    metavar="RUN",
    help="A run to compare with. May be repeated. Default: the runs beside RUN.",
)
def command(run: Path, out: Path | None, compare: tuple[Path, ...], quiet: bool) -> None:
    """Write one HTML page about a run: training curves, accuracy per class and device, confusion, sizes, layers,
    memory, parity, and accuracy against bytes beside other runs.

    The page is one file that loads nothing from anywhere. Needs jinja2 (`pip install 'edgeasc[report]'`).

    \b
      edgeasc report runs/small
      edgeasc report runs/small --out page.html --compare runs/float --compare runs/tiny
    """
    from edgeasc.report import write_report

    path = write_report(run, out, compare)
    if not quiet:
        click.echo(str(path))
