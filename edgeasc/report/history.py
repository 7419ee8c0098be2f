"""A run's `history.csv` as numbers, phase by phase, those of the run it was compressed from before its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeasc.errors import BadInput
from edgeasc.runs import Run


@dataclass(frozen=True)
class Epoch:
    """One epoch, numbered over all phases; None where nothing was measured."""

    number: int
    phase: str
    train_loss: float | None
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    sparsity: float | None


@dataclass(frozen=True)
class Phase:
    """Epochs of one name that follow one another."""

    name: str
    epochs: tuple[Epoch, ...]


def read_phases(runs: Sequence[Run]) -> tuple[Phase, ...]:
    """The phases of `runs`, oldest run first.

    Raises:
        BadInput: a history that is no table of numbers.
    """
    phases: list[Phase] = []
    number = 0
    for run in runs:
        for row in run.history():
            number += 1
            epoch = Epoch(
                number,
                row["phase"],
                _number(row, "train_loss", run),
                _number(row, "train_accuracy", run),
                _number(row, "validation_log_loss", run),
                _number(row, "validation_accuracy", run),
                _number(row, "sparsity", run),
            )
            if phases and phases[-1].name == epoch.phase:
                phases[-1] = Phase(epoch.phase, (*phases[-1].epochs, epoch))
            else:
                phases.append(Phase(epoch.phase, (epoch,)))
    return tuple(phases)


def _number(row: dict[str, str], key: str, run: Run) -> float | None:
    if not row[key]:
        return None
    try:
        value = float(row[key])
    except ValueError:
        raise BadInput("history", f"{key} {row[key]!r} is not a number", run.history_file) from None
    return value if math.isfinite(value) else None
