"""Frames on a serial line, as the firmware's `serial/frame.h` has them.

"EA", type, sequence, length (2 bytes, low first), payload, CRC-32 of all between "EA" and itself (4 bytes, low first).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

MAGIC = b"EA"
LARGEST = 512  # bytes of payload
_HEAD = struct.Struct("<BBH")
_CRC = struct.Struct("<I")
OVERHEAD = len(MAGIC) + _HEAD.size + _CRC.size
FRAME_BYTES = OVERHEAD + LARGEST


@dataclass(frozen=True)
class Frame:
    """One message: what it is, which question it belongs to, and its bytes."""

    type: int
    sequence: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """The bytes on the line.

        Raises:
            ValueError: more than 512 bytes of payload.
        """
        if len(self.payload) > LARGEST:
            raise ValueError(f"a payload of {len(self.payload)} bytes, {LARGEST} fit")
        body = _HEAD.pack(self.type, self.sequence, len(self.payload)) + self.payload
        return MAGIC + body + _CRC.pack(zlib.crc32(body))


class FrameReader:
    """Finds frames in a stream of bytes, whatever else is in it.

    `broken` counts what began like a frame and was none, `dropped` the bytes that belong to no frame.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()
        self.broken = 0
        self.dropped = 0

    def push(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        waiting, frames = self._waiting, []
        waiting += data
        while self._drop_to_magic() and len(waiting) >= OVERHEAD:
            kind, sequence, length = _HEAD.unpack_from(waiting, len(MAGIC))
            end = OVERHEAD + length
            if length <= LARGEST and len(waiting) < end:
                break
            body = bytes(waiting[len(MAGIC) : end - _CRC.size])
            if length <= LARGEST and waiting[end - _CRC.size : end] == _CRC.pack(zlib.crc32(body)):
                frames.append(Frame(kind, sequence, body[_HEAD.size :]))
                del waiting[:end]
            else:  # this "EA" begins no frame; one may begin within what followed it
                self.broken += 1
                self._drop(len(MAGIC))
        return frames

    def _drop_to_magic(self) -> bool:
        """Drop what lies before the next "EA"; whether there is one. A last "E" may become one."""
        start = self._waiting.find(MAGIC)
        if start < 0:
            start = len(self._waiting) - self._waiting.endswith(MAGIC[:1])
            self._drop(start)
            return False
        self._drop(start)
        return True

    def _drop(self, count: int) -> None:
        self.dropped += count
        del self._waiting[:count]
