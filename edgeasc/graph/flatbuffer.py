"""Reading a flatbuffer from a stranger: every offset is checked before it is followed.

The library's own readers follow offsets blindly (a negative one reads from the end of the file). Here a field is looked
up, bounds-checked and copied in one step, so that nothing can be read that was not checked.
Layout: https://flatbuffers.dev/internals (tables, vtables, vectors).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput


class Damaged(ValueError):
    """An offset or a length leads out of the file."""


@dataclass(frozen=True)
class FlatTable:
    """One table at byte `start` of `payload`; fields are named by their slot number in the schema."""

    payload: bytes
    start: int

    @classmethod
    def root(cls, payload: bytes, identifier: bytes) -> FlatTable:
        """The root table of a file with the four-byte `identifier`.

        Raises:
            BadInput: another kind of file.
        """
        if len(payload) < 8 or payload[4:8] != identifier:
            raise BadInput("flatbuffer", f"the file does not carry the mark {identifier.decode()!r}")
        return cls(payload, _number(payload, "<I", 0))

    def scalar(self, slot: int, form: str, default: int) -> int:
        """The integer field `slot`, packed as struct's `form` (little-endian)."""
        place = self._field(slot)
        return default if place is None else _number(self.payload, f"<{form}", place)

    def table(self, slot: int) -> FlatTable | None:
        """The table that field `slot` points to."""
        place = self._field(slot)
        return None if place is None else FlatTable(self.payload, self._follow(place))

    def text(self, slot: int) -> str:
        """The string of field `slot`, invalid UTF-8 replaced; empty where absent."""
        return self.vector(slot, "u1").tobytes().decode("utf-8", errors="replace")

    def vector(self, slot: int, dtype: str) -> NDArray[np.generic]:
        """The numbers of the vector in field `slot`, as a read-only view [n]; empty where absent."""
        kind = np.dtype(dtype).newbyteorder("<")
        place = self._field(slot)
        if place is None:
            return np.empty(0, kind)
        start = self._follow(place)
        count = _number(self.payload, "<I", start)
        if start + 4 + count * kind.itemsize > len(self.payload):
            raise Damaged(f"a vector of {count} items at byte {start} ends behind the file")
        return np.frombuffer(self.payload, kind, count, start + 4)

    def tables(self, slot: int) -> list[FlatTable]:
        """The tables of the vector in field `slot`."""
        place = self._field(slot)
        if place is None:
            return []
        offsets = self.vector(slot, "u4")
        first = self._follow(place) + 4
        return [FlatTable(self.payload, first + 4 * index + int(offset)) for index, offset in enumerate(offsets)]

    def _field(self, slot: int) -> int | None:
        """Byte at which field `slot` lies, or None where the table leaves it out."""
        vtable = self.start - _number(self.payload, "<i", self.start)
        if vtable < 0:
            raise Damaged(f"the table at byte {self.start} describes itself before the file")
        entry = 4 + 2 * slot
        if entry + 2 > _number(self.payload, "<H", vtable):
            return None
        offset = _number(self.payload, "<H", vtable + entry)
        return self.start + offset if offset else None

    def _follow(self, place: int) -> int:
        return place + _number(self.payload, "<I", place)


def _number(payload: bytes, form: str, place: int) -> int:
    if place < 0 or place + struct.calcsize(form) > len(payload):
        raise Damaged(f"byte {place} lies outside the file of {len(payload)} bytes")
    value: int = struct.unpack_from(form, payload, place)[0]
    return value
