"""The runs that a table takes: one for every row, variant, fold and seed, each in a folder of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeasc.errors import UsageError
from edgeasc.recipes import load_recipe
from edgeasc.reproduce.sources import Found
from edgeasc.reproduce.tables import PaperTable, Row, Variant
from edgeasc.specs import Recipe, nearest


@dataclass(frozen=True)
class Choice:
    """What of a table is to be run.

    Attributes:
        quick: shortened as the table says. seeds: each row is trained once with each.
        folds: those to hold out, empty for all (with `quick`, for the first ones).
        rows: names or parts of names of rows, empty for all.
        settings: recipe values put in last, for all runs.
    """

    quick: bool = False
    seeds: tuple[int, ...] = (0,)
    folds: tuple[int, ...] = ()
    rows: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One run."""

    row: Row
    variant: Variant
    fold: int | None
    seed: int
    recipe: Recipe
    folder: Path

    @property
    def words(self) -> str:
        """For the progress: `EAT-S-AA, ESC-50, fold 1, seed 0`."""
        fold = [] if self.fold is None else [f"fold {self.fold}"]
        return ", ".join([self.row.name, self.variant.title, *fold, f"seed {self.seed}"])


def jobs(table: PaperTable, found: Mapping[str, Found], choice: Choice, out: Path) -> list[Job]:
    """All runs, those of one fold and seed side by side so that a table cut short compares like with like.

    Raises:
        UsageError: a row, fold or recipe value that does not exist.
    """
    rows = chosen_rows(table, choice)
    return [
        Job(row, variant, fold, seed, recipe, _folder(out, row, variant, fold, seed))
        for variant in table.variants
        if variant.data in found
        for seed in choice.seeds
        for fold in _folds(table, found[variant.data], choice)
        for row in rows
        for recipe in [row_recipe(table, row, variant, choice, seed)]
    ]


def chosen_rows(table: PaperTable, choice: Choice) -> list[Row]:
    """The rows to run: those asked for, without the ones that are only printed.

    Raises:
        UsageError: a name that no row to be run has.
    """
    rows = [row for row in table.rows if not row.not_run]
    if not choice.rows:
        return rows
    known = [row.name for row in rows]
    for name in choice.rows:
        if not any(name.lower() in one.lower() for one in known):
            raise UsageError("--row", f"no row {name!r}{nearest(name, known) or '; there are ' + '; '.join(known)}")
    return [row for row in rows if any(name.lower() in row.name.lower() for name in choice.rows)]


def row_recipe(table: PaperTable, row: Row, variant: Variant, choice: Choice, seed: int = 0) -> Recipe:
    """The recipe of one cell. Raises: UsageError."""
    quick = table.quick.settings if choice.quick else ()
    settings = (*variant.settings, *row.settings, *quick, *choice.settings, f"train.seed={seed}")
    return load_recipe(row.recipe or variant.recipe, settings)


def _folds(table: PaperTable, found: Found, choice: Choice) -> Sequence[int | None]:
    """The folds to hold out; a single None where the data set prescribes its split or has no folds."""
    known = found.dataset.folds
    if not known or any(clip.role is not None for clip in found.dataset.clips):
        return [None]
    for fold in choice.folds:
        if fold not in known:
            raise UsageError("--fold", f"{fold} asked for; {found.dataset.name} has {', '.join(map(str, known))}")
    if choice.folds:
        return choice.folds
    return known[: table.quick.folds] if choice.quick else known


def _folder(out: Path, row: Row, variant: Variant, fold: int | None, seed: int) -> Path:
    """`OUT/runs/<row>/<variant>[-fold<k>]-seed<s>`."""
    fold_words = "" if fold is None else f"-fold{fold}"
    return out / "runs" / _slug(row.name) / f"{_slug(variant.key)}{fold_words}-seed{seed}"


def _slug(name: str) -> str:
    """A name for a folder on any system."""
    return "-".join(_parts(name.lower())) or "row"


def _parts(name: str) -> Iterator[str]:
    yield from re.findall(r"[a-z0-9_.]+", name.replace("+", " and ").replace("=", " "))
