"""How long work shows itself: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
from typing import IO, Any


class Progress:
    """The quiet one, and what the others implement."""

    def phase(self, name: str, epochs: int, done: int, steps: int) -> None:
        """A phase of `epochs` epochs of `steps` steps begins after `done` epochs."""

    def step(self) -> None:
        """One training step is done."""

    def epoch(self, row: dict[str, Any]) -> None:
        """One epoch is done; `row` goes into the history."""

    def note(self, text: str) -> None:
        """Something a user should know, on one line."""

    def close(self) -> None:
        """No more work, or an error: leave the terminal clean."""


class Lines(Progress):
    """One line per epoch."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stderr
        self.epochs = 0

    def phase(self, name: str, epochs: int, done: int, steps: int) -> None:
        self.epochs = epochs

    def epoch(self, row: dict[str, Any]) -> None:
        self.note(f"{row['phase']} {row['epoch']}/{self.epochs}  {describe(row)}")

    def note(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class Bar(Progress):
    """A bar per phase, drawn by rich, with the last epoch's scores."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[scores]}"),
        )
        self.rich = RichProgress(*columns, console=Console(file=stream or sys.stderr))
        self.task: Any = None

    def phase(self, name: str, epochs: int, done: int, steps: int) -> None:
        self.rich.start()
        self.task = self.rich.add_task(name, total=epochs * steps, completed=done * steps, scores="")

    def step(self) -> None:
        self.rich.advance(self.task)

    def epoch(self, row: dict[str, Any]) -> None:
        self.rich.update(self.task, scores=describe(row))

    def note(self, text: str) -> None:
        self.rich.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        self.rich.stop()


def progress_for(quiet: bool = False, stream: IO[str] | None = None) -> Progress:
    """The kind of progress that suits `stream` (standard error)."""
    stream = stream or sys.stderr
    if quiet:
        return Progress()
    return Bar(stream) if stream.isatty() else Lines(stream)


def describe(row: dict[str, Any]) -> str:
    """The scores of one epoch in a few words."""
    parts = [f"loss {row['train_loss']:.3f}"]
    if row.get("validation_macro_accuracy") is not None:
        parts.append(f"validation UAR {row['validation_macro_accuracy']:.1%}")
    if row.get("validation_mean_average_precision") is not None:
        parts.append(f"mAP {row['validation_mean_average_precision']:.1%}")
    if row.get("sparsity") is not None:
        parts.append(f"sparsity {row['sparsity']:.1%}")
    return "  ".join(parts)
