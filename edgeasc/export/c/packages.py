"""The C folder as a Zephyr module or as an Arduino library: the same files, with what each build system wants beside.

Zephyr's build gives definitions to a module's files; Arduino's none, so every file there includes one header more.
"""

from __future__ import annotations

from collections.abc import Callable

import edgeasc
from edgeasc.export.c.bundle import Bundle
from edgeasc.export.c.source import LICENCE, ROUNDING

HASH_LICENCE = "# SPDX-License-Identifier: 0BSD OR Apache-2.0"
LIBRARY = "EdgeascScene"
MODULE, OPTION = "edgeasc_scene", "EDGEASC_SCENE"
NO_INPUT = "Nothing is connected yet: the loop below stands for %s."


def package_files(bundle: Bundle, kind: str) -> dict[str, str]:
    """The files of one of `PACKAGES` by path below its folder."""
    return PACKAGES[kind](bundle)


def has_stream(bundle: Bundle) -> bool:
    """Whether the C takes samples, not only features."""
    return "scene_stream.h" in bundle.files


def _sources(bundle: Bundle) -> dict[str, str]:
    """What goes onto a chip."""
    headers = [name for name in bundle.files if name.endswith(".h")]
    return {name: bundle.files[name] for name in sorted((*bundle.chip_sources, *headers))}


def _zephyr(bundle: Bundle) -> dict[str, str]:
    return {
        **{f"src/{name}": text for name, text in _sources(bundle).items()},
        "zephyr/module.yml": f"name: {MODULE}\nbuild:\n  cmake: zephyr\n  kconfig: zephyr/Kconfig\n",
        "zephyr/Kconfig": _KCONFIG,
        "zephyr/CMakeLists.txt": _zephyr_cmake(bundle),
        "sample/CMakeLists.txt": _SAMPLE_CMAKE,
        "sample/prj.conf": f"CONFIG_{OPTION}=y\nCONFIG_MAIN_STACK_SIZE=8192\n",
        "sample/src/main.c": _zephyr_main(bundle),
        "README.md": _readme(bundle, "Zephyr module", _ZEPHYR_USE),
    }


_KCONFIG = f"""{HASH_LICENCE}
config {OPTION}
    bool "Acoustic scene network"
    help
      An acoustic scene classifier in integers, by edgeasc: no heap, no floating point, all working memory from the
      caller.

config {OPTION}_SPEED
    bool "Compile the network for speed"
    depends on {OPTION}
    default y
    help
      -O3 for the network, whatever the application is compiled with.
"""

_SAMPLE_CMAKE = f"""{HASH_LICENCE}
cmake_minimum_required(VERSION 3.20.0)
list(APPEND ZEPHYR_EXTRA_MODULES ${{CMAKE_CURRENT_SOURCE_DIR}}/..)
find_package(Zephyr REQUIRED HINTS $ENV{{ZEPHYR_BASE}})
project(scene)
target_sources(app PRIVATE src/main.c)
"""

_ZEPHYR_USE = f"""Add this folder to `ZEPHYR_EXTRA_MODULES`, set `CONFIG_{OPTION}=y`, and include `scene.h`. The
sample runs it:

```console
$ west build -b nucleo_l4r5zi sample
```
"""


def _zephyr_cmake(bundle: Bundle) -> str:
    listed = "\n".join(f"    ${{source}}/{name}" for name in bundle.chip_sources)
    return f"""{HASH_LICENCE}
if(CONFIG_{OPTION})
  set(source ${{CMAKE_CURRENT_LIST_DIR}}/../src)
  zephyr_library_named({MODULE})
  zephyr_library_sources(
{listed}
  )
  zephyr_library_compile_definitions(EA_ROUNDING={ROUNDING[bundle.facts["form"]]})
  if(CONFIG_{OPTION}_SPEED)
    zephyr_library_compile_options(-O3)
  endif()
  zephyr_include_directories(${{source}})
endif()
"""


def _zephyr_main(bundle: Bundle) -> str:
    return f"""{LICENCE}
#include <zephyr/kernel.h>
#include <zephyr/sys/printk.h>

{_SAMPLE_STATE[has_stream(bundle)]}
int main(void)
{{
    if ({_SAMPLE_INIT[has_stream(bundle)]} != 0)
        return 1;
    for (;;) {{
        printk("%s\\n", scene_labels[next_scene()]);
        k_msleep(1000);
    }}
}}
"""


