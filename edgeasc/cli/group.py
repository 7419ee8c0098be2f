"""The `edgeasc` command and its verbs, each in the file `cli/<verb>.py` as the object `command`."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

import click

import edgeasc as package

VERBS = (
    "demo",
    "train",
    "reproduce",
    "evaluate",
    "compress",
    "export",
    "audit",
    "check",
    "bench",
    "verify",
    "predict",
    "report",
    "embed",
    "svm",
    "plot",
    "models",
    "rules",
    "targets",
    "explain",
    "doctor",
)


class LazyGroup(click.Group):
    """Finds a verb by importing its file; an unknown one is answered with the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"edgeasc.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if word not in VERBS and not word.startswith("-"):
            close = difflib.get_close_matches(word, VERBS, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]!r}?" if close else f"; one of {', '.join(VERBS)}"
            raise click.UsageError(f"no such command {word!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


class Verb(click.Command):
    """A command with the options that every verb has, and help whose paragraphs keep their lines."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(["--quiet"], is_flag=True, help="No progress and no notes; results and errors only."),
            click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."),
        ]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package.__version__, message="edgeasc %(version)s")
def edgeasc() -> None:
    """From a folder of recordings to an acoustic scene classifier that provably fits the chip.

    Start with `edgeasc demo`, or with your own recordings:

    \b
      edgeasc train bcresnet-mod-1 --data recordings --out runs/float
      edgeasc compress runs/float --budget 4KiB --data recordings --out runs/small
      edgeasc export runs/small --out build
      edgeasc audit build/model.tflite --budget 4KiB

    Exit codes: 0 done and every check holds; 1 a check failed; 2 usage; 3 bad input file;
    4 something optional is not installed; 5 disk, memory or time ran out.
    """
