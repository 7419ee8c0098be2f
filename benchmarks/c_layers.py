"""Every element of every layer: a CRC-32 of each layer's output over all inputs, in C and in the numpy reference.

The generated C calls a hook after each layer; here the hook digests what the layer wrote, on the host or on an emulated
core. Layers whose digests agree have written the same bytes for all inputs.
"""

from __future__ import annotations

import subprocess
import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.mcu.boards import find_board
from edgeasc.bench.mcu.emulate import run_emulator
from edgeasc.bench.mcu.firmware import FOLDER, build
from edgeasc.export.c.bundle import Bundle, bundle
from edgeasc.export.c.source import ROUNDING
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.reference import Reference
from edgeasc.runtime.native_c import SANITISERS, host_compiler

SECONDS = 120.0
CHUNK = 8
MAIN, DIGESTS = "digest_main.c", "digests.bin"
HOOK = """#include <stdint.h>
void digest(int layer, const int8_t *output, uint32_t bytes);
#undef EA_AFTER
#define EA_AFTER(layer, name, output, bytes) digest(layer, output, bytes)
"""
DIGEST = """#include "scene.h"
static uint32_t table[256];
uint32_t digests[SCENE_LAYERS];
void digest(int layer, const int8_t *output, uint32_t bytes);
void digest(int layer, const int8_t *output, uint32_t bytes)
{
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++)
                c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
            table[i] = c;
        }
    uint32_t c = ~digests[layer];
    while (bytes--)
        c = table[(c ^ (uint8_t)*output++) & 0xFF] ^ c >> 8;
    digests[layer] = ~c;
}
"""
CORE_MAIN = """#include "scene.h"
#include "semihosting.h"
extern uint32_t digests[SCENE_LAYERS];
static __attribute__((aligned(8), section(".arena"))) unsigned char arena[SCENE_ARENA_BYTES];
void fw_exit(int status);
void fw_exit(int status)
{
    const uint32_t arguments[2] = {0x20026u, (uint32_t)status};
    sh_call(SH_EXIT_EXTENDED, arguments);
    for (;;) {
    }
}
int main(void)
{
    const int32_t in = sh_open("inputs.bin", 10, SH_READ_BINARY), out = sh_open("digests.bin", 11, SH_WRITE_BINARY);
    if (in < 0 || out < 0 || scene_init(arena) != 0)
        return 2;
    while (sh_transfer(SH_READ, in, scene_input(arena), SCENE_INPUT_BYTES) == 0)
        scene_run(arena);
    return sh_transfer(SH_WRITE, out, digests, sizeof digests) != 0 ? 3 : 0;
}
"""
HOST_MAIN = """#include <stdio.h>
#include "scene.h"
extern uint32_t digests[SCENE_LAYERS];
static union { uint64_t aligned; unsigned char bytes[SCENE_ARENA_BYTES]; } arena;
int main(void)
{
    if (scene_init(&arena) != 0)
        return 1;
    while (fread(scene_input(&arena), 1, SCENE_INPUT_BYTES, stdin) == SCENE_INPUT_BYTES)
        scene_run(&arena);
    return fwrite(digests, sizeof digests, 1, stdout) == 1 ? 0 : 1;
}
"""


def reference_digests(graph: IntegerGraph, inputs: NDArray[np.int8]) -> list[int]:
    """CRC-32 of every layer's output in the numpy reference, over all inputs in order."""
    reference, found = Reference(graph), [0] * len(graph.nodes)
    for at in range(0, len(inputs), CHUNK):
        tensors = reference.run(inputs[at : at + CHUNK])
        for index, node in enumerate(graph.nodes):
            found[index] = zlib.crc32(np.ascontiguousarray(tensors[node.output]).tobytes(), found[index])
    return found


def hooked(graph: IntegerGraph) -> Bundle:
    """The C of `graph` with the digest behind its hook."""
    made = bundle(graph, front_end=False)
    return replace(made, files={**made.files, "scene.c": HOOK + made.files["scene.c"], "digest.c": DIGEST})


def host_digests(graph: IntegerGraph, inputs: NDArray[np.int8]) -> list[int]:
    """The same in C on this machine, under the sanitisers."""
    made = hooked(graph)
    with tempfile.TemporaryDirectory(prefix="edgeasc-layers-") as place:
        folder = Path(place)
        for name, text in (*made.files.items(), (MAIN, HOST_MAIN)):
            (folder / name).write_text(text, encoding="utf-8")
        flags = ["-std=c99", "-O2", *SANITISERS, f"-DEA_ROUNDING={ROUNDING[graph.form]}"]
        command = [host_compiler(), *flags, "-o", "digest", *made.chip_sources, MAIN]
        subprocess.run(command, cwd=folder, check=True, timeout=SECONDS)
        done = subprocess.run([folder / "digest"], input=inputs.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, "<u4").tolist()


def core_digests(graph: IntegerGraph, inputs: NDArray[np.int8], core: str, timeout: float) -> list[int]:
    """The same in C on an emulated core."""
    board = find_board(core)
    with tempfile.TemporaryDirectory(prefix="edgeasc-layers-") as place:
        folder = Path(place)
        (folder / FOLDER).mkdir()
        (folder / FOLDER / MAIN).write_text(CORE_MAIN, encoding="utf-8")
        (folder / "inputs.bin").write_bytes(inputs.tobytes())
        run_emulator(build(hooked(graph), board, folder, main=MAIN), board, timeout)
        return np.frombuffer((folder / DIGESTS).read_bytes(), "<u4").tolist()
