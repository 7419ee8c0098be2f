"""The numpy front end against librosa, and what it refuses."""

import librosa
import numpy as np
import pytest

from edgeasc.errors import BadInput
from edgeasc.features.filterbank import hz_to_mel, mel_matrix, mel_to_hz
from edgeasc.features.logmel import log_mel
from edgeasc.specs import LogMel

LOG_UNITS = 1e-4  # the agreed distance to librosa; float32 transforms of two makers differ by less


def librosa_log_mel(waveform: np.ndarray, spec: LogMel) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        win_length=spec.win_length,
        hop_length=spec.hop_length,
        n_mels=spec.n_mels,
        fmin=spec.f_min,
        fmax=spec.f_max,
        htk=spec.mel_scale == "htk",
        center=True,
        pad_mode="constant",
    )
    return np.log(power + spec.log_floor)


@pytest.mark.filterwarnings("ignore:n_fft=")  # librosa warns of clips shorter than a frame; both must still agree
def test_log_mel_equals_librosa_within_1e_4(waveform: np.ndarray, spec: LogMel) -> None:
    features = log_mel(waveform, spec)
    expected = librosa_log_mel(waveform, spec)
    assert features.dtype == np.float32
    assert features.shape == expected.shape == (spec.n_mels, spec.n_frames(waveform.size))
    assert np.abs(features - expected).max() < LOG_UNITS


def test_mel_filters_equal_librosa(spec: LogMel) -> None:
    expected = librosa.filters.mel(
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        n_mels=spec.n_mels,
        fmin=spec.f_min,
        fmax=spec.f_max,
        htk=spec.mel_scale == "htk",
    )
    np.testing.assert_allclose(mel_matrix(spec), expected, rtol=1e-5, atol=1e-9)


def test_no_mel_filter_of_the_paper_is_empty() -> None:
    assert (mel_matrix(LogMel()).sum(axis=1) > 0).all()


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scale_reads_as_its_own_inverse(scale: str) -> None:
    hz = np.linspace(0.0, 20_000.0, 501)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz, atol=1e-8)


def test_silence_has_the_value_the_spec_names(spec: LogMel) -> None:
    features = log_mel(np.zeros(5000, np.float32), spec)
    np.testing.assert_allclose(features, spec.silence, rtol=1e-6)


def test_frames_do_not_depend_on_the_block_they_fall_in() -> None:
    spec = LogMel(n_fft=512, win_length=400, hop_length=160, n_mels=40)
    signal = np.random.default_rng(3).standard_normal(160 * 100).astype(np.float32)
    late = log_mel(signal, spec)[:, 50]
    alone = log_mel(signal[160 * 40 : 160 * 60], spec)[:, 10]  # the same samples, ten frames from the start
    np.testing.assert_allclose(late, alone, atol=1e-5)


def test_a_long_clip_is_the_sum_of_its_chunks() -> None:
    spec = LogMel(n_fft=256, win_length=256, hop_length=128, n_mels=20)
    signal = np.random.default_rng(3).standard_normal(128 * 600).astype(np.float32)
    whole = log_mel(signal, spec)
    assert whole.shape == (20, 601)
    late = log_mel(signal[128 * 290 :], spec)  # other frames share a chunk
    np.testing.assert_allclose(whole[:, 300:], late[:, 10:], atol=1e-5)


@pytest.mark.parametrize("place", [0, 1, 700, 2047, 2048, 2049, 4999])
def test_a_click_in_silence_is_seen_by_the_frames_that_cover_it(place: int, spec: LogMel) -> None:
    signal = np.zeros(5000, np.float32)
    signal[place] = 1.0
    assert np.abs(log_mel(signal, spec) - librosa_log_mel(signal, spec)).max() < LOG_UNITS


def test_loud_tones_beside_quiet_bands_are_as_precise_as_float64() -> None:
    """130 dB between a tone and the floor: a float32 transform alone is off by 1e-3 log units here."""
    spec = LogMel()
    tone = (0.9 * np.sin(2 * np.pi * 3440.0 * np.arange(40_000) / 16_000)).astype(np.float32)
    exact = librosa_log_mel(tone.astype(np.float64), spec)
    assert np.abs(log_mel(tone, spec) - exact).max() < LOG_UNITS


def test_threads_do_not_disturb_each_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    spec = LogMel(n_fft=1024, win_length=1024, hop_length=320, n_mels=64)
    signals = [np.random.default_rng(seed).standard_normal(20_000).astype(np.float32) for seed in range(40)]
    alone = [log_mel(signal, spec) for signal in signals]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda signal: log_mel(signal, spec), signals))
    assert all(np.array_equal(one, two) for one, two in zip(alone, together, strict=True))


@pytest.mark.parametrize("bad", [np.zeros(0), np.zeros((2, 100)), np.float32(1.0)])
def test_a_waveform_of_another_shape_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(BadInput, match="one channel"):
        log_mel(bad, LogMel())


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(poison: float) -> None:
    signal = np.zeros(1000, np.float32)
    signal[500] = poison
    with pytest.raises(BadInput, match="NaN or infinite"):
        log_mel(signal, LogMel())