def _arduino(bundle: Bundle) -> dict[str, str]:
    rounding = ROUNDING[bundle.facts["form"]]
    config = f"{LICENCE}\n/* What the library's Makefile defines elsewhere. */\n#define EA_ROUNDING {rounding}\n"
    code = {
        f"src/{name}": f'#include "ea_config.h"\n{text}' if name.endswith(".c") else text
        for name, text in _sources(bundle).items()
    }
    return {
        **code,
        "src/ea_config.h": config,
        "library.properties": _properties(bundle),
        "examples/Scene/Scene.ino": _sketch(bundle),
        "README.md": _readme(bundle, "Arduino library", _ARDUINO_USE),
    }


_ARDUINO_USE = f"""Copy this folder to `libraries/{LIBRARY}` of the sketchbook, or zip it for Sketch > Include Library.
Then File > Examples > {LIBRARY} > Scene. Boards of 32 bits: on those of 8 bits constants would fill the RAM.
"""


def _properties(bundle: Bundle) -> str:
    constants, arena = (bundle.facts[key] for key in ("constant_bytes", "arena_bytes"))
    return f"""name={LIBRARY}
version={edgeasc.__version__}
author=edgeasc
maintainer=edgeasc
sentence=An acoustic scene classifier in integers, without a runtime.
paragraph=No heap, no floating point; {constants} bytes of constants, {arena} bytes of working memory.
category=Signal Input/Output
url=
architectures=*
includes=scene.h
license=0BSD OR Apache-2.0
"""


def _sketch(bundle: Bundle) -> str:
    return f"""{LICENCE}
{_SAMPLE_STATE[has_stream(bundle)]}
void setup()
{{
    Serial.begin(115200);
    if ({_SAMPLE_INIT[has_stream(bundle)]} != 0)
        Serial.println("the arena is not aligned");
}}

void loop()
{{
    Serial.println(scene_labels[next_scene()]);
    delay(1000);
}}
"""


_FEATURES_STATE = f"""#include "scene.h"

static union {{
    uint64_t aligned;
    unsigned char bytes[SCENE_ARENA_BYTES];
}} arena;

/* {NO_INPUT % "your features"} */
static int next_scene(void)
{{
    int8_t *input = scene_input(&arena);
    for (int32_t i = 0; i < SCENE_INPUT_BYTES; i++)
        input[i] = SCENE_INPUT_ZERO_POINT;
    scene_run(&arena);
    const int8_t *logits = scene_output(&arena);
    int best = 0;
    for (int i = 1; i < SCENE_CLASSES; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}}
"""

_STREAM_STATE = f"""#include "scene_stream.h"

static union {{
    uint64_t aligned;
    unsigned char bytes[SCENE_STREAM_ARENA_BYTES];
}} arena;

static scene_stream stream;

/* {NO_INPUT % "your microphone"} 16 bits, mono, SCENE_SAMPLE_RATE. */
static int next_scene(void)
{{
    static int16_t samples[256];
    while (!scene_stream_due(&stream))
        scene_stream_push(&stream, samples, (int32_t)(sizeof samples / sizeof *samples));
    return scene_stream_run(&stream);
}}
"""

_SAMPLE_STATE = {False: _FEATURES_STATE, True: _STREAM_STATE}
_SAMPLE_INIT = {False: "scene_init(&arena)", True: "scene_stream_init(&stream, &arena, SCENE_FRAMES)"}


def _readme(bundle: Bundle, what: str, use: str) -> str:
    facts, front = bundle.facts, bundle.facts["front_end"]
    stream = ""
    if has_stream(bundle):
        stream = (
            f"\nFrom samples to scenes with `scene_stream.h`, {front['arena_bytes']:,} bytes and "
            f"{front['state_bytes']:,} for a stream; from features with `scene.h`.\n"
        )
    return f"""# Acoustic scene network: {what}

{use}
Constants take {facts["constant_bytes"]:,} bytes of flash, the kernels some kilobytes more; working memory is
{facts["arena_bytes"]:,} bytes, which the caller places, beside a stack of 4 to 7 kB, as the compiler has it.
{stream}
Written by edgeasc {edgeasc.__version__}. 0BSD OR Apache-2.0.
"""


PACKAGES: dict[str, Callable[[Bundle], dict[str, str]]] = {"arduino": _arduino, "zephyr": _zephyr}
