"""The README of a C folder: what it needs of a chip, how to build it, how to call it."""

from __future__ import annotations

from collections.abc import Iterable

import edgeasc
from edgeasc.export.c.flash import code_bytes
from edgeasc.export.c.frontend import FrontEnd
from edgeasc.export.c.memory import Layout
from edgeasc.export.c.program import Program
from edgeasc.export.c.source import ROUNDING
from edgeasc.tables import Table, as_markdown

ROLES = {
    "weights": "weights",
    "indices": "where weights belong that are stored without their zeros",
    "bias": "biases",
    "scales": "multipliers and shifts",
    "table": "tables of functions",
    "constant": "other constants",
    "front end": "tables of the front end",
}


def readme(
    program: Program, layout: Layout, whole_bytes: int, prefix: str, front: FrontEnd | None, files: Iterable[str]
) -> str:
    """The text of `README.md`.

    Args:
        whole_bytes: the arena of the same network without strips. files: names of the C files.
    """
    return "\n".join(
        (
            f"# {prefix}: an acoustic scene network in C99",
            "",
            f"Written by edgeasc {edgeasc.__version__}. Integers only; no heap, no libc but `stdint.h` and `string.h`;",
            "all working memory is the caller's. Licence of every file: 0BSD or Apache-2.0, as you like.",
            "",
            "## What it needs",
            "",
            as_markdown([_memory(program, layout, front, code_bytes(files, len(program.steps)))]),
            "Code hangs on core and compiler: `edgeasc bench . --target qemu:cortex-m4` links firmware and counts its",
            "flash, its stack and its instructions. Instructions are no latency.",
            "",
            *_strips(program, whole_bytes),
            "## Building",
            "",
            "```console",
            f"$ make                                     # lib{prefix}.a for this machine",
            f"$ make {prefix}_host                           # raw int8 inputs on stdin, raw int8 logits on stdout",
            '$ make clean; make CC=arm-none-eabi-gcc AR=arm-none-eabi-ar CFLAGS="-O3 -mcpu=cortex-m4 -mthumb"',
            "```",
            "",
            f"Or compile all `.c` files but `*_host.c` in your own build, with `-DEA_ROUNDING={_rounding(program)}`,",
            "or add the folder to CMake by `add_subdirectory`. The kernels use DSP and Helium instructions where the",
            "core has them; the integers are the same on every path.",
            "",
            *_calling(program, prefix, front),
            "## Checking",
            "",
            "`model.json` holds the digests of all files, the layers, and what every array is. `edgeasc verify` on the",
            "folder above derives it all again; `edgeasc audit` counts what is stored here.",
            "",
        )
    )  # fmt: skip


def _rounding(program: Program) -> int:
    return ROUNDING[program.form]


def _memory(program: Program, layout: Layout, front: FrontEnd | None, code: int) -> Table:
    roles = program.bytes_by_role | {"front end": front.table_bytes if front else 0}
    rows = [("flash", text, f"{roles[role]:,}") for role, text in ROLES.items() if roles[role]]
    rows.append(("flash", "all constants", f"{sum(roles.values()):,}"))
    rows.append(("flash", "code, estimated for gcc -O2 on a Cortex-M4", f"{code:,}"))
    rows.append(("RAM", "arena: all activations, input and output included", f"{layout.arena_bytes:,}"))
    if front is not None:
        if front.arena_bytes(layout) > layout.arena_bytes:
            rows.append(("RAM", "arena with the front end, which works in it too", f"{front.arena_bytes(layout):,}"))
        rows.append(
            ("RAM", "state of the stream: one window of samples, one input of frames", f"{front.state_bytes:,}")
        )
    return Table(("memory", "what", ">bytes"), rows)


def _strips(program: Program, whole_bytes: int) -> list[str]:
    if not program.loops:
        return []
    many = len(program.loops) > 1
    who = f"{len(program.loops)} stretches of the network run" if many else "One stretch of the network runs"
    return [
        f"{who} in strips of a few frequencies, to spend instructions instead of memory:",
        f"as a whole the network would need an arena of {whole_bytes:,} bytes. The integers are the same.",
        "",
    ]


def _calling(program: Program, prefix: str, front: FrontEnd | None) -> list[str]:
    upper = prefix.upper()
    shape = " x ".join(map(str, program.input.shape[1:]))
    lines = [
        "## Calling it",
        "",
        "```c",
        f'#include "{prefix}.h"',
        "",
        f"static union {{ uint64_t aligned; unsigned char bytes[{upper}_ARENA_BYTES]; }} arena;",
        "",
        f"{prefix}_init(&arena);                             /* 0, or -1 where the arena is not aligned to 8 bytes */",
        f"int8_t *input = {prefix}_input(&arena);            /* write {shape} values before every run */",
        f"{prefix}_run(&arena);",
        f"const int8_t *logits = {prefix}_output(&arena);    /* {upper}_CLASSES of them; {prefix}_labels names them */",
        "```",
        "",
        "The input is [channel][frequency][time],",
        f"`real = (integer - {upper}_INPUT_ZERO_POINT) * {upper}_INPUT_SCALE`.",
        "Two arenas are two independent instances.",
        "",
    ]
    if front is not None:
        lines += [
            f"From 16-bit samples at {front.spec.sample_rate:,} Hz: `{prefix}_stream.h`.",
            "",
        ]
    return lines
