"""What `load_audio` reads, and the one line it gives for what it does not."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeasc.data.audio import decode_audio, load_audio
from edgeasc.errors import BadInput


def noise(n_samples: int = 4000, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(5).standard_normal((n_samples, channels))


def encoded(samples: np.ndarray, rate: int = 16_000, container: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def wav_header(tag: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, data: bytes = b"\0" * 64) -> bytes:
    frame = max(1, channels * bits // 8)
    form = struct.pack("<HHIIHH", tag, channels, rate, min(rate * frame, 2**32 - 1), frame % 65_536, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", s) for s in ("PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE")]
    + [("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("FLAC", "PCM_S8")],
)
def test_lossless_formats_give_their_samples_back(tmp_path: Path, container: str, subtype: str) -> None:
    path = tmp_path / "clip"
    path.write_bytes(encoded(noise(), container=container, subtype=subtype))
    step = 2.0**-7 if subtype in ("PCM_U8", "PCM_S8") else 2.0**-15
    waveform = load_audio(path, 16_000)
    assert waveform.dtype == np.float32 and waveform.shape == (4000,)
    assert np.abs(waveform - noise()[:, 0]).max() <= step


def test_vorbis_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.ogg"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    path.write_bytes(encoded(tone, container="OGG", subtype="VORBIS"))
    waveform = load_audio(path, 16_000)
    assert waveform.shape == (16_000,)
    assert np.corrcoef(waveform, tone)[0, 1] > 0.99


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    both = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    path.write_bytes(encoded(both, subtype="FLOAT"))
    np.testing.assert_allclose(load_audio(path, 16_000), 0.125)


def test_resampling_keeps_a_tone_and_its_length(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(encoded(0.5 * np.sin(2 * np.pi * 1000 * np.arange(44_100) / 44_100), rate=44_100, subtype="FLOAT"))
    waveform = load_audio(path, 16_000)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    assert waveform.shape == (16_000,)
    assert np.abs(waveform - expected)[200:-200].max() < 1e-3


def test_length_unknown_to_a_streaming_writer_is_accepted(tmp_path: Path) -> None:
    payload = bytearray(wav_header())
    payload[40:44] = b"\xff\xff\xff\xff"
    assert decode_audio(bytes(payload), tmp_path, 16_000).shape == (32,)


def with_value(value: float) -> bytes:
    samples = noise()
    samples[1234] = value
    return encoded(samples, subtype="FLOAT")


REFUSED = {
    "empty": (b"", "empty"),
    "text": (b"not audio at all, just words", "not a WAV"),
    "mp3": (b"ID3\x04" + b"\0" * 200, "not a WAV"),
    "header only": (encoded(noise())[:20], "a format chunk of 0 bytes"),
    "wav cut": (encoded(noise())[:-1000], "truncated"),
    "flac cut": (encoded(noise(50_000), container="FLAC")[:-20_000], "truncated|cannot be decoded"),
    "ogg cut": (encoded(noise(50_000), container="OGG")[:-3_000], "truncated"),
    "rf64 cut": (encoded(noise(), container="RF64")[:-1000], "truncated"),
    "no sample": (wav_header(data=b""), "no sample"),
    "2 GB declared": (wav_header()[:40] + struct.pack("<I", 2**31) + b"\0" * 64, "truncated"),
    "nan": (with_value(np.nan), "NaN"),
    "infinite": (with_value(np.inf), "infinite"),
    "absurd level": (with_value(1e20), "full scale"),
    "1024 channels": (wav_header(channels=1024, data=b"\0" * 4096), "channels"),
    "9 channels": (encoded(noise(channels=9)), "9 channels"),
    "0 channels": (wav_header(channels=0), "channels|cannot be decoded"),
    "rate 0": (wav_header(rate=0), "rate|cannot be decoded"),
    "rate 2^31-1": (wav_header(rate=2**31 - 1), "rate|cannot be decoded"),
    "rate 500": (encoded(noise(), rate=500), "sample rate 500 Hz"),
    "a-law": (encoded(noise(), subtype="ALAW"), "0x0006"),
    "gsm": (encoded(noise(), rate=8_000, subtype="GSM610"), "0x0031"),
    "short format chunk": (b"RIFF\x20\0\0\0WAVEfmt " + struct.pack("<I", 4) + b"\1\0\1\0", "a format chunk of 4 bytes"),
    "no format chunk": (b"RIFF\x20\0\0\0WAVEdata" + struct.pack("<I", 8) + b"\0" * 8, "no format chunk"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_audio_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    payload, reason = REFUSED[name]
    path = tmp_path / "bad.wav"
    path.write_bytes(payload)
    with pytest.raises(BadInput, match=reason) as caught:
        load_audio(path, 16_000)
    assert caught.value.exit_code == 3
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        load_audio(tmp_path / "absent.wav", 16_000)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a regular file"):
        load_audio(tmp_path, 16_000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(BadInput, match="not a regular file"):
        load_audio(tmp_path / "pipe.wav", 16_000)


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.wav"
    path.write_bytes(encoded(noise()))

    def denied(*_: object) -> bytes:  # root may read everything, so the operating system's answer is played
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(BadInput, match="denied"):
        load_audio(path, 16_000)


VICTIMS = {
    "wav": encoded(noise(600)),
    "ima": encoded(noise(600), subtype="IMA_ADPCM"),
    "microsoft": encoded(noise(600, channels=2), subtype="MS_ADPCM"),
    "flac": encoded(noise(600), container="FLAC"),
    "ogg": encoded(noise(6000), container="OGG"),
}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(VICTIMS)))
def test_damaged_files_are_read_or_refused_but_nothing_else(tmp_path: Path, data: st.DataObject, kind: str) -> None:
    payload = bytearray(VICTIMS[kind])
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(payload) - 1), st.integers(0, 255)), min_size=1, max_size=16)
    ):
        payload[place] = value
    cut = data.draw(st.integers(0, len(payload)) | st.just(len(payload)))
    try:
        waveform = decode_audio(bytes(payload[:cut]), tmp_path, 16_000)
    except BadInput as refusal:
        assert "\n" not in str(refusal)
    else:
        assert waveform.ndim == 1 and waveform.size > 0 and np.isfinite(waveform).all()
