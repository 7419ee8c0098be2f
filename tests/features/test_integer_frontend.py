"""The integer front end: as near to the float one as stated, exact where it must be, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeasc.errors import BadInput
from edgeasc.features.integer import IntegerFrontEnd, integer_log_mel, natural_log, pcm16
from edgeasc.features.integer_fft import real_spectrum
from edgeasc.features.integer_tables import LEVEL_BITS, front_end_tables, thresholds
from edgeasc.features.logmel import log_mel
from edgeasc.features.quantize import quantize
from edgeasc.specs import LogMel

SPECS = [
    LogMel(n_mels=64),
    LogMel(),
    LogMel(n_fft=512, win_length=400, hop_length=160, n_mels=40),
    LogMel(
        sample_rate=44_100, n_fft=2048, win_length=1765, hop_length=882, n_mels=128, f_max=22_050.0, mel_scale="htk"
    ),
    LogMel(n_fft=1024, win_length=1024, hop_length=3000, n_mels=7, f_min=50.0, f_max=4000.0, log_floor=1e-4),
    LogMel(n_fft=16, win_length=16, hop_length=5, n_mels=3),
]
EVER = 0.08  # log units, whatever the sound: the spurs of a 16-bit window under a full tone, in its emptiest band
MOSTLY = 0.003  # of sounds that fill their bands


def heard(waveform: np.ndarray) -> np.ndarray:
    """`waveform` with 16 bits, so that both front ends hear the same."""
    return pcm16(waveform).astype(np.float32) / 32768


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.n_fft}-{spec.n_mels}")
def test_levels_are_near_the_float_front_end(spec, waveform):
    sound = heard(waveform)
    difference = np.abs(integer_log_mel(sound, spec) - log_mel(sound, spec))
    assert difference.shape == (spec.n_mels, spec.n_frames(waveform.size))
    assert difference.max() < EVER and difference.mean() < 0.01


def test_noise_of_any_loudness_is_nearer_still():
    rng = np.random.default_rng(0)
    for loudness in (1.0, 0.1, 0.01, 0.001):
        sound = heard(rng.normal(0, loudness, 8000).clip(-1, 1))
        assert np.abs(integer_log_mel(sound, SPECS[0]) - log_mel(sound, SPECS[0])).max() < MOSTLY


def test_digital_silence_is_the_floor():
    for spec in SPECS:
        assert np.abs(integer_log_mel(np.zeros(4000, np.float32), spec) - spec.silence).max() <= 2.0**-LEVEL_BITS


@pytest.mark.parametrize("log2", [4, 5, 8, 11, 12])
def test_the_transform_is_the_fourier_transform_within_its_rounding(log2):
    spec = LogMel(n_fft=1 << log2, win_length=1 << log2, hop_length=16, n_mels=2)
    tables = front_end_tables(spec)
    values = np.random.default_rng(log2).integers(-(2**24), 2**24, (3, 1 << log2)) >> tables.shift
    real, imag = real_spectrum(values, tables.cosine)
    expected = np.fft.rfft(values)[:, :-1] / 2**tables.halvings
    error = np.abs(np.stack([real - expected.real, np.abs(imag) - np.abs(expected.imag)]))[:, :, 1:]
    assert np.sqrt(np.square(error).mean()) < 3.0  # each stage rounds once, and the next halves that
    assert error.max() < 2.0 ** (tables.halvings + 1)  # halves are rounded down, which adds up in the lowest bins


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.n_fft}-{spec.n_mels}")
@pytest.mark.parametrize("sound", ["full", "square", "alternating", "quarter", "random"])
def test_no_sound_overflows_what_the_c_code_computes_in(spec, sound, monkeypatch):
    """The twin computes in int64: whatever leaves int32 there would wrap around in C."""
    from edgeasc.features import integer_fft

    n = np.arange(2 * spec.win_length)
    rng = np.random.default_rng(1)
    samples = {
        "full": np.full(n.size, -32768),
        "square": np.where(n // 50 % 2, 32767, -32768),
        "alternating": np.where(n % 2, 32767, -32768),
        "quarter": np.where(n // 2 % 2, 32767, -32768),
        "random": rng.choice([-32768, 32767], n.size),
    }[sound].astype(np.int16)
    largest = [0]
    plain = integer_fft._turned

    def watched(real, imag, cos, sin):
        largest[0] = max(largest[0], int(np.abs(real).max()), int(np.abs(imag).max()))
        return plain(real, imag, cos, sin)

    monkeypatch.setattr(integer_fft, "_turned", watched)
    front = IntegerFrontEnd(spec)
    levels = front.frame_levels(samples[None, : spec.win_length])
    tables = front.tables
    windowed = samples[: spec.win_length].astype(np.int64) * front._window >> tables.shift
    real, imag = real_spectrum(np.pad(windowed[None], ((0, 0), (0, spec.n_fft - spec.win_length))), tables.cosine)
    powers = [int(value) ** 2 for value in (*real[0], *imag[0])]
    assert largest[0] < 2**31 and max(np.abs(real).max(), np.abs(imag).max()) < 2**31
    assert sum(powers) * int(tables.bins.max()) < 2**63
    assert levels.max() < 2**15 - 1


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(1e-3, 1.0), zero_point=st.integers(-128, 127))
def test_thresholds_are_the_quantisation_of_every_level(scale, zero_point):
    levels = np.arange(-(2**15), 2**15 - 1)
    reached = np.searchsorted(thresholds(scale, zero_point), levels, side="right") - 128
    assert np.array_equal(reached, quantize(levels.astype(np.float32) / np.float32(1024), scale, zero_point))


@given(st.lists(st.integers(1, 2**63), min_size=1))
def test_the_logarithm_is_within_a_twentieth_of_a_level(values):
    table = front_end_tables(SPECS[0]).logarithm
    found = natural_log(np.array(values, np.uint64), table) / 2.0**24
    assert np.abs(found - np.log(np.array(values, np.float64))).max() < 0.05 / 1024


def test_a_spec_that_says_integer_is_heard_so_everywhere():
    spec = SPECS[2].with_arithmetic("integer")
    sound = np.random.default_rng(2).normal(0, 0.1, 4000).astype(np.float32)
    assert np.array_equal(log_mel(sound, spec), integer_log_mel(sound, SPECS[2]))
    assert not np.array_equal(log_mel(sound, spec), log_mel(sound, SPECS[2]))


def test_float_specs_are_written_and_hashed_as_before_there_were_integers():
    spec = LogMel(n_mels=64)
    assert "arithmetic" not in spec.model_dump_json() and spec.digest == "d6c5b786f2ad9625"
    integer = spec.with_arithmetic("integer")
    assert LogMel.model_validate_json(integer.model_dump_json()) == integer and integer.digest != spec.digest


def test_waveforms_become_16_bits_as_files_are_read():
    steps = np.array([-32768, 32768, 0.5, 1.5, 200_000], np.float32)
    assert pcm16(steps / np.float32(32768)).tolist() == [
        -32768,
        32767,
        0,
        2,
        32767,
    ]


@pytest.mark.parametrize(
    "change, why",
    [
        (dict(n_fft=1000, win_length=800), "n_fft 1000 is no power of two"),
        (dict(log_floor=1e-12), "log_floor 1e-12 is below its rounding; at least 9e-10"),
        (dict(log_floor=1e9), "log_floor 1e\\+09 is above any sound"),
        (dict(log_floor=1e-20), "outside \\+-31 log units"),
        (dict(log_floor=1e300), "outside \\+-31 log units"),
        (dict(f_max=1e-3), "filters of less than 0.0001 bins"),
    ],
)
def test_what_the_integers_cannot_do_is_refused(change, why):
    with pytest.raises(BadInput, match=why):
        IntegerFrontEnd(LogMel(n_mels=64, **change))


@settings(max_examples=60, deadline=None)
@given(
    log2=st.integers(4, 13), share=st.floats(0.1, 1.0), mels=st.sampled_from([1, 3, 40, 300]),
    top=st.floats(1e-6, 1.0), bottom=st.floats(0.0, 0.999), floor=st.floats(-20.0, 4.0),
    scale=st.sampled_from(["slaney", "htk"]),
)  # fmt: skip
def test_any_spec_is_refused_or_hears_silence_as_its_floor(log2, share, mels, top, bottom, floor, scale):
    size = 1 << log2
    spec = LogMel(
        n_fft=size, win_length=max(16, int(share * size)), n_mels=mels, f_max=8000 * top, f_min=8000 * top * bottom,
        mel_scale=scale, log_floor=10.0**floor,
    )  # fmt: skip
    try:
        front = IntegerFrontEnd(spec)
    except BadInput:
        return
    levels = front.frame_levels(np.zeros((1, spec.win_length), np.int16))
    assert np.abs(levels / 1024 - spec.silence).max() < 0.02


@pytest.mark.parametrize("bad", [np.zeros((2, 5), np.float32), np.zeros(0, np.float32), np.array([np.nan], np.float32)])
def test_what_is_no_waveform_is_refused(bad):
    with pytest.raises(BadInput, match="waveform"):
        integer_log_mel(bad, SPECS[0])
