"""Whether a C folder is made of what edgeasc writes, and of nothing else: asked before any of it is compiled and run.

The kernels have to be this version's, to the letter. The files that differ from network to network consist of lines of
a few known shapes: numbers, calls of kernels, names. Digests would not do: whoever changes a file writes its digest.
"""

from __future__ import annotations

import math
import re

from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import PREFIX, README, Bundle
from edgeasc.export.c.frontend import STREAM_NUMBERS, stream_header, stream_names, stream_text
from edgeasc.export.c.identity import VERSION_LINE
from edgeasc.export.c.source import LICENCE, host_program, kernel_names, kernel_text

_DEFINE = re.compile(r"^(#define SCENE_[A-Z0-9_]+) -?[0-9]+$", re.MULTILINE)
_NUMBER = r"\(?-?[0-9]+(?: - 1\))?\)?"
_STRING = r'"(?:[^"\\\n]|\\[0-7]{3}|\\["\\?])*"'
# Names of our own arrays alone: data that is named like a function is called by that name, and flash can be run.
_ARRAY = r"(?:[bimtw]_s[0-9]+_[A-Za-z0-9_]+|k_[A-Za-z0-9_]+|fe_[a-z]+)"
_KERNEL = "(?:" + "|".join(re.findall(r"^void (ea_[a-z0-9_]+)\(", kernel_text("ea_kernels.h"), re.MULTILINE)) + ")"
_STRIP = r"(?:\(i \+ [0-9]+\)|i)"
_PLACE = (
    rf"(?:a \+ [0-9]+(?: \+ [0-9]+)?(?: \+ {_STRIP} \* [0-9]+)?|{_STRIP}|{_ARRAY}|&r_[A-Za-z0-9_]+"
    rf"|p_\w+\[{_STRIP} / [0-9]+\])"
)
_VALUE = rf"(?:{_PLACE}|-?[0-9]+|\(ea_[a-z]+\)\{{-?[0-9]+(?:, -?[0-9]+)*\}})"
_COMMENT = r"/\* [^*\n]*(?:\*(?!/)[^*\n]*)* \*/"
_LINES = {
    "weights.c": (
        r'#include "weights\.h"', rf"const u?int(?:8|16|32)_t {_ARRAY}\[[0-9]+\] = \{{", r"\};",
        rf" +{_NUMBER},(?: {_NUMBER},)*",
    ),
    "weights.h": (
        r"#ifndef WEIGHTS_H", r"#define WEIGHTS_H", r"#include <stdint\.h>", r"#endif",
        rf"extern const u?int(?:8|16|32)_t {_ARRAY}\[[0-9]+\];",
    ),
    "scene.h": (
        r"#(?:ifndef|define) SCENE_H", r"#include <stdint\.h>", r"#ifdef __cplusplus", r"#endif",
        r'extern "C" \{', r"\}",
        r"#define SCENE_[A-Z_]+ \(?-?[0-9][0-9a-fpx.+-]*\)?(?: /\* [0-9.e+-]+ \*/)?",
        r'#define SCENE_BUILD "[0-9a-f]{32}"',
        r"extern const char \*const scene_labels\[SCENE_CLASSES\];",
        r"(?:int|int8_t \*|void|const int8_t \*) ?scene_(?:init|input|run|output)\((?:const )?void \*arena\);",
    ),
    "scene.c": (
        r'#include "(?:scene|ea_kernels|weights)\.h"', r"#ifndef EA_AFTER", r"#endif",
        r"#define EA_AFTER\(layer, name, output, bytes\)",
        r"const char \*const scene_labels\[SCENE_CLASSES\] = \{", rf"    {_STRING},", r"\};",
        rf"static const ea_(?:requant|resnorm_constants) r_\w+ = \{{(?:{_ARRAY}|-?[0-9]+|INT64_C\(-?[0-9]+\))"
        rf"(?:, (?:{_ARRAY}|-?[0-9]+|INT64_C\(-?[0-9]+\)))*\}};",
        r"(?:int|int8_t \*|void|const int8_t \*) ?scene_(?:init|input|run|output)\((?:const )?void \*arena\)", r"[{}]",
        r"    return arena && \(uintptr_t\)arena % 8 == 0 \? 0 : -1;",
        r"    return \((?:const )?int8_t \*\)arena \+ [0-9]+;", r"    int8_t \*const a = arena;",
        r"    for \(int32_t i = -?[0-9]+; i < [0-9]+; i\+\+\) \{", r"    \}",
        r"static const ea_requant \*const p_\w+\[[0-9]+\] = \{&r_\w+(?:, &r_\w+)*\};",
        rf"    (?:    if \(i >= -?[0-9]+ && i < -?[0-9]+\) )?\{{ {_KERNEL}\({_VALUE}(?:, {_VALUE})*\); \}}",
        rf"    (?:    )?EA_AFTER\([0-9]+, {_STRING}, a \+ [0-9]+, [0-9]+\);",
    ),
}  # fmt: skip
FIXED = {
    "scene_stream.h": stream_header(dict.fromkeys(STREAM_NUMBERS, 0), f"{LICENCE}\n\n"),
    **{name: stream_text(name) for name in stream_names()},
}


