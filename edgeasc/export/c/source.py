"""The text of the generated files. Nothing is decided here: the program and the layout say everything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources

import edgeasc
from edgeasc.export.c import frontend
from edgeasc.export.c.frontend import FrontEnd
from edgeasc.export.c.identity import with_build_hash
from edgeasc.export.c.memory import Layout
from edgeasc.export.c.program import Array, Port, Program, Step

LICENCE = "/* SPDX-License-Identifier: 0BSD OR Apache-2.0 */"
WIDTH = 110  # columns of the number tables
ENTRY = "ea_kernels.h"
ROUNDING = {"int8": 2, "island": 1}


def c_files(program: Program, layout: Layout, prefix: str = "scene", front: FrontEnd | None = None) -> dict[str, str]:
    """All files of the C folder by name, except those about the folder itself."""
    kernels = [f"{kernel}.c" for kernel in (*program.kernels, *(frontend.KERNELS if front else ()))]
    names = [*kernels, *sorted({header for name in (*kernels, ENTRY) for header in _headers(name)} | {ENTRY})]
    arrays = (*program.arrays, *(front.arrays if front else ()))
    sources = [f"{prefix}.c", "weights.c", *(["scene_stream.c"] if front else []), *kernels]
    files = {
        f"{prefix}.h": _header(program, layout, prefix),
        f"{prefix}.c": _model(program, layout, prefix),
        "weights.h": _weights_header(arrays),
        "weights.c": _weights(arrays),
        **{name: kernel_text(name) for name in names},
        f"{prefix}_host.c": host_program(prefix),
        "Makefile": _makefile(program, prefix, sources),
        "CMakeLists.txt": _cmake(program, prefix, sources),
    }
    if front is not None:
        files |= frontend.stream_files(front, layout, _head("From 16-bit samples to scenes."))
    return with_build_hash(files)


def kernel_names() -> frozenset[str]:
    """The files of the kernel library."""
    return frozenset(
        item.name for item in (resources.files("edgeasc.export.c") / "kernels").iterdir() if item.is_file()
    )


def kernel_text(name: str) -> str:
    """A file of the kernel library."""
    return (resources.files("edgeasc.export.c") / "kernels" / name).read_text(encoding="utf-8")


def _headers(name: str) -> set[str]:
    """Headers of the kernel library that one of its files includes, and what those include."""
    direct = set(re.findall(r'^#include "(ea_\w+\.h)"$', kernel_text(name), re.MULTILINE))
    return direct.union(*(_headers(header) for header in direct))


def _head(what: str) -> str:
    return f"{LICENCE}\n/* {what} Written by edgeasc {edgeasc.__version__}; do not edit. */\n"


def _comment(text: str) -> str:
    """Text from a user's file, safe inside a comment."""
    return (
        "".join(c if c.isprintable() and c.isascii() else "?" for c in text).replace("*/", "* /").replace("/*", "/ *")
    )


def _labels(program: Program) -> list[str]:
    try:
        labels = json.loads(program.metadata.get("edgeasc.labels", "[]"))
    except ValueError:
        labels = []
    if not isinstance(labels, list) or len(labels) != program.output.size:
        return [f"class {index}" for index in range(program.output.size)]
    return [str(label) for label in labels]


