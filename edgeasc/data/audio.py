"""Audio files to waveforms: float32, mono, at the rate asked for; or one line that says why not.

A file is user input. Its header is looked at before a decoder is opened (the decoders of rare sub-formats have a
record of overflows), and what was decoded is checked against what the header promised: a truncated recording
that decodes without complaint would train on silence. WAV, FLAC and Ogg Vorbis are read; WAV of four bits per sample
by a decoder of our own (`adpcm`).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeasc.data.adpcm import IMA, MICROSOFT, decode_adpcm, read_coding
from edgeasc.errors import BadInput, MissingDependency
from edgeasc.files import read_bytes

if TYPE_CHECKING:
    from soundfile import SoundFile

SUBTYPES = {"PCM_16", "PCM_24", "PCM_32", "PCM_U8", "PCM_S8", "FLOAT", "DOUBLE", "VORBIS"}
MAX_CHANNELS = 8
MIN_RATE, MAX_RATE = 1_000, 384_000  # Hz
MAX_SECONDS = 3600  # of one clip; a longer recording is to be cut into clips
MAX_AMPLITUDE = 1e6  # full scale is 1; float files scaled as 16- or 24-bit integers still pass
_WAV_PCM, _WAV_FLOAT, _WAV_EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_STREAMED = 0xFFFFFFFF  # what writers to a pipe put where the length is not known
_BLOCK = 1 << 18  # frames decoded at a time, so that a header cannot order more memory than its file fills


def load_audio(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """The recording in `path` as float32 [n_samples], channels averaged, resampled to `sample_rate` Hz (soxr HQ).

    Raises:
        BadInput: not a regular file, empty, truncated, not WAV, FLAC or Ogg Vorbis, a header out of bounds,
            or samples that are NaN, infinite or absurdly large.
        MissingDependency: soundfile or soxr is not installed.
    """
    return decode_audio(read_bytes(path, "audio"), path, sample_rate)


def decode_audio(payload: bytes, path: Path, sample_rate: int) -> NDArray[np.float32]:
    """`load_audio` for a file whose bytes were read already; `path` is for messages."""
    _check_container(payload, path)
    four_bits = _four_bits(payload, path)
    samples, rate = four_bits if four_bits is not None else _decode(payload, path)
    if not np.isfinite(samples).all():
        raise BadInput("audio", "holds NaN or infinite samples", path)
    peak = float(np.abs(samples).max())
    if peak > MAX_AMPLITUDE:
        raise BadInput("audio", f"samples reach {peak:.3g}, where full scale is 1", path)
    mono = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    return _resampled(mono, rate, sample_rate, path)


def _decode(payload: bytes, path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples [n_samples, channels] and rate of a container that was checked."""
    try:
        import soundfile
    except ImportError as error:
        raise _missing("soundfile") from error
    try:
        with soundfile.SoundFile(io.BytesIO(payload)) as stream:
            _check_header(stream, path)
            blocks = list(stream.blocks(_BLOCK, dtype="float32", always_2d=True))
            samples = np.concatenate(blocks) if blocks else np.empty((0, 1), np.float32)
            if len(samples) != stream.frames:
                raise BadInput("audio", f"truncated: {len(samples)} of {stream.frames} samples decode", path)
            return samples, int(stream.samplerate)
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        reason = getattr(error, "error_string", None) or str(error)
        raise BadInput("audio", f"cannot be decoded ({' '.join(reason.split()).rstrip('.')})", path) from error


def _four_bits(payload: bytes, path: Path) -> tuple[NDArray[np.float32], int] | None:
    """Samples [n_samples, channels] and rate of a checked WAV file of four bits per sample; None for all others."""
    if payload[8:12] != b"WAVE":
        return None
    chunks = {name: payload[start : start + size] for name, start, size in _chunks(payload)}
    if struct.unpack_from("<H", chunks[b"fmt "])[0] not in (MICROSOFT, IMA):
        return None
    coding, data = read_coding(chunks[b"fmt "], path), chunks[b"data"]
    _check_bounds(coding.channels, coding.rate, coding.frames(len(data)), path)
    # Whole blocks, as libsndfile: the `fact` chunk could tell what fills up the last one, but writers get it wrong.
    return decode_adpcm(data, coding, path), coding.rate


def _check_header(stream: SoundFile, path: Path) -> None:
    """Refuse what no recording of a scene looks like, before memory is set aside for it."""
    if stream.subtype not in SUBTYPES:
        raise BadInput("audio", f"encoding {stream.subtype} is not read; convert to WAV, FLAC or Ogg Vorbis", path)
    _check_bounds(stream.channels, stream.samplerate, stream.frames, path)