def check_genuine(bundle: Bundle) -> None:
    """Refuse to go on with C that edgeasc does not write.

    Raises:
        BadInput: a file, or a line of one, that is none of ours.
    """
    host = f"{PREFIX}_host.c"
    for name, text in bundle.files.items():
        if name in kernel_names():
            if text != kernel_text(name):
                raise BadInput("C folder", f"{name} is not this version's and is not compiled here; export it again")
        elif name == host:
            if _plain(text) != _plain(host_program(PREFIX)):
                raise BadInput("C folder", f"{name} is not what edgeasc writes; it is not compiled here")
        elif name in FIXED:
            if _unnumbered(_plain(text)) != _unnumbered(_plain(FIXED[name])):
                raise BadInput("C folder", f"{name} is not what edgeasc writes; it is not compiled here")
        elif name in _LINES:
            _check_lines(name, text)
        elif name not in ("Makefile", "CMakeLists.txt", README):  # which are not used here
            raise BadInput("C folder", f"{name!r} is no file of ours; it is not compiled here")
    _check_places(bundle)


def _unnumbered(text: str) -> str:
    """`text` with 0 for every plain number that it defines."""
    return _DEFINE.sub(r"\1 0", text)


def _plain(text: str) -> str:
    return VERSION_LINE.sub("", text)


def _check_lines(name: str, text: str) -> None:
    known = re.compile("|".join((*_LINES[name], _COMMENT, r" *" + _COMMENT)))
    for number, line in enumerate(_plain(text).split("\n"), start=1):
        if line and known.fullmatch(line) is None:
            raise BadInput("C folder", f"{name} line {number} is not what edgeasc writes; it is not compiled here")


_ARENA = re.compile(r"^#define SCENE_ARENA_BYTES (\d+)$", re.MULTILINE)
_EXTENT = re.compile(r"\ba \+ (\d+)(?: \+ (\d+))?(?:, \(ea_shape\)\{(\d+), (\d+), (\d+)\}|, (\d+)\);)?")
_PORT = re.compile(r"arena \+ (\d+);")


def _check_places(bundle: Bundle) -> None:
    """Every place in the arena, with the tensor that is told behind it, lies inside the arena that the header gives.

    Raises:
        BadInput: one does not.
    """
    model, header = (bundle.files.get(f"{PREFIX}.{kind}", "") for kind in "ch")
    arena = _ARENA.search(header)
    ports = [int(place) for place in _PORT.findall(model)]
    largest = max(ports, default=0) + 1
    for found in _EXTENT.finditer(model):
        start, more, *sides, plain = (int(group) if group else 0 for group in found.groups())
        largest = max(largest, start + more + max(math.prod(sides), plain, 1))
    if arena is None or largest > int(arena[1]):
        raise BadInput("C folder", f"{PREFIX}.c works outside of its arena; it is not compiled here")
