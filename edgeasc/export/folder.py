"""A folder that appears whole or not at all: built beside its place, then renamed into it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgeasc.errors import BadInput, UsageError

MARK = "manifest.json"


def check_place(out: Path) -> None:
    """Refuse to replace anything but an empty folder or an earlier export.

    Raises:
        UsageError: something else is there.
    """
    if out.exists() and not out.is_dir():
        raise UsageError("export", "exists and is not a folder", out)
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise UsageError("export", f"the folder is not empty and holds no {MARK}; choose another", out)
    above = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UsageError("export", f"cannot be written: {above} is no folder that you may write to", out)


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when the block ends well, and vanishes when not.

    Raises:
        UsageError: `out` holds something that is no export. BadInput: the place cannot be written.
    """
    check_place(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise BadInput("export", error.strerror or str(error), out) from error
    try:
        yield temporary
        temporary.chmod(0o755)
        _replace(temporary, out)
    except OSError as error:
        raise BadInput("export", error.strerror or str(error), out) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace(temporary: Path, out: Path) -> None:
    """Put `temporary` in the place of `out`; an earlier export goes only when the new one is there."""
    if not out.exists():
        os.replace(temporary, out)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        os.replace(out, aside / "old")
        try:
            os.replace(temporary, out)
        except OSError:
            os.replace(aside / "old", out)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
