"""Byte counts: integers inside, units only at the edge."""

from __future__ import annotations

import re

from edgeasc.errors import UsageError

LARGEST = 2**53  # beyond it a float is no longer exact
UNITS = {"": 1, "b": 1, "kib": 1024, "kb": 1000, "mib": 1024**2, "mb": 1000**2}


def parse_size(text: str) -> int:
    """Bytes meant by `text`: `61440`, `128KiB` (1024) or `128kB` (1000).

    Raises:
        UsageError: not a positive number with a known unit.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].lower() not in UNITS:
        raise UsageError("size", f"{text!r} is not a size; write bytes or a unit, like 61440, 128KiB or 128kB")
    size = float(match[1]) * UNITS[match[2].lower()]
    if not 1 <= size <= LARGEST:
        raise UsageError("size", f"{text!r} is not a size between one byte and 2^53")
    return int(size)


def format_size(size: int) -> str:
    """`size` in bytes for people, both units by name: `62,316 B (60.86 KiB, 62.32 kB)`."""
    if size < 1000:
        return f"{size} B"
    return f"{size:,} B ({size / 1024:,.2f} KiB, {size / 1000:,.2f} kB)"
