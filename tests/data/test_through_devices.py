"""Clips of any data set through the simulated devices."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeasc.data.clips import Dataset
from edgeasc.data.layouts import open_dataset
from edgeasc.data.scene_devices import BY_NAME, recorded
from edgeasc.data.through_devices import heard_through
from edgeasc.errors import UsageError

LENGTH = 8_001  # odd, and not that of a built-in scene


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two classes with one clip of white noise each, 30 dB apart."""
    for index, (name, gain) in enumerate((("loud", 0.2), ("faint", 0.2 * 10**-1.5))):
        (tmp_path / name).mkdir()
        samples = gain * np.random.default_rng(index).standard_normal(LENGTH)
        soundfile.write(tmp_path / name / "clip.wav", samples, 16_000, subtype="FLOAT")
    return open_dataset(tmp_path)


def power_db(waveform: np.ndarray, low: float, high: float) -> float:
    """Mean power between `low` and `high` Hz in dB."""
    frequency = np.fft.rfftfreq(waveform.size, 1 / 16_000)
    power = np.abs(np.fft.rfft(waveform)) ** 2
    return float(10 * np.log10(power[(frequency >= low) & (frequency < high)].mean()))


def test_only_the_device_of_a_clip_changes(dataset: Dataset) -> None:
    heard = heard_through(dataset, "s4")
    assert heard.devices == ("s4",) and heard.labels == dataset.labels
    assert [(c.id, c.label, c.group, c.path) for c in heard.clips] == [
        (c.id, c.label, c.group, c.path) for c in dataset.clips
    ]


@pytest.mark.parametrize("name", list(BY_NAME))
def test_a_clip_keeps_its_length_and_stays_in_range(dataset: Dataset, name: str) -> None:
    heard = heard_through(dataset, name)
    waveform = heard.waveform(heard.clips[0], 16_000)
    assert waveform.shape == (LENGTH,) and waveform.dtype == np.float32
    assert 0.01 < np.abs(waveform).max() <= 1.0


def test_the_device_colours_the_sound_as_its_numbers_say(dataset: Dataset) -> None:
    """`s5` cuts at 3.9 kHz and resonates at 260 Hz; against its level from 600 to 900 Hz, where it does neither."""
    heard, clip = heard_through(dataset, "s5"), dataset.clips[1]
    before, after = dataset.waveform(clip, 16_000), heard.waveform(clip, 16_000)

    def gain(low: float, high: float) -> float:
        return (
            power_db(after, low, high)
            - power_db(before, low, high)
            - power_db(after, 600, 900)
            + power_db(before, 600, 900)
        )

    assert gain(5_000, 6_000) < -8.0
    assert gain(230, 290) > 4.0


def test_an_echo_does_not_wrap_around_to_the_start(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        samples = np.zeros(16_000)
        samples[-4:] = 0.9
        soundfile.write(tmp_path / name / "clip.wav", samples, 16_000, subtype="FLOAT")
    dataset = open_dataset(tmp_path)
    heard = heard_through(dataset, "s6").waveform(dataset.clips[0], 16_000)
    silence = recorded(np.zeros(16_000, np.float32), BY_NAME["s6"], np.random.default_rng(0))
    assert np.abs(heard[:200]).max() < 2 * np.abs(silence).max()
    assert np.abs(heard[-4:]).max() > 10 * np.abs(silence).max()


def test_the_same_clip_sounds_the_same_and_its_noise_hangs_on_the_seed(dataset: Dataset) -> None:
    clip = dataset.clips[0]
    first, again, other = (heard_through(dataset, "b", seed).waveform(clip, 16_000) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert 0 < np.abs(first - other).max() < 0.02  # a floor at -62 dBFS


def test_digests_tell_devices_seeds_and_the_file_apart(dataset: Dataset) -> None:
    clip = dataset.clips[0]
    digests = [heard_through(dataset, name, seed).digest(clip) for name in BY_NAME for seed in (0, 1)]
    assert len({*digests, dataset.digest(clip)}) == 2 * len(BY_NAME) + 1


def test_another_rate_is_resampled(dataset: Dataset) -> None:
    assert heard_through(dataset, "c").waveform(dataset.clips[0], 32_000).shape == (2 * LENGTH,)


def test_an_unknown_device_is_refused_with_the_known_ones(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match=r"unknown simulated device 'phone'.*s6"):
        heard_through(dataset, "phone")
