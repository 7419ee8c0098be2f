"""Which build a C folder is: a digest that its header carries into the firmware, and that the host derives again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

VERSION_LINE = re.compile(r"^/\* .* Written by edgeasc [0-9A-Za-z.+-]*; do not edit\. \*/$", re.MULTILINE)
BUILD_LINE = re.compile(r'^(#define [A-Z0-9_]+_BUILD) "[0-9a-f]*"$', re.MULTILINE)
DIGITS = 32


def build_hash(files: Mapping[str, str]) -> str:
    """The digest of all C that goes onto a chip, 32 hexadecimal digits.

    The version that wrote the files is left out, and so is the program for the host: what computes the same integers
    in the same memory is the same build.
    """
    digest = hashlib.sha256()
    for name in sorted(files):
        if name.endswith((".c", ".h")) and not name.endswith("_host.c"):
            text = BUILD_LINE.sub(r"\1", VERSION_LINE.sub("", files[name])).encode()
            digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:DIGITS]


def with_build_hash(files: Mapping[str, str]) -> dict[str, str]:
    """`files` whose headers say in `..._BUILD` which build they are."""
    build = build_hash(files)
    return {
        name: BUILD_LINE.sub(rf'\1 "{build}"', text) if name.endswith(".h") else text for name, text in files.items()
    }
