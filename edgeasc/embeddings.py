"""Embeddings of clips in a file: what a network knows of each clip before it decides, for other tools and for a look.

A NumPy `.npz` of plain arrays, never a pickle: `embeddings` float32 `[n, n_features]`, `labels` `[n]` indices into
`names`, `clips` (ids), `groups` (the recording or fold a clip belongs to) and `roles` (what the run used it for:
`train`, `validation`, `test`, or `other` for clips that it does not know).
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.files import read_bytes, write_bytes

ROLES = ("train", "validation", "test", "other")


@dataclass(frozen=True)
class Embeddings:
    """The arrays of the file; all but `names` have one entry per clip."""

    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: NDArray[np.str_]
    clips: NDArray[np.str_]
    groups: NDArray[np.str_]
    roles: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def of_role(self, *roles: str) -> NDArray[np.bool_]:
        """Which clips have one of these roles."""
        return np.isin(self.roles, roles)


def write_embeddings(path: Path, content: Embeddings) -> None:
    """Write the file, whole or not at all."""
    stream = io.BytesIO()
    np.savez(stream, **{field.name: getattr(content, field.name) for field in fields(Embeddings)})
    write_bytes(path, stream.getvalue())


def read_embeddings(path: Path) -> Embeddings:
    """What `write_embeddings` wrote.

    Raises:
        BadInput: missing, no such file, or arrays that do not fit together.
    """
    payload = read_bytes(path, "embeddings")
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
            arrays = {field.name: stored[field.name] for field in fields(Embeddings)}
    except (ValueError, KeyError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        why = "" if "pickle" in str(error) else f" ({error})"  # numpy's word for whatever it does not know
        raise BadInput("embeddings", f"not a file of `edgeasc embed`{why}", path) from error
    _check(arrays, path)
    arrays["embeddings"] = arrays["embeddings"].astype(np.float32)
    arrays["labels"] = arrays["labels"].astype(np.int64)
    return Embeddings(**arrays)


def _check(arrays: dict[str, NDArray[Any]], path: Path) -> None:
    """Types, shapes and values of arrays from a stranger."""

    def refuse(why: str) -> BadInput:
        return BadInput("embeddings", why, path)

    points, labels, names = arrays["embeddings"], arrays["labels"], arrays["names"]
    if points.ndim != 2 or points.dtype.kind != "f" or 0 in points.shape:
        raise refuse(f"embeddings are {points.dtype} {list(points.shape)}, expected floats [n, n_features]")
    if not np.isfinite(points).all():
        raise refuse("an embedding is not finite")
    for name in ("labels", "clips", "groups", "roles"):
        if arrays[name].shape != (len(points),):
            raise refuse(f"{name} has shape {list(arrays[name].shape)}, expected [{len(points)}]")
    for name in ("names", "clips", "groups", "roles"):
        if arrays[name].dtype.kind != "U" or arrays[name].ndim != 1:
            raise refuse(f"{name} is no list of words")
    if labels.dtype.kind != "i" or labels.min() < 0 or labels.max() >= len(names):
        raise refuse(f"labels are not indices into {len(names)} names")
    unknown = sorted(set(arrays["roles"].tolist()) - set(ROLES))
    if unknown:
        raise refuse(f"unknown role {unknown[0]!r}; one of {', '.join(ROLES)}")
