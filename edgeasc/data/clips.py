"""The nouns of the room: a clip, where its sound comes from, and a data set of clips.

A clip knows its labels and its group, the recording it was cut from: splits never cut a group. Sound comes from a
`Source`, so that files on disk and rendered scenes look alike to everything downstream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeasc.data.audio import decode_audio
from edgeasc.errors import BadInput
from edgeasc.files import read_bytes, sha256
from edgeasc.specs import nearest

BUILT_IN = "built-in scenes"  # the name of the data set that comes with edgeasc
UNLABELLED = -1  # label of a clip whose class the data set keeps to itself
Role = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Clip:
    """One labelled piece of sound."""

    id: str  # unique within the data set; a relative path for files
    label: int  # index into Dataset.labels
    device: str | None = None  # recording device
    city: str | None = None
    fold: int | None = None
    group: str = ""  # the recording it was cut from
    role: Role | None = None  # set where the data set prescribes its split
    path: Path | None = None


class Source(Protocol):
    """Where the sound of clips comes from."""

    def waveform(self, clip: Clip, sample_rate: int) -> NDArray[np.float32]:
        """Mono samples [n_samples] at `sample_rate` Hz."""
        ...

    def digest(self, clip: Clip) -> str:
        """Lower-case hexadecimal SHA-256 that changes whenever the sound does."""
        ...


class FileSource:
    """Sound from the audio files that the clips name."""

    def waveform(self, clip: Clip, sample_rate: int) -> NDArray[np.float32]:
        """Mono samples [n_samples] at `sample_rate` Hz. Raises: BadInput, see `load_audio`."""
        path = _path(clip)
        return decode_audio(read_bytes(path, "audio"), path, sample_rate)

    def digest(self, clip: Clip) -> str:
        """SHA-256 of the file's bytes."""
        return sha256(read_bytes(_path(clip), "audio"))


@dataclass(frozen=True)
class Dataset:
    """Clips with their class names and their sound.

    `clips` all have a class. `unlabelled` are those of a challenge's test set: there to be predicted, never scored,
    their label `UNLABELLED`. `notes` are sentences on what was assumed or left aside while reading, for the command
    line to print. `layout` is the published layout that was recognised ("esc-50", "urbansound8k", ...), or nothing.
    """

    name: str
    labels: tuple[str, ...]
    clips: tuple[Clip, ...]
    source: Source
    notes: tuple[str, ...] = ()
    unlabelled: tuple[Clip, ...] = ()
    layout: str = ""

    def waveform(self, clip: Clip, sample_rate: int) -> NDArray[np.float32]:
        """The sound of `clip`, float32 [n_samples], mono, at `sample_rate` Hz."""
        return self.source.waveform(clip, sample_rate)

    def digest(self, clip: Clip) -> str:
        """SHA-256 of the sound of `clip`, as `split.csv` and calibration sets record it."""
        return self.source.digest(clip)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the recording devices, sorted; empty when none is known."""
        return tuple(sorted({clip.device for clip in self.clips if clip.device is not None}))

    @property
    def folds(self) -> tuple[int, ...]:
        """Fold numbers present, sorted."""
        return tuple(sorted({clip.fold for clip in self.clips if clip.fold is not None}))

    def find(self, ids: Iterable[str]) -> tuple[Clip, ...]:
        """The clips with these ids, in the order asked for.

        Raises:
            BadInput: an id that the data set does not hold.
        """
        known = {clip.id: clip for clip in self.clips}
        wanted = list(ids)
        for name in wanted:
            if name not in known:
                raise BadInput("data set", f"{self.name} has no clip {name!r}{nearest(name, list(known))}")
        return tuple(known[name] for name in wanted)


def relabelled(dataset: Dataset, labels: Sequence[str]) -> Dataset:
    """`dataset` with its class indices expressed in `labels`, as a trained network counts its classes.

    Raises:
        BadInput: the data set holds a class that `labels` does not.
    """
    order = {name: index for index, name in enumerate(labels)}
    for name in dataset.labels:
        if name not in order:
            raise BadInput("labels", f"class {name!r} is unknown to the network{nearest(name, list(order))}")
    clips = tuple(replace(clip, label=order[dataset.labels[clip.label]]) for clip in dataset.clips)
    return replace(dataset, labels=tuple(labels), clips=clips)


def _path(clip: Clip) -> Path:
    if clip.path is None:
        raise BadInput("audio", f"clip {clip.id!r} has no file")
    return clip.path
