"""Files that are either whole or absent: atomic writing and digests.

Nothing here knows what the bytes mean. Every artefact of edgeasc is written through `write_bytes`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from edgeasc.errors import BadInput, EdgeascError, ResourceExhausted

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_bytes(path: Path, payload: bytes) -> None:
    """Write `payload` beside `path`, fsync, read back, rename; an older file survives any failure.

    Raises:
        ResourceExhausted: the disk is full or a quota is reached.
        BadInput: the folder is missing, read-only or not a folder.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        if temporary.read_bytes() != payload:
            raise ResourceExhausted("write", "what was read back differs from what was written", path)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise _write_error(error, path) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def append_bytes(path: Path, payload: bytes) -> None:
    """Add `payload` to a log that a reader may be following; a reader must bear a torn last record.

    Raises:
        ResourceExhausted: the disk is full or a quota is reached.
        BadInput: the file cannot be written.
    """
    try:
        with open(path, "ab") as stream:
            stream.write(payload)
    except OSError as error:
        raise _write_error(error, path) from error


def _write_error(error: OSError, path: Path) -> EdgeascError:
    if error.errno in _FULL:
        return ResourceExhausted("write", "no space left", path)
    return BadInput("write", error.strerror or str(error), path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document, keys in the order given, with `write_bytes`."""
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read_bytes(path: Path, what: str) -> bytes:
    """The bytes of `path`.

    Raises:
        BadInput: missing, unreadable, or not a regular file.
    """
    try:
        if not path.is_file():
            raise BadInput(what, "no such file" if not path.exists() else "not a regular file", path)
        return path.read_bytes()
    except OSError as error:
        raise BadInput(what, error.strerror or str(error), path) from error


def read_json(path: Path, what: str) -> Any:
    """The JSON document in `path`.

    Raises:
        BadInput: unreadable or not JSON.
    """
    try:
        return json.loads(read_bytes(path, what))
    except (ValueError, RecursionError) as error:
        raise BadInput(what, f"not JSON ({error})", path) from error


def sha256(payload: bytes) -> str:
    """Lower-case hexadecimal SHA-256 of `payload`."""
    return hashlib.sha256(payload).hexdigest()