def c_string(text: str) -> str:
    """`text` as a C string literal, whatever is in it."""
    plain = {'"': '\\"', "\\": "\\\\", "?": "\\?"}
    body = "".join(
        plain.get(chr(byte), chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in text.encode("utf-8")
    )
    return f'"{body}"'


def _header(program: Program, layout: Layout, prefix: str) -> str:
    upper = prefix.upper()

    def port(name: str, value: Port) -> str:
        shape = " x ".join(map(str, value.shape[1:])) or "1"
        return (
            f"/* {name.capitalize()}: int8 {shape}, real = (integer - zero point) * scale. */\n"
            f"#define {upper}_{name.upper()}_BYTES {value.size}\n"
            f"#define {upper}_{name.upper()}_SCALE {_real(value.scale)}\n"
            f"#define {upper}_{name.upper()}_ZERO_POINT ({value.zero_point})\n"
        )

    return f"""{_head("Interface of the network.")}#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

/* Working memory, placed by the caller, aligned to 8 bytes. Two arenas are two independent instances. */
#define {upper}_ARENA_BYTES {layout.arena_bytes}
#define {upper}_CLASSES {program.output.size}
#define {upper}_LAYERS {len(program.layers)}
/* Digest of these files: a host asks a board for it, lest it measure another network. */
#define {upper}_BUILD ""

{port("input", program.input)}
{port("output", program.output)}
#ifdef __cplusplus
extern "C" {{
#endif

extern const char *const {prefix}_labels[{upper}_CLASSES];

/* 0, or -1 where `arena` is missing or not aligned. Call it before anything else. */
int {prefix}_init(void *arena);

/* Where to write the input, [channel][frequency][time], before every run: running overwrites it. */
int8_t *{prefix}_input(void *arena);

void {prefix}_run(void *arena);

/* One logit per class, valid until the next run. */
const int8_t *{prefix}_output(const void *arena);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _real(value: float) -> str:
    """A float32 constant, exact."""
    return f"{float(value).hex()}f /* {value:.9g} */"


def _model(program: Program, layout: Layout, prefix: str) -> str:
    upper = prefix.upper()
    offsets = {name: f"a + {offset}" for name, offset in layout.offsets.items()}
    fixed = _fixed_names(program)
    lines = [
        _head("The network, one call per layer."),
        f'#include "{prefix}.h"',
        '#include "ea_kernels.h"',
        '#include "weights.h"',
        "",
        "/* Called after every layer: a hook for tracing and for counting. Empty unless defined. */",
        "#ifndef EA_AFTER",
        "#define EA_AFTER(layer, name, output, bytes)",
        "#endif",
        "",
        f"const char *const {prefix}_labels[{upper}_CLASSES] = {{",
        *(f"    {c_string(label)}," for label in _labels(program)),
        "};",
        "",
        *dict.fromkeys(line for step in program.steps for line in step.before),
        "",
        f"int {prefix}_init(void *arena)",
        "{",
        "    return arena && (uintptr_t)arena % 8 == 0 ? 0 : -1;",
        "}",
        "",
        f"int8_t *{prefix}_input(void *arena)",
        "{",
        f"    return (int8_t *)arena + {layout.offsets[program.input.tensor]};",
        "}",
        "",
        f"const int8_t *{prefix}_output(const void *arena)",
        "{",
        f"    return (const int8_t *)arena + {layout.offsets[program.output.tensor]};",
        "}",
        "",
        f"void {prefix}_run(void *arena)",
        "{",
        "    int8_t *const a = arena;",
        "",
        *_calls(program, offsets, fixed),
        "}",
        "",
    ]
    return "\n".join(lines)


def _calls(program: Program, offsets: Mapping[str, str], fixed: Mapping[str, str]) -> Iterable[str]:
    """The calls in order, loops around those in strips."""
    loop = -1
    for step in program.steps:
        if step.loop != loop:
            if loop >= 0:
                yield "    }"
            if step.loop >= 0:
                opened = program.loops[step.loop]
                yield f"    for (int32_t i = {-opened.lead}; i < {opened.strips}; i++) {{"
            loop = step.loop
        yield from _call(step, program, offsets, fixed)
    if loop >= 0:
        yield "    }"


def _call(step: Step, program: Program, offsets: Mapping[str, str], fixed: Mapping[str, str]) -> list[str]:
    number = f"(i + {step.lead})" if step.lead else "i"
    shifts = step.shifts or ((0, 0),) * (len(step.reads) + 1)

    def place(name: str, shift: tuple[int, int]) -> str:
        moved = f" + {shift[0]}" if shift[0] else ""
        return offsets[name] + moved + (f" + {number} * {shift[1]}" if shift[1] else "")

    places = {str(i): fixed.get(name) or place(name, shifts[i]) for i, name in enumerate(step.reads)}
    places |= {"out": place(step.writes, shifts[-1]), "i": number}
    arguments = re.sub(r"@(\w+)", lambda found: places[found[1]], step.call)
    size = program.sizes[step.writes]
    kept = f", weights {step.storage}" if step.storage != "none" else ""
    still = step.op == "regroup" and places["0"] == places["out"]  # the bytes lie where they should
    # In a block of its own, or the compiler keeps the arguments of all layers on the stack at once.
    lines = [
        f"/* {_comment(step.name)}: {step.op}{kept} */",
        "{ (void)a; }" if still else f"{{ {step.function}({arguments}); }}",
        f"EA_AFTER({step.layer}, {c_string(step.name)}, {offsets[step.writes]}, {size});",
    ]
    if step.loop < 0:
        return [f"    {line}" for line in lines]
    end = program.loops[step.loop].strips - (0 if step.beyond else step.lead)
    guard = f"if (i >= {-step.lead} && i < {end}) {lines[1]}"
    return [f"        {line}" for line in (lines[0], guard, lines[2])]


def _fixed_names(program: Program) -> dict[str, str]:
    """C names of the constant tensors that steps read."""
    from edgeasc.export.c.lower import constant_name

    known = {array.name for array in program.constants}
    reads = {name for step in program.steps for name in step.reads}
    return {name: constant_name(name) for name in reads if constant_name(name) in known and name not in program.sizes}


def _weights_header(arrays: Iterable[Array]) -> str:
    lines = [f"extern const {array.ctype} {array.name}[{max(1, array.values.size)}];" for array in arrays]
    return f"{_head('Constants of the network.')}#ifndef WEIGHTS_H\n#define WEIGHTS_H\n\n#include <stdint.h>\n\n" + (
        "\n".join(lines) + "\n\n#endif\n"
    )


def _weights(arrays: Iterable[Array]) -> str:
    parts = [_head("Constants of the network."), '#include "weights.h"', ""]
    for array in arrays:
        numbers = array.values.tolist() or [0]  # C has no empty array
        parts += [f"const {array.ctype} {array.name}[{len(numbers)}] = {{", *_rows(numbers), "};", ""]
    return "\n".join(parts)


def _rows(numbers: Iterable[int]) -> Iterable[str]:
    line = "   "
    for number in numbers:
        text = f" {number}," if number != -(2**31) else " (-2147483647 - 1),"
        if len(line) + len(text) > WIDTH:
            yield line
            line = "   "
        line += text
    yield line


def host_program(prefix: str) -> str:
    """A program for the host: raw int8 inputs from standard input, raw int8 logits to standard output."""
    upper = prefix.upper()
    head = _head("Runs the network on inputs from standard input: raw int8 in, raw int8 logits out.")
    return f"""{head}#include <stdio.h>

#include "{prefix}.h"

static union {{
    uint64_t aligned;
    unsigned char bytes[{upper}_ARENA_BYTES];
}} arena;

int main(void)
{{
    if ({prefix}_init(&arena) != 0)
        return 1;
    while (fread({prefix}_input(&arena), 1, {upper}_INPUT_BYTES, stdin) == {upper}_INPUT_BYTES) {{
        {prefix}_run(&arena);
        if (fwrite({prefix}_output(&arena), 1, {upper}_OUTPUT_BYTES, stdout) != {upper}_OUTPUT_BYTES)
            return 1;
        if (fflush(stdout) != 0)
            return 1;
    }}
    return 0;
}}
"""


def _makefile(program: Program, prefix: str, sources: Sequence[str]) -> str:
    return f"""# SPDX-License-Identifier: 0BSD OR Apache-2.0
# `make` builds lib{prefix}.a; `make {prefix}_host` a program for this machine. For a chip, set CC, AR and CFLAGS.
CFLAGS ?= -O2
override CFLAGS += -std=c99 -Wall -Wextra -Wconversion -Werror -DEA_ROUNDING={ROUNDING[program.form]}
OBJECTS := $(patsubst %.c,%.o,{" ".join(sources)})

lib{prefix}.a: $(OBJECTS)
	$(AR) rcs $@ $^

%_host: %_host.o lib{prefix}.a
	$(CC) $(CFLAGS) -o $@ $^

%.o: %.c $(wildcard *.h)
	$(CC) $(CFLAGS) -c -o $@ $<

.PHONY: clean
clean:
	rm -f *.o lib{prefix}.a *_host
"""


def _cmake(program: Program, prefix: str, sources: Sequence[str]) -> str:
    listed = "\n    ".join(sources)
    return f"""# SPDX-License-Identifier: 0BSD OR Apache-2.0
cmake_minimum_required(VERSION 3.13)
project({prefix} C)

add_library({prefix} STATIC
    {listed}
)
target_include_directories({prefix} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
target_compile_definitions({prefix} PRIVATE EA_ROUNDING={ROUNDING[program.form]})
set_target_properties({prefix} PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)
"""
