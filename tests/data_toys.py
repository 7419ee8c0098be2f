"""A small data set without files, for tests of splits, caches and calibration."""

import hashlib
from pathlib import Path

import numpy as np

from edgeasc.data.cache import feature_array
from edgeasc.data.clips import Clip, Dataset
from edgeasc.specs import Recipe


class SeededSource:
    """Sound made from the clip's id; counts how often it is asked, and lasts as long as `seconds` says."""

    def __init__(self, seconds: float = 0.2) -> None:
        self.seconds, self.asked = seconds, 0

    def waveform(self, clip: Clip, sample_rate: int) -> np.ndarray:
        self.asked += 1
        rng = np.random.default_rng(list(clip.id.encode()))
        return 0.1 * rng.standard_normal(int(self.seconds * sample_rate)).astype(np.float32)

    def digest(self, clip: Clip) -> str:
        return hashlib.sha256(clip.id.encode()).hexdigest()


def toy_dataset(
    n_classes: int = 3, groups: int = 5, clips_of: int = 2, folds: int = 0, devices: tuple[str | None, ...] = (None,)
) -> Dataset:
    """`groups` recordings of `clips_of` clips in every class; folds and devices go round."""
    labels = tuple(f"class{index}" for index in range(n_classes))
    clips = []
    for label in range(n_classes):
        for group in range(groups):
            for part in range(clips_of):
                clips.append(
                    Clip(
                        id=f"{label}/{group}/{part}",
                        label=label,
                        device=devices[(group * clips_of + part) % len(devices)],
                        fold=1 + group % folds if folds else None,
                        group=f"{label}/{group}",
                    )
                )
    return Dataset("toy", labels, tuple(clips), SeededSource())


def fill_cache(folder: Path, recipe: Recipe, start: int) -> None:
    """What one of several processes does at once: remove entries and write them again, beginning at clip `start`."""
    dataset = toy_dataset()
    clips = dataset.clips[start:] + dataset.clips[:start]
    for _ in range(3):
        for entry in folder.rglob("*.mel"):
            entry.unlink(missing_ok=True)  # make the writers race again
        feature_array(dataset, clips, recipe, folder)
