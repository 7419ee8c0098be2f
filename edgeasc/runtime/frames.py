"""Messages between edgeasc and its worker processes: a JSON header and raw bytes, each with its length in front.

Both ends import this file, so that it needs nothing but the standard library. Nothing is unpickled.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

MAGIC = b"EASC"
PREFIX = struct.Struct("<4sIQ")  # magic, bytes of the header, bytes of the payload
MAX_HEADER = 16 * 1024**2  # metadata of a model travels in a header
MAX_PAYLOAD = 2 * 1024**3
MAX_NOISE = 65_536  # bytes before a greeting


class BrokenFrame(Exception):
    """What came through the pipe is not a message."""


def write_frame(stream: IO[bytes], header: dict[str, Any], payload: bytes | memoryview = b"") -> None:
    """Send one message.

    Raises:
        OSError: the other end is gone.
    """
    text = json.dumps(header).encode()
    stream.write(PREFIX.pack(MAGIC, len(text), len(payload)))
    stream.write(text)
    stream.write(payload)
    stream.flush()


def read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Receive one message, or None where the stream ends between two messages.

    Raises:
        BrokenFrame: not a message, a length beyond any honest one, or an end in the middle.
    """
    prefix = stream.read(PREFIX.size)
    if not prefix:
        return None
    if len(prefix) < PREFIX.size or prefix[:4] != MAGIC:
        raise BrokenFrame(f"{prefix[:8]!r} is not the start of a message")
    _, header_size, payload_size = PREFIX.unpack(prefix)
    if header_size > MAX_HEADER or payload_size > MAX_PAYLOAD:
        raise BrokenFrame(f"a message of {header_size} + {payload_size} bytes is too long")
    text, payload = stream.read(header_size), stream.read(payload_size)
    if len(text) < header_size or len(payload) < payload_size:
        raise BrokenFrame("the stream ended in the middle of a message")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenFrame(f"the header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise BrokenFrame("the header is not a JSON object")
    return header, payload


def skip_past(stream: IO[bytes], mark: bytes) -> bool:
    """Read up to and with the first `mark`; False where the stream ends before it.

    Raises:
        BrokenFrame: more than 64 KiB of something else.
    """
    seen = b""
    while not seen.endswith(mark):
        byte = stream.read(1)
        if not byte:
            return False
        if len(seen) > MAX_NOISE:
            raise BrokenFrame(f"{seen[:8]!r} and {MAX_NOISE:,} bytes more, and no greeting")
        seen += byte
    return True
