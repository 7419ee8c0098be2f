"""Calibration sets: which clips fix the ranges of quantisation, written down so that anybody can repeat it.

A set is a TOML file: the rule in words, the seed, the data set, and for every clip its id and the SHA-256 of its
sound. Reading one against a data set checks every digest. Clips are spread evenly over classes and, within a class,
over recording devices, because a range seen on one microphone is not the range of another.
"""

from __future__ import annotations

import importlib.util
import json
import zlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from edgeasc.data.clips import Clip, Dataset
from edgeasc.errors import BadInput, UsageError
from edgeasc.files import write_text
from edgeasc.specs import Spec, nearest, parse_spec, read_toml


class CalibrationClip(Spec):
    """One clip of a set."""

    id: str
    label: str
    device: str = ""  # empty where the data set names none
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class CalibrationSet(Spec):
    """A calibration set as its file holds it."""

    schema_: int = Field(1, alias="schema", ge=1, le=1)
    source: str  # name of the data set
    rule: str
    seed: int = Field(ge=0)
    clips: tuple[CalibrationClip, ...] = Field(min_length=1)


def select_calibration(dataset: Dataset, clips: Sequence[Clip], count: int, seed: int = 0) -> CalibrationSet:
    """`count` of `clips` (fewer where there are fewer), balanced over classes and devices.

    Classes take turns; within a class its devices take turns; which clip of a device comes first is drawn.

    Raises:
        BadInput: no clips. UsageError: a count below one.
    """
    if count < 1:
        raise UsageError("calibration", f"{count} clips asked for, at least one is needed")
    if not clips:
        raise BadInput("calibration", f"no clips of {dataset.name} to choose from")
    queues = {label: _by_turns(dataset, label, clips, seed) for label in sorted({clip.label for clip in clips})}
    chosen: list[Clip] = []
    while len(chosen) < min(count, len(clips)):
        chosen += [queue.pop(0) for queue in queues.values() if queue]
    chosen = sorted(chosen[:count], key=lambda clip: clip.id)
    rows = tuple(
        CalibrationClip(
            id=clip.id, label=dataset.labels[clip.label], device=clip.device or "", sha256=dataset.digest(clip)
        )
        for clip in chosen
    )
    rule = f"{len(rows)} training clips; classes take turns, within a class its devices, clips drawn by the seed"
    return CalibrationSet(schema=1, source=dataset.name, rule=rule, seed=seed, clips=rows)


def write_calibration(path: Path, chosen: CalibrationSet) -> None:
    """Write a set as TOML. Raises: see `edgeasc.files.write_bytes`."""
    lines = ["schema = 1", f"source = {json.dumps(chosen.source)}", f"rule = {json.dumps(chosen.rule)}"]
    lines += [f"seed = {chosen.seed}", "clips = ["]
    for clip in chosen.clips:
        cells = ", ".join(f"{key} = {json.dumps(value)}" for key, value in clip.model_dump().items())
        lines.append(f"  {{ {cells} }},")
    write_text(path, "\n".join([*lines, "]", ""]))


def read_calibration(path: Path) -> CalibrationSet:
    """The set in `path`.

    Raises:
        BadInput: unreadable. UsageError: not TOML, or not a calibration set.
    """
    return parse_spec(CalibrationSet, read_toml(path, "calibration"), path, "calibration")


def calibration_clips(chosen: CalibrationSet, dataset: Dataset) -> tuple[Clip, ...]:
    """The clips of a set, each checked to sound as it did when the set was made.

    Raises:
        BadInput: another data set, an id it does not hold, or a clip whose digest differs.
    """
    clips = dataset.find(row.id for row in chosen.clips)
    for row, clip in zip(chosen.clips, clips, strict=True):
        if dataset.digest(clip) != row.sha256:
            raise BadInput("calibration", f"clip {row.id!r} of {dataset.name} is not the one the set was made with")
        if dataset.labels[clip.label] != row.label:
            raise BadInput(
                "calibration", f"clip {row.id!r} is {dataset.labels[clip.label]!r}, the set says {row.label!r}"
            )
    return clips


def calibration_path(name: str) -> Path:
    """The file of a shipped set: in `calibration/` of a checkout, or the package `edgeasc_calibration` of a wheel.

    Raises:
        UsageError: no such set; the nearest one is named.
    """
    folder = _shipped()
    known = sorted(path.stem for path in folder.glob("*.toml"))
    if name not in known:
        raise UsageError("calibration", f"unknown set {name!r}{nearest(name, known)}")
    return folder / f"{name}.toml"


def _by_turns(dataset: Dataset, label: int, clips: Sequence[Clip], seed: int) -> list[Clip]:
    """Clips of one class, devices in turn; which device begins rotates with the class, so that totals even out."""
    by_device: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted((clip for clip in clips if clip.label == label), key=lambda clip: clip.id):
        by_device[clip.device or ""].append(clip)
    devices = sorted(by_device)
    devices = devices[label % len(devices) :] + devices[: label % len(devices)]
    for device in devices:
        rng = np.random.default_rng([seed, zlib.crc32(f"{dataset.labels[label]}/{device}".encode())])
        by_device[device] = [by_device[device][index] for index in rng.permutation(len(by_device[device]))]
    rounds = max(len(queue) for queue in by_device.values())
    return [by_device[device][turn] for turn in range(rounds) for device in devices if turn < len(by_device[device])]


def _shipped() -> Path:
    checkout = Path(__file__).resolve().parent.parent.parent
    if (checkout / "setup.cfg").is_file() and (checkout / "calibration").is_dir():
        return checkout / "calibration"
    found = importlib.util.find_spec("edgeasc_calibration")
    for place in (found.submodule_search_locations or ()) if found else ():
        return Path(place)
    raise UsageError("calibration", "the shipped calibration sets are not installed")