def _check_bounds(channels: int, rate: int, frames: int, path: Path) -> None:
    """Refuse a header out of bounds."""
    if not 1 <= channels <= MAX_CHANNELS:
        raise BadInput("audio", f"{channels} channels; 1 to {MAX_CHANNELS} are read", path)
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadInput("audio", f"sample rate {rate} Hz; {MIN_RATE} to {MAX_RATE} Hz are read", path)
    if frames <= 0:
        raise BadInput("audio", "holds no sample", path)
    if frames > MAX_SECONDS * rate:
        raise BadInput("audio", f"longer than {MAX_SECONDS} s; cut it into clips", path)


def _resampled(mono: NDArray[np.float32], rate: int, sample_rate: int, path: Path) -> NDArray[np.float32]:
    """`mono` at `sample_rate` Hz."""
    if rate == sample_rate:
        return mono
    try:
        import soxr
    except ImportError as error:
        raise _missing("soxr") from error
    result: NDArray[np.float32] = soxr.resample(mono, rate, sample_rate, quality="HQ")
    if result.size == 0:
        raise BadInput("audio", f"too short: {mono.size} samples at {rate} Hz", path)
    return result


def _missing(package: str) -> MissingDependency:
    return MissingDependency("audio", f"{package} is not installed; run: pip install 'edgeasc[audio]'")


def _check_container(payload: bytes, path: Path) -> None:
    """Look at the container by its own rules: the decoder must not meet rare codecs, nor miss a cut-off tail."""
    if not payload:
        raise BadInput("audio", "empty file", path)
    if payload[:4] in (b"RIFF", b"RF64") and payload[8:12] == b"WAVE":
        _check_wav(payload, path)
    elif payload[:4] == b"OggS":
        _check_ogg(payload, path)
    elif payload[:4] != b"fLaC":
        raise BadInput("audio", "not a WAV, FLAC or Ogg Vorbis file", path)


def _check_wav(payload: bytes, path: Path) -> None:
    """A `fmt ` chunk of a coding that is read, and a `data` chunk that is all there."""
    name, seen_format = b"", False
    for name, body, size in _chunks(payload):
        if name == b"fmt ":
            seen_format = True
            _check_wav_format(payload[body : body + size], path)
        elif name == b"data" and size > len(payload) - body:
            raise BadInput("audio", f"truncated: {len(payload) - body} of {size} bytes of sound", path)
    if name != b"data":
        raise BadInput("audio", "truncated or damaged: no data chunk", path)
    if not seen_format:
        raise BadInput("audio", "damaged: no format chunk before the data", path)


def _chunks(payload: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of the chunks of a WAV file, up to its `data`; what is left where its size is not known."""
    place, long_size = 12, None
    while place + 8 <= len(payload):
        name, size = payload[place : place + 4], struct.unpack_from("<I", payload, place + 4)[0]
        body = place + 8
        if name == b"ds64" and size >= 16 and body + 16 <= len(payload):
            long_size = struct.unpack_from("<Q", payload, body + 8)[0]
        if name == b"data" and size == _STREAMED:
            size = len(payload) - body if long_size is None or long_size == _STREAMED else long_size
        yield name, body, size
        if name == b"data":
            return
        place = body + size + size % 2  # chunks are padded to even lengths


def _check_wav_format(chunk: bytes, path: Path) -> None:
    """The format tag names PCM or float, directly or as the sub-format of an extensible header."""
    if len(chunk) < 16:
        raise BadInput("audio", f"damaged: a format chunk of {len(chunk)} bytes", path)
    tag = struct.unpack_from("<H", chunk, 0)[0]
    if tag == _WAV_EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]
    if tag not in (_WAV_PCM, _WAV_FLOAT, MICROSOFT, IMA):
        raise BadInput("audio", f"WAV encoding 0x{tag:04x} is not read; convert to PCM", path)


def _check_ogg(payload: bytes, path: Path) -> None:
    """Whole pages to the end of the file, the last one marked as the end of its stream (RFC 3533, section 6)."""
    place, ended = 0, False
    while place < len(payload):
        if payload[place : place + 4] != b"OggS":
            raise BadInput("audio", f"damaged: no Ogg page at byte {place}", path)
        if place + 27 > len(payload) or place + 27 + payload[place + 26] > len(payload):
            raise BadInput("audio", "truncated: the last Ogg page is cut", path)
        segments = payload[place + 27 : place + 27 + payload[place + 26]]
        ended = bool(payload[place + 5] & 0x04)
        place += 27 + len(segments) + sum(segments)
    if place > len(payload) or not ended:
        raise BadInput("audio", "truncated: the Ogg stream does not end", path)
