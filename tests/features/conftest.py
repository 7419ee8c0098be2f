"""Synthetic audio for the front end: tones, chirps, noise, clicks and silence, all seeded."""

import numpy as np
import pytest

from edgeasc.specs import LogMel


def four_specs() -> list[LogMel]:
    """The paper's front end, a small one, one at 44.1 kHz on the HTK scale, and one whose filters start above 0 Hz."""
    return [
        LogMel(),
        LogMel(n_fft=1024, win_length=1024, hop_length=320, n_mels=64),
        LogMel(
            sample_rate=44_100, n_fft=2048, win_length=1764, hop_length=882, n_mels=128, f_max=22_050.0, mel_scale="htk"
        ),
        LogMel(n_fft=2080, win_length=2080, hop_length=480, n_mels=40, f_min=50.0, f_max=7000.0, log_floor=1e-4),
    ]


@pytest.fixture(params=four_specs(), ids=["paper", "small", "htk44k", "banded"])
def spec(request: pytest.FixtureRequest) -> LogMel:
    return request.param


@pytest.fixture(params=["noise", "tone", "chirp", "clicks", "half_silent", "short"])
def waveform(request: pytest.FixtureRequest) -> np.ndarray:
    rng = np.random.default_rng(7)
    time = np.arange(40_011) / 16_000.0
    signals = {
        "noise": 0.1 * rng.standard_normal(time.size),
        "tone": 0.5 * np.sin(2 * np.pi * 440.0 * time),
        "chirp": 0.9 * np.sin(2 * np.pi * (50.0 + 1500.0 * time) * time),
        "clicks": np.where(rng.random(time.size) < 5e-4, 1.0, 0.0),
        "half_silent": np.where(time < 1.2, 0.3 * rng.standard_normal(time.size), 0.0),
        "short": 0.2 * rng.standard_normal(37),
    }
    return signals[request.param].astype(np.float32)
