"""Features of clips, computed once: a folder of small files named by front-end spec and clip digest.

    <folder>/<spec digest>/<clip SHA-256>.mel     magic, SHA-256 of the rest, n_mels, n_frames, float32 values

Many processes may share a folder. A file appears by rename, so a reader sees a whole one or none; two writers of the
same clip write the same bytes. A file that fails its checksum is computed again and replaced. The cache is a
convenience: where it cannot be written, one warning is given and the work goes on.
"""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeasc.data.clips import Clip, Dataset
from edgeasc.data.inputs import fit_length, stored_frames
from edgeasc.errors import BadInput
from edgeasc.features.logmel import front_end
from edgeasc.specs import FrontEndSpec, Recipe

_MAGIC = b"EAMEL1\n\0"  # raise the number when the front end's numbers change
_HEADER = struct.Struct("<8s32sII")


def default_cache() -> Path:
    """The folder named by the environment variable EDGEASC_CACHE, or the user's cache folder of the platform."""
    named = os.environ.get("EDGEASC_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "edgeasc"


def feature_array(
    dataset: Dataset, clips: Sequence[Clip], recipe: Recipe, cache: Path | None = None
) -> NDArray[np.float32]:
    """Features of `clips`, float32 [n, 1, n_mels, n_frames of the longest clip]; see `stored_clips`."""
    return stored_clips(dataset, clips, recipe, cache)[0]


def stored_clips(
    dataset: Dataset, clips: Sequence[Clip], recipe: Recipe, cache: Path | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Features of `clips`, float32 [n, 1, n_mels, n_frames of the longest clip], and how long each one was.

    Shorter clips are padded with silence; their own numbers of frames [n] come second, None where all are equal.

    Args:
        dataset: where the sound comes from.
        clips: which clips, in this order.
        recipe: its front end; clips longer than 30 s and than one network input are cut.
        cache: folder of the cache, None for none.

    Raises:
        BadInput: no clips, or a recording that cannot be read.
    """
    if not clips:
        raise BadInput("features", f"no clips asked for of {dataset.name}")
    spec = recipe.features
    folder = _writable(cache / spec.digest) if cache is not None else None
    rows = deque(clip_features(dataset, clip, spec, folder) for clip in clips)
    lengths = np.array([row.shape[1] for row in rows], np.int64)
    n_frames = stored_frames(lengths.tolist(), recipe)
    features = np.empty((len(rows), 1, spec.n_mels, n_frames), np.float32)
    for index in range(len(rows)):
        features[index, 0] = fit_length(rows.popleft(), n_frames, spec.silence)  # memory for one copy of all, not two
    return features, None if len(set(lengths.tolist())) == 1 else np.minimum(lengths, n_frames)


def clip_features(dataset: Dataset, clip: Clip, spec: FrontEndSpec, folder: Path | None = None) -> NDArray[np.float32]:
    """Log-mel features [n_mels, n_frames] of one clip, from `folder` where it has them."""
    if folder is None:
        return front_end(spec)(dataset.waveform(clip, spec.sample_rate))
    path = folder / f"{dataset.digest(clip)}.mel"
    known = _read(path, spec)
    if known is not None:
        return known
    features = front_end(spec)(dataset.waveform(clip, spec.sample_rate))
    _write(path, features)
    return features


def _writable(folder: Path) -> Path | None:
    """`folder`, made if need be; None with a warning where that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        warnings.warn(f"feature cache not used: {folder}: {error.strerror}", stacklevel=3)
        return None
    return folder


def _read(path: Path, spec: FrontEndSpec) -> NDArray[np.float32] | None:
    """The features in a cache file; None where there is no file or a damaged one."""
    try:
        payload = path.read_bytes()
    except OSError:
        return None
    if len(payload) < _HEADER.size:
        return None
    magic, checksum, n_mels, n_frames = _HEADER.unpack_from(payload)
    body = memoryview(payload)[_HEADER.size :]
    sound = magic == _MAGIC and n_mels == spec.n_mels and n_frames > 0 and len(body) == 4 * n_mels * n_frames
    if not sound or checksum != _checksum(n_mels, n_frames, body):
        return None
    return np.frombuffer(body, "<f4").reshape(n_mels, n_frames).astype(np.float32)


def _write(path: Path, features: NDArray[np.float32]) -> None:
    """Put a cache file in place by rename. No fsync: after a crash a torn file fails its checksum, no more."""
    n_mels, n_frames = features.shape
    body = features.astype("<f4").tobytes()
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(_HEADER.pack(_MAGIC, _checksum(n_mels, n_frames, body), n_mels, n_frames))
            stream.write(body)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        warnings.warn(f"feature cache not written: {path.parent}: {error.strerror}", stacklevel=4)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _checksum(n_mels: int, n_frames: int, body: bytes | memoryview) -> bytes:
    return hashlib.sha256(struct.pack("<II", n_mels, n_frames) + body).digest()
