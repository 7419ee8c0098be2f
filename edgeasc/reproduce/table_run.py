"""A table from its name and folders of recordings to runs, `table.json` and `table.md`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeasc.files import write_json, write_text
from edgeasc.reproduce import results
from edgeasc.reproduce.execute import finished_scores, run_jobs
from edgeasc.reproduce.plan import Choice, Job, jobs
from edgeasc.reproduce.sources import Found, find_recordings
from edgeasc.reproduce.tables import PaperTable, read_table
from edgeasc.tables import Block, Table, as_markdown

if TYPE_CHECKING:
    from edgeasc.train.progress import Progress


@dataclass(frozen=True)
class OpenTable:
    """A table with its recordings and its runs."""

    name: str
    table: PaperTable
    choice: Choice
    found: dict[str, Found]
    jobs: list[Job]
    out: Path

    def document(self) -> dict[str, Any]:
        """What `table.json` holds, as far as runs are finished."""
        return results.document(self.name, self.table, self.choice, self.found, self.jobs)

    def blocks(self, document: dict[str, Any]) -> list[Block]:
        """`document` for people."""
        return results.blocks(self.table, document)

    def plan(self) -> dict[str, Any]:
        """The runs, their recipes and where they go."""
        runs = [
            {
                "row": job.row.name,
                "variant": job.variant.key,
                "fold": job.fold,
                "seed": job.seed,
                "folder": str(job.folder),
                "done": finished_scores(job) is not None,
                "recipe": job.recipe.model_dump(mode="json"),
            }
            for job in self.jobs
        ]
        return {"schema": results.SCHEMA, "table": self.name, "quick": self.choice.quick, "runs": runs}

    def plan_blocks(self) -> list[Block]:
        """`plan` for people."""
        rows = [(job.words, job.recipe.model.name, job.recipe.train.length) for job in self.jobs]
        table = Table(("run", "network", "schedule"), rows, f"{self.table.title}: {len(rows)} runs")
        return [table, f"Every run gets a folder of its own in {self.out}."]


def open_table(name: str, folders: Sequence[Path], choice: Choice, out: Path, stand_in: bool = False) -> OpenTable:
    """The table called `name` with the recordings in `folders`.

    Raises:
        UsageError: no such table, row, fold or recipe value.
        BadInput: recordings that are missing (with where to get them), not the paper's, or not readable.
    """
    table = read_table(name)
    found = find_recordings(name, table, folders, stand_in)
    return OpenTable(name, table, choice, found, jobs(table, found, choice, out), out)


def reproduce(opened: OpenTable, progress: Progress, cache: Path | None = None) -> dict[str, Any]:
    """Run what is not done, and write the table after every run; the document of `table.json`.

    Raises:
        UsageError: a run of other settings or recordings lies in a folder.
        KeyboardInterrupt: the next call goes on from there.
    """
    write_table(opened)
    run_jobs(opened.jobs, opened.found, progress, cache, after=lambda _: write_table(opened))
    return write_table(opened)


def write_table(opened: OpenTable) -> dict[str, Any]:
    """`table.json` and `table.md` from the runs finished so far."""
    document = opened.document()
    write_json(opened.out / "table.json", document)
    write_text(opened.out / "table.md", as_markdown(opened.blocks(document)))
    return document
