"""Waveforms as features with one row: scaling, silence, and the specification that says so."""

import tomllib

import numpy as np
import pytest

from edgeasc.errors import BadInput, UsageError
from edgeasc.features.logmel import front_end, log_mel
from edgeasc.specs import LogMel, Recipe, Waveform, dump_toml, parse_front_end, parse_spec, with_settings

SPEC = Waveform(kind="waveform", sample_rate=8_000)
DOCUMENT = {
    "model": {"name": "eat-s-gmme", "options": {"samples": 4_000}},
    "features": {"kind": "waveform", "sample_rate": 8_000},
    "data": {"clip_seconds": 0.5},
}


def noise(n=500, scale=0.01):
    return (scale * np.random.default_rng(0).standard_normal(n)).astype(np.float32)


def test_a_clip_is_one_row_scaled_to_the_peak():
    signal = noise()
    row = log_mel(signal, SPEC)
    assert row.shape == (1, 500) and row.dtype == np.float32
    assert np.abs(row).max() == np.float32(0.95)
    np.testing.assert_allclose(row[0], signal * (0.95 / np.abs(signal).max()), rtol=1e-6)


def test_without_a_peak_samples_are_left_alone():
    np.testing.assert_array_equal(log_mel(noise(), Waveform(kind="waveform", peak=0.0))[0], noise())


def test_silence_stays_silence():
    assert not log_mel(np.zeros(100, np.float32), SPEC).any()


def test_the_softest_sound_is_scaled_without_overflow():
    softest = np.full(3, np.finfo(np.float32).smallest_subnormal)
    np.testing.assert_allclose(log_mel(softest, SPEC), 0.95, rtol=1e-6)


def test_a_frame_is_a_sample():
    assert (SPEC.n_mels, SPEC.hop_length, SPEC.silence) == (1, 1, 0.0)
    assert SPEC.n_frames(1_234) == 1_234 and SPEC.seconds(4_000) == 0.5


@pytest.mark.parametrize("sound", [np.zeros((2, 5), np.float32), np.zeros(0, np.float32), np.array([0.0, np.nan])])
def test_what_is_no_sound_is_refused(sound):
    with pytest.raises(BadInput):
        front_end(SPEC)(sound)


def test_a_recipe_on_waveforms_is_read_back_from_its_toml(tmp_path):
    recipe = parse_spec(Recipe, DOCUMENT)
    assert isinstance(recipe.features, Waveform) and (recipe.n_samples, recipe.n_frames) == (4_000, 4_000)
    assert parse_spec(Recipe, tomllib.loads(dump_toml(recipe))) == recipe


def test_a_front_end_without_kind_is_a_log_mel_one():
    assert parse_front_end({"n_mels": 64}) == LogMel(n_mels=64)
    assert parse_front_end(SPEC.model_dump()) == SPEC


@pytest.mark.parametrize(
    "setting, words",
    [
        ("features.kind=wave", r"features\.kind: Input should be 'waveform'"),
        ("features.n_mels=64", "unknown key 'features.n_mels'"),
        ("features.peek=0.5", "unknown key 'features.peek'; did you mean 'peak'"),
        ("data.clip_seconds=1", r"inputs of 8000 samples, model\.options\.samples says 4000; set both"),
    ],
)
def test_a_recipe_that_does_not_fit_waveforms_is_refused(setting, words):
    with pytest.raises(UsageError, match=words):
        parse_spec(Recipe, with_settings(DOCUMENT, (setting,)))


def test_a_misspelt_key_of_a_log_mel_front_end_names_the_nearest():
    with pytest.raises(UsageError, match=r"'features\.n_mel'; did you mean 'n_mels'"):
        parse_spec(Recipe, {"model": {"name": "cnn10"}, "features": {"n_mel": 3}})
