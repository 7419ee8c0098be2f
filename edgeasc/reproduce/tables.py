"""A published table as data: rows, variants (data sets or columns), what was printed, and how to run it again.

A run takes the recipe of its row, or else of its variant, with the settings of the variant, then of the row, and with
`--quick` those of the table's `[quick]` section. Printed figures are kept as the text that the paper prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from edgeasc.errors import UsageError
from edgeasc.specs import Spec, nearest, parse_spec, read_toml

Metric = Literal[
    "parameters",  # of the network
    "pooling_parameters",  # of the two poolings of part 2 of EAT-S
    "test_accuracy",
    "test_macro_accuracy",
    "devel_macro_accuracy",  # on the prescribed validation clips; where there are none, on the test clips
    "devel_mean_average_precision",
]
WORDS: dict[Metric, str] = {
    "parameters": "parameters",
    "pooling_parameters": "parameters of the pooling",
    "test_accuracy": "accuracy %",
    "test_macro_accuracy": "UAR % test",
    "devel_macro_accuracy": "UAR % devel",
    "devel_mean_average_precision": "mAP % devel",
}


class Recordings(Spec):
    """One data set that a table needs."""

    key: str
    title: str
    layout: Literal["esc-50", "urbansound8k", "speech-commands", "compare-prs"]
    classes: int = Field(ge=2)
    clips: int = Field(ge=1)  # with a label
    folds: int = Field(0, ge=0)  # 0: the split is prescribed
    get: str  # where it comes from
    files: str  # how it lies on disk


class Variant(Spec):
    """One group of columns: a data set, or a network."""

    key: str
    title: str
    data: str  # key of the recordings
    recipe: str = ""
    settings: tuple[str, ...] = ()
    metrics: tuple[Metric, ...]


class Row(Spec):
    """One row: a setting, and what the paper printed for it by variant and metric."""

    name: str
    recipe: str = ""
    settings: tuple[str, ...] = ()
    not_run: str = ""  # why this row is only printed
    printed: dict[str, dict[Metric, str]] = {}


class Quick(Spec):
    """What `--quick` changes."""

    settings: tuple[str, ...]
    folds: int = Field(1, ge=1)  # the first ones


class PaperTable(Spec):
    """The definition of a table; see the module's text."""

    schema_: Literal[1] = Field(alias="schema")
    title: str
    source: str
    notes: tuple[str, ...] = ()
    recordings: tuple[Recordings, ...]
    variants: tuple[Variant, ...]
    rows: tuple[Row, ...]
    quick: Quick

    @model_validator(mode="after")
    def _consistent(self) -> PaperTable:
        sets, variants = {one.key for one in self.recordings}, {one.key: one for one in self.variants}
        for variant in self.variants:
            if variant.data not in sets:
                raise ValueError(f"variant {variant.key!r} needs {variant.data!r}, which is not described")
        if len({row.name for row in self.rows}) != len(self.rows):
            raise ValueError("two rows of one name")
        for row in self.rows:
            for key, figures in row.printed.items():
                if key not in variants or not set(figures) <= set(variants[key].metrics):
                    raise ValueError(f"row {row.name!r} prints figures of no column ({key})")
            if not row.not_run and not all(row.recipe or variant.recipe for variant in self.variants):
                raise ValueError(f"row {row.name!r} has no recipe")
        return self

    def recordings_of(self, variant: Variant) -> Recordings:
        """What a variant is run on."""
        return next(one for one in self.recordings if one.key == variant.data)


def table_names() -> list[str]:
    """Names of the tables that can be run again, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.toml"))


def read_table(name: str) -> PaperTable:
    """The table called `name`.

    Raises:
        UsageError: there is none, with the nearest name.
    """
    if name not in table_names():
        hint = nearest(name, table_names()) or f"; there are {', '.join(table_names())}"
        raise UsageError("reproduce", f"unknown table {name!r}{hint}")
    return parse_table(read_toml(Path(__file__).parent / f"{name}.toml", "table"), name)


def parse_table(document: dict[str, Any], name: str) -> PaperTable:
    """`document` as a table. Raises: UsageError, with the key that is wrong."""
    return parse_spec(PaperTable, document, Path(f"{name}.toml"), "table")
