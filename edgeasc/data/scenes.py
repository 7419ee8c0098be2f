"""Built-in scenes: ten synthetic acoustic scenes through nine recording devices, rendered on demand from a seed.

They let the whole job run, and be tested, without a download. A scene is a table of sounds: how likely each is, and
how loud. The tables overlap on purpose (a quiet tram is a metro, a square without its fountain is a street), and three
recordings in ten carry a sound from somewhere else, so a 2 s segment does not always decide its scene. What makes
up a recording is drawn once; its segments differ in what happens. Levels are normalised before the device, so that
loudness is no cue.

Training: 50 recordings of every scene with 4 segments each, three through device `a` and one through `b`, `c`, `s1`,
`s2` or `s3` in turn: 2,000 clips. Test: 30 further recordings of every scene, one segment each, heard by three of the
nine devices at once: 900 clips, 100 for each device, of which `s4`, `s5` and `s6` never occur in training.

Scenes and devices were fixed before any network was trained on them. How hard they are was looked at with a linear
baseline alone (logistic regression on mean and standard deviation of 64 log-mel bands, C = 0.1, seed 0): 61 % on
device `a`, 54 % on the six devices of training, 30 % on the three others; chance is 10 %. A first draft of the table,
on which that baseline reached 32 % on `a`, was made to overlap less, once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from edgeasc.data import scene_sounds as sounds
from edgeasc.data.clips import BUILT_IN, Clip, Dataset, Role
from edgeasc.data.scene_devices import BY_NAME, recorded
from edgeasc.data.scene_sounds import N_SAMPLES, SAMPLE_RATE, TIME, Signal
from edgeasc.errors import UsageError
from edgeasc.files import sha256, write_bytes, write_text

VERSION = 1  # to be raised whenever a clip would sound different: caches and calibration sets hang on it
TRAIN_RECORDINGS, TRAIN_SEGMENTS, TEST_RECORDINGS = 50, 4, 30  # of every scene
SEEN_DEVICES = ("b", "c", "s1", "s2", "s3")  # besides `a`, in training
TEST_DEVICES = (("a", "b", "c"), ("s1", "s2", "s3"), ("s4", "s5", "s6"))  # one of each hears a test segment
STRAY_PROBABILITY = 0.3  # of a sound that belongs to another scene
STRAY_DB = (-12.0, 4.0)  # level of that sound: mean, standard deviation
LEVEL_DB = (-20.0, 4.0)  # dBFS of a segment before the device: mean, standard deviation

Level = tuple[float, float, float]  # probability in a recording, mean dB, standard deviation dB


@dataclass(frozen=True)
class Scene:
    """The sounds of a scene and the room around them."""

    levels: dict[str, Level]  # by name of a function of `scene_sounds`
    reverberation: tuple[float, float] = (0.0, 0.0)  # reverberation time in s, from and to; 0 is outdoors
    wet_db: float = -6.0  # level of the reverberation against the direct sound


SCENES = {
    "airport": Scene(
        {
            "ventilation": (0.98, -4, 3),
            "babble": (0.8, -8, 4),
            "rattle": (0.75, -9, 4),
            "chime": (0.4, -8, 4),
            "footsteps": (0.4, -14, 4),
            "rumble": (0.3, -10, 4),
        },
        (0.8, 2.0),
    ),
    "bus": Scene(
        {
            "engine": (0.97, -2, 3),
            "rumble": (0.9, -5, 4),
            "rattle": (0.5, -13, 4),
            "babble": (0.35, -12, 4),
            "ventilation": (0.5, -11, 4),
            "traffic": (0.3, -13, 4),
        }
    ),
    "metro": Scene(
        {
            "rails": (0.97, -2, 3),
            "rumble": (0.9, -3, 3),
            "ventilation": (0.5, -9, 4),
            "whine": (0.3, -16, 5),
            "squeal": (0.25, -16, 5),
            "babble": (0.3, -13, 4),
        },
        (0.1, 0.4),
        -9.0,
    ),
    "metro_station": Scene(
        {
            "babble": (0.75, -7, 4),
            "footsteps": (0.65, -9, 4),
            "rumble": (0.7, -6, 4),
            "rails": (0.45, -7, 5),
            "squeal": (0.3, -12, 5),
            "chime": (0.4, -9, 4),
            "ventilation": (0.6, -10, 4),
        },
        (1.2, 3.0),
        -2.0,
    ),
    "park": Scene(
        {
            "birds": (0.85, -7, 4),
            "leaves": (0.75, -8, 4),
            "wind": (0.6, -7, 5),
            "traffic": (0.3, -14, 4),
            "footsteps": (0.3, -14, 4),
            "voice": (0.2, -13, 4),
        }
    ),
    "public_square": Scene(
        {
            "babble": (0.8, -8, 4),
            "water": (0.55, -8, 4),
            "wind": (0.5, -8, 5),
            "traffic": (0.45, -11, 4),
            "footsteps": (0.4, -13, 4),
            "bell": (0.25, -10, 4),
            "birds": (0.25, -13, 5),
        },
        (0.2, 0.8),
        -10.0,
    ),
    "shopping_mall": Scene(
        {
            "babble": (0.9, -5, 3),
            "music": (0.8, -7, 4),
            "ventilation": (0.6, -10, 4),
            "footsteps": (0.5, -12, 4),
            "voice": (0.3, -9, 4),
            "rattle": (0.2, -15, 4),
        },
        (0.4, 1.2),
        -8.0,
    ),
    "street_pedestrian": Scene(
        {
            "footsteps": (0.92, -5, 4),
            "voice": (0.75, -6, 4),
            "babble": (0.35, -12, 4),
            "traffic": (0.45, -11, 4),
            "wind": (0.3, -11, 5),
            "music": (0.1, -13, 4),
        },
        (0.1, 0.5),
        -10.0,
    ),
    "street_traffic": Scene(
        {
            "traffic": (0.98, -2, 3),
            "engine": (0.5, -10, 4),
            "wind": (0.3, -11, 5),
            "rumble": (0.3, -11, 4),
            "horn": (0.15, -8, 4),
            "footsteps": (0.2, -14, 4),
            "water": (0.15, -12, 4),
        }
    ),
    "tram": Scene(
        {
            "whine": (0.9, -7, 4),
            "rails": (0.75, -7, 4),
            "rumble": (0.7, -7, 4),
            "squeal": (0.45, -10, 5),
            "bell": (0.35, -9, 4),
            "rattle": (0.4, -13, 4),
            "babble": (0.35, -12, 4),
        },
        (0.1, 0.3),
        -9.0,
    ),
}
LABELS = tuple(sorted(SCENES))
_SOUNDS = tuple(sorted({name for scene in SCENES.values() for name in scene.levels}))


def built_in_scenes(seed: int = 0) -> Dataset:
    """The built-in scenes as a data set of 2,000 training and 900 test clips of 2 s, labels sorted by name."""
    clips = tuple(_train_clips()) + tuple(_test_clips())
    return Dataset(BUILT_IN, LABELS, clips, SceneSource(seed), (f"built-in scenes, seed {seed}",))


@dataclass(frozen=True)
class SceneSource:
    """Sound of the built-in scenes, rendered when asked for."""

    seed: int = 0

    def waveform(self, clip: Clip, sample_rate: int) -> NDArray[np.float32]:
        """2 s of `clip` at `sample_rate` Hz, float32 [n_samples]."""
        rendered = render(clip, self.seed)
        if sample_rate == SAMPLE_RATE:
            return rendered
        import soxr

        result: NDArray[np.float32] = soxr.resample(rendered, SAMPLE_RATE, sample_rate, quality="HQ")
        return result

    def digest(self, clip: Clip) -> str:
        """SHA-256 of what decides the sound: version, seed and clip. (Samples differ in the last bit by machine.)"""
        return sha256(f"edgeasc built-in scenes {VERSION} seed {self.seed} {clip.id}".encode())


def stream(dataset: Dataset, role: Role) -> Iterator[tuple[Clip, Signal]]:
    """Clips of one role with their sound at 16 kHz, one at a time: nothing is kept."""
    for clip in dataset.clips:
        if clip.role == role:
            yield clip, dataset.waveform(clip, SAMPLE_RATE)


def render(clip: Clip, seed: int) -> Signal:
    """The sound of one built-in clip at 16 kHz, float32 [32,000], within [-1, 1].

    Raises:
        UsageError: not an id of a built-in clip.
    """
    scene, *middle = clip.id.split("-")
    if scene not in SCENES or len(middle) != 4 or middle[3] not in BY_NAME:
        raise UsageError("built-in scenes", f"no clip {clip.id!r}")
    segment = middle[2]
    air = _mixed(SCENES[scene], _key(seed, clip.group), _key(seed, clip.group, segment))
    level_db = _generator(_key(seed, clip.group, segment), "level").normal(*LEVEL_DB)
    loud = sounds.unit(air) * np.float32(10 ** (level_db / 20))
    return recorded(loud, BY_NAME[middle[3]], _generator(_key(seed, clip.id), "device"))


def write_scenes(folder: Path, per_class: int, seed: int = 0, role: Role = "train") -> Path:
    """Write the first `per_class` clips of every scene as 16-bit FLAC with a CSV manifest; returns the manifest.

    For tutorials and for listening. Clips are taken evenly over the recordings and devices of the role.
    """
    import io

    import soundfile

    dataset = built_in_scenes(seed)
    lines = ["path,label,device,group"]
    for label in range(len(LABELS)):
        own = [clip for clip in dataset.clips if clip.role == role and clip.label == label]
        if not 1 <= per_class <= len(own):
            raise UsageError("built-in scenes", f"{per_class} clips per class asked for, 1 to {len(own)} exist")
        for index in np.linspace(0, len(own) - 1, per_class).astype(int):
            clip = own[index]
            buffer = io.BytesIO()
            soundfile.write(buffer, dataset.waveform(clip, SAMPLE_RATE), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            name = f"audio/{clip.id}.flac"
            write_bytes(folder / name, buffer.getvalue())
            lines.append(f"{name},{LABELS[label]},{clip.device},{clip.group}")
    write_text(folder / "manifest.csv", "\n".join(lines) + "\n")
    return folder / "manifest.csv"


def _train_clips() -> Iterator[Clip]:
    for label, scene in enumerate(LABELS):
        for recording in range(TRAIN_RECORDINGS):
            for segment in range(TRAIN_SEGMENTS):
                last = segment == TRAIN_SEGMENTS - 1
                device = SEEN_DEVICES[recording % len(SEEN_DEVICES)] if last else "a"
                yield _clip(label, scene, "train", recording, segment, device)


def _test_clips() -> Iterator[Clip]:
    for label, scene in enumerate(LABELS):
        for recording in range(TEST_RECORDINGS):
            for row, devices in enumerate(TEST_DEVICES):
                # All 27 combinations once, then three more that keep the devices equal.
                choice = recording // 3**row % 3 if recording < 27 else recording % 3
                yield _clip(label, scene, "test", recording, 0, devices[choice])


def _clip(label: int, scene: str, role: Role, recording: int, segment: int, device: str) -> Clip:
    group = f"{scene}-{role}-{recording:03d}"
    return Clip(id=f"{group}-{segment}-{device}", label=label, device=device, group=group, role=role)


def _mixed(scene: Scene, recording: tuple[int, ...], segment: tuple[int, ...]) -> Signal:
    """The sound in the air before it meets a device."""
    total = np.zeros(N_SAMPLES, np.float32)
    for name, level_db in _cast(scene, _generator(recording, "cast")).items():
        sound: sounds.Sound = getattr(sounds, name)
        total += np.float32(10 ** (level_db / 20)) * sound(_generator(recording, name), _generator(segment, name))
    if not total.any():  # a recording without a sound, or one whose only event fell silent: an empty place hums
        total = sounds.ventilation(_generator(recording, "empty"), _generator(segment, "empty"))
    return _in_room(total, scene, _generator(recording, "room"))


def _cast(scene: Scene, place: Generator) -> dict[str, float]:
    """The sounds of a recording, with their levels in dB."""
    cast = {}
    for name, (probability, mean_db, spread_db) in scene.levels.items():
        present, level_db = place.random() < probability, place.normal(mean_db, spread_db)
        if present:
            cast[name] = level_db
    if place.random() < STRAY_PROBABILITY:
        cast.setdefault(str(place.choice(_SOUNDS)), place.normal(*STRAY_DB))
    return cast


def _in_room(dry: Signal, scene: Scene, place: Generator) -> Signal:
    """`dry` with an exponentially decaying tail of noise, the same for all segments of a recording."""
    time = place.uniform(*scene.reverberation)
    if time == 0.0:
        return dry
    tail = place.standard_normal(N_SAMPLES, dtype=np.float32) * np.exp(np.float32(-6.9 / time) * TIME)
    tail *= np.float32(10 ** (place.normal(scene.wet_db, 3.0) / 20) / np.sqrt(np.sum(np.square(tail))))
    return dry + np.asarray(irfft(rfft(dry) * rfft(tail), N_SAMPLES), np.float32)


def _key(seed: int, *names: str) -> tuple[int, ...]:
    """Entropy for everything that hangs on `seed` and `names`; stable over processes and platforms."""
    return (VERSION, seed, *(zlib.crc32(name.encode()) for name in names))


def _generator(key: tuple[int, ...], purpose: str) -> Generator:
    return np.random.default_rng(np.random.SeedSequence([*key, zlib.crc32(purpose.encode())]))
