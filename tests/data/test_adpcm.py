"""Four bits per sample: our decoder against libsndfile's, and what it refuses."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeasc.data.audio import decode_audio
from edgeasc.errors import BadInput


def encoded(subtype: str, n_samples: int = 5_000, channels: int = 1, rate: int = 22_050, level: float = 0.2) -> bytes:
    """A tone in noise, loud enough at `level` = 2 to be clipped."""
    rng, times = np.random.default_rng(3), np.arange(n_samples) / rate
    tone = np.sin(2 * np.pi * 440 * times)[:, None] + 0.3 * rng.standard_normal((n_samples, channels))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(level * tone, -1, 1), rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def format_chunk(payload: bytes) -> int:
    """Where the content of the format chunk begins."""
    return payload.index(b"fmt ") + 8


@pytest.mark.parametrize("subtype", ["MS_ADPCM", "IMA_ADPCM"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
@pytest.mark.parametrize("level", [0.0, 0.2, 2.0])
def test_samples_are_libsndfiles(subtype: str, channels: int, rate: int, level: float) -> None:
    payload = encoded(subtype, channels=channels, rate=rate, level=level)
    known = soundfile.read(io.BytesIO(payload), dtype="float32", always_2d=True)[0].mean(1, dtype=np.float64)
    waveform = decode_audio(payload, Path("x.wav"), rate)
    assert waveform.size >= 5_000 and np.abs(waveform).max() >= 0.9 * min(level, 0.5)
    np.testing.assert_array_equal(waveform, known[: waveform.size].astype(np.float32))


@pytest.mark.parametrize("subtype", ["MS_ADPCM", "IMA_ADPCM"])
def test_a_last_block_that_is_cut_gives_what_it_holds(subtype: str) -> None:
    payload = encoded(subtype, rate=8_000)
    data = payload.index(b"data")
    size = struct.unpack_from("<I", payload, data + 4)[0] - 100
    cut = payload[: data + 4] + struct.pack("<I", size) + payload[data + 8 : data + 8 + size]
    whole, part = (decode_audio(one, Path("x.wav"), 8_000) for one in (payload, cut))
    assert whole.size - 400 < part.size < whole.size
    np.testing.assert_array_equal(part, whole[: part.size])


def changed(payload: bytes, offset: int, value: int) -> bytes:
    """`payload` with a 16-bit word of its format chunk changed."""
    place = format_chunk(payload) + offset
    return payload[:place] + struct.pack("<H", value) + payload[place + 2 :]


REFUSED = {
    "blocks of nothing": (changed(encoded("MS_ADPCM"), 12, 0), "blocks of 0 bytes"),
    "blocks of a header": (changed(encoded("IMA_ADPCM"), 12, 4), "blocks of 4 bytes"),
    "three channels": (changed(encoded("IMA_ADPCM"), 2, 3), "3 channels"),
    "eight bits": (changed(encoded("IMA_ADPCM"), 14, 8), "8 bits"),
    "own coefficients": (changed(encoded("MS_ADPCM"), 22, 7), "coefficients of its own"),
    "a predictor too many": (
        encoded("MS_ADPCM").replace(b"data", b"data", 1)[: encoded("MS_ADPCM").index(b"data") + 8]
        + b"\x07"
        + encoded("MS_ADPCM")[encoded("MS_ADPCM").index(b"data") + 9 :],
        "predictor 7",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_encoder_writes_is_refused(name: str) -> None:
    payload, why = REFUSED[name]
    with pytest.raises(BadInput, match=why):
        decode_audio(payload, Path("x.wav"), 22_050)
