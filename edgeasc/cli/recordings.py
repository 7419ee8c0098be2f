"""The recordings that a run is to hear again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeasc.data.clips import Dataset


def open_recordings(run: Path, data: Path | None) -> Dataset:
    """The data set `--data`; without it the built-in scenes, unless the run was trained on others.

    Raises:
        UsageError: it was. BadInput: no such recordings.
    """
    from edgeasc.data.clips import BUILT_IN
    from edgeasc.data.layouts import open_dataset
    from edgeasc.errors import UsageError
    from edgeasc.runs import Run

    heard = Run(run).info().data.get("name") if data is None and Run(run).exists else None
    if heard not in (None, BUILT_IN):
        raise UsageError("--data", f"the run was trained on {heard!r}; say where these recordings are")
    return open_dataset(data)
