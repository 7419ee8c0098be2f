"""TensorBoard event files, written directly.

The format is small (a record is length, CRC, protocol buffer, CRC), and tensorboard's own writer imports TensorFlow
wherever it is installed, which must not share a process with us, and writes from a thread whose errors come late.
Source: tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from edgeasc.files import append_bytes, write_bytes

NOT_SCALARS = ("phase", "epoch", "iteration", "finished")


def write_events(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Write a new event file with one event per row of a run's history."""
    version = _field(1, struct.pack("<d", 0.0), 1) + _text(3, "brain.Event:2")
    write_bytes(path, _record(version) + b"".join(_row_record(step, row) for step, row in enumerate(rows, start=1)))


def append_event(path: Path, step: int, row: dict[str, str]) -> None:
    """Add the event of one row, so that a TensorBoard that is watching sees it."""
    append_bytes(path, _row_record(step, row))


def _row_record(step: int, row: dict[str, str]) -> bytes:
    """One event with every number of the row as a scalar `<phase>/<column>`."""
    values = b""
    for column, text in row.items():
        if text and column not in NOT_SCALARS:
            value = _text(1, f"{row['phase']}/{column}") + _field(2, struct.pack("<f", float(text)), 5)
            values += _field(1, _varint(len(value)) + value, 2)
    event = _field(1, struct.pack("<d", float(row["finished"] or 0)), 1) + _field(2, _varint(step), 0)
    return _record(event + _field(5, _varint(len(values)) + values, 2))


def _record(event: bytes) -> bytes:
    length = struct.pack("<Q", len(event))
    return length + _masked_crc(length) + event + _masked_crc(event)


def _field(number: int, content: bytes, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type) + content


def _text(number: int, text: str) -> bytes:
    encoded = text.encode()
    return _field(number, _varint(len(encoded)) + encoded, 2)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _crc_table() -> tuple[int, ...]:
    """CRC-32C, polynomial 0x1EDC6F41 reflected."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


def _masked_crc(content: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
