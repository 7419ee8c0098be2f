"""Recordings as the simulated devices of the built-in scenes would have made them: a domain shift for any data set.

The recording stands for the sound in the air, at the level it has in its file: devices compress above a level and
have a noise floor, so that faint recordings suffer more. Nothing else about the data set changes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from edgeasc.data.clips import Clip, Dataset, Source
from edgeasc.data.scene_devices import BY_NAME, Device, recorded
from edgeasc.data.scene_sounds import SAMPLE_RATE
from edgeasc.data.scenes import VERSION
from edgeasc.errors import UsageError
from edgeasc.files import sha256
from edgeasc.specs import nearest

_RINGING = SAMPLE_RATE // 10  # samples of silence that take up what the circular filter of a device wraps around


def heard_through(dataset: Dataset, name: str, seed: int = 0) -> Dataset:
    """`dataset` with every clip recorded once more by the simulated device `name` (`a`, `b`, `c`, `s1` to `s6`).

    Ids, labels, folds and groups stay; `device` becomes `name`. `seed` draws the noise of the electronics.

    Raises:
        UsageError: no such device.
    """
    if name not in BY_NAME:
        hint = nearest(name, list(BY_NAME)) or f"; there are {', '.join(BY_NAME)}"
        raise UsageError("device", f"unknown simulated device {name!r}{hint}")
    clips = tuple(replace(clip, device=name) for clip in dataset.clips)
    return replace(dataset, clips=clips, source=DeviceSource(dataset.source, BY_NAME[name], seed))


@dataclass(frozen=True)
class DeviceSource:
    """The sound of another source through a simulated device."""

    source: Source
    device: Device
    seed: int = 0

    def waveform(self, clip: Clip, sample_rate: int) -> NDArray[np.float32]:
        """Mono samples [n_samples] at `sample_rate` Hz within [-1, 1]; a device hears nothing above 8 kHz."""
        sound = self.source.waveform(clip, SAMPLE_RATE)
        length = 2 * int(next_fast_len((sound.size + _RINGING + 1) // 2, real=True))
        air = np.pad(sound, (0, length - sound.size))
        rng = np.random.default_rng(
            [VERSION, self.seed, *(zlib.crc32(s.encode()) for s in (clip.id, self.device.name))]
        )
        heard = recorded(air, self.device, rng)[: sound.size]
        if sample_rate == SAMPLE_RATE:
            return heard
        import soxr

        result: NDArray[np.float32] = soxr.resample(heard, SAMPLE_RATE, sample_rate, quality="HQ")
        return result

    def digest(self, clip: Clip) -> str:
        """SHA-256 of the clip's own digest, the device and its version, and what draws the noise."""
        own = self.source.digest(clip)
        return sha256(f"{own} {clip.id} through {self.device.name} {VERSION} seed {self.seed}".encode())
