"""The runs that pages are written about."""

from pathlib import Path

import pytest
from report_runs import write_runs


@pytest.fixture()
def runs(tmp_path: Path) -> Path:
    """A folder with the runs `float` and `small` and the export of the latter."""
    return write_runs(tmp_path)
