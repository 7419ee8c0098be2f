"""A small data set without files, for tests of splits, caches and calibration."""

import hashlib

import numpy as np

from edgeasc.data.clips import Clip, Dataset


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
