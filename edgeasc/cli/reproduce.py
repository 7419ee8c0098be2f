"""`edgeasc reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, cache_option, set_option
from edgeasc.cli.terminal import assumed, format_option, note, show


@click.command("reproduce", cls=Verb, short_help="Run a paper's table again.")
@click.argument("table")
@click.option("--data", "folders", type=FOLDER, multiple=True, help="A data set of the table. May be repeated.")
@click.option("--quick", is_flag=True, help="First fold, one seed, a short schedule; the table says so.")
@click.option("--seeds", default="0", show_default=True, metavar="N,N", help="Train every row once with each.")
@click.option("--fold", "folds", type=int, multiple=True, help="Hold out this fold only. May be repeated.")
@click.option(
    "--row", "rows", multiple=True, metavar="NAME", help="Only rows with this in their name. May be repeated."
)
@click.option("--stand-in", is_flag=True, help="Take other recordings than the paper's; the table says so.")
@click.option("--plan", "only_plan", is_flag=True, help="List the runs (as json with their recipes), run nothing.")
@set_option
@cache_option
@click.option("--out", type=FOLDER, help="Folder of the runs and the table. Default: reproduce-TABLE here.")
@format_option
def command(
    table: str,
    folders: tuple[Path, ...],
    quick: bool,
    seeds: str,
    folds: tuple[int, ...],
    rows: tuple[str, ...],
    stand_in: bool,
    only_plan: bool,
    settings: tuple[str, ...],
    cache: Path | None,
    out: Path | None,
    form: str,
    quiet: bool,
) -> None:
    """Train the rows of a published table and set what comes out beside what was printed.

    TABLE is gmme-table1, gmme-table2, primates-table2 or primates-table3. Without its recordings the command says where
    to get them. It goes on where it was stopped; --out keeps every run, table.json and table.md.

    \b
      edgeasc reproduce gmme-table1 --data ESC-50 --data UrbanSound8K --seeds 0,1,2 --out tables/gmme1
      edgeasc reproduce primates-table3 --data ComParE2021_PRS --quick
    """
    from edgeasc.data.cache import default_cache
    from edgeasc.reproduce.plan import Choice
    from edgeasc.reproduce.table_run import open_table, reproduce
    from edgeasc.train.progress import progress_for

    choice = Choice(quick, _seeds(seeds), folds, rows, settings)
    where = out or Path(f"reproduce-{table}")
    opened = open_table(table, folders, choice, where, stand_in)
    for found in opened.found.values():
        for text in (*found.dataset.notes, *found.remarks):
            note(text, quiet)
    if only_plan:
        show(opened.plan_blocks(), opened.plan(), form)
        return
    defaults = {"--out": str(where)} if out is None else {}
    assumed(defaults | ({"--cache": str(default_cache())} if cache is None else {}), quiet)
    document: dict[str, Any] = reproduce(opened, progress_for(quiet), cache or default_cache())
    show(opened.blocks(document), document, form)


def _seeds(text: str) -> tuple[int, ...]:
    """`0,1,2` as numbers, each once."""
    from edgeasc.errors import UsageError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) <= 9 for part in parts):
        raise UsageError("--seeds", f"{text!r} is not a list of numbers such as 0,1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))
