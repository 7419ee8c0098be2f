"""Options that several verbs share, spelt once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
FOLDER = click.Path(path_type=Path)


def data_option(purpose: str = "Recordings") -> Decorator:
    """`--data`: a folder or a CSV file."""
    layouts = "one folder per class, a CSV with path and label, ESC-50, UrbanSound8K, Speech Commands or ComParE PRS"
    return click.option("--data", type=FOLDER, help=f"{purpose}: {layouts}. Without it: built-in scenes.")


def out_option(what: str) -> Decorator:
    """`--out`, required."""
    return click.option("--out", type=FOLDER, required=True, help=what)


def optimise_option(where: str, default: str | None = "balanced") -> Decorator:
    """`--optimise`, for the C that `where` writes. Without a default, C that lies there stays as it is."""
    what = f"{where}: store weights in fewest bytes, for fewest instructions by a fitted model, or a sum of both."
    return click.option(
        "--optimise", type=click.Choice(["size", "speed", "balanced"]), default=default,
        show_default=default or "balanced, or as it was written", help=what,
    )  # fmt: skip


fold_option = click.option("--fold", type=int, help="The fold to test on, where the recordings have folds.")
teacher_option = click.option("--teacher", type=FOLDER, help="A trained run whose answers are distilled.")
set_option = click.option(
    "--set", "settings", multiple=True, metavar="A.B=V", help="Change one recipe value, such as train.epochs=20."
)
resume_option = click.option("--resume", is_flag=True, help="Go on with the interrupted run in --out.")
cache_option = click.option(
    "--cache",
    type=FOLDER,
    help="Folder that keeps features between calls. Default: EDGEASC_CACHE, or the user's cache.",
)
runtime_option = click.option("--runtime", metavar="NAME", help="What computes; `edgeasc doctor` lists what is here.")
threads_option = click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of the runtime."
)
require_option = click.option(
    "--require", multiple=True, metavar="RUNTIME", help="Fail when this runtime is not installed. May be repeated."
)
