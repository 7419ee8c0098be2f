"""The C of emx-onnx-cgen for one of our networks, as firmware beside ours: same core, compiler, flags and counting.

Two forms of the file go in: the QDQ graph as we write it, which emx computes in float between the quantisers, and the
same graph with its operators fused by ONNX Runtime (QLinearConv and its kin), which emx computes in integers as far as
ONNX Runtime could fuse them. The generator is foreign code and runs in a process of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.mcu.boards import Board
from edgeasc.bench.mcu.emulate import Emulation, emulate
from edgeasc.bench.mcu.firmware import COMPILER, Firmware, sections
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.onnx_write import onnx_bytes

KINDS = ("QDQ", "QOperator")
SECONDS = 600.0
MOST_NODES = 20  # that are told apart
SPARE_RAM = 65_536  # beside the stack, on which emx keeps every tensor
_GENERATE = """
import sys
sys.setrecursionlimit(100_000)  # it visits a graph node by node
from emx_onnx_cgen.cli import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Measured:
    """One firmware of emx: `flash_bytes` with what it takes of libc, and all of its RAM, which is stack."""

    emulation: Emulation
    firmware: Firmware
    nodes: tuple[str, ...]  # of the graph, in the order of `emulation.layers`

    @property
    def version(self) -> str:
        """Of the generator."""
        return metadata.version("emx-onnx-cgen")


def measure(
    graph: IntegerGraph, kind: str, board: Board, inputs: NDArray[np.int8], timeout: float = SECONDS
) -> Measured:
    """Generate, compile, run.

    Raises:
        RuntimeError: the generator or the compiler refuses the network. ResourceExhausted: the emulation failed.
    """
    with tempfile.TemporaryDirectory(prefix="edgeasc-emx-") as place:
        folder = Path(place)
        text, nodes = instrumented(generate(graph, kind, folder))
        (folder / "net.c").write_text(text)
        write_adapter(folder, graph, nodes)
        firmware = compile_firmware(folder, board)
        classes = graph[graph.output].size
        return Measured(emulate(firmware, board, inputs, classes, timeout), firmware, tuple(nodes))


def generate(graph: IntegerGraph, kind: str, folder: Path) -> str:
    """The C text that emx writes for `graph` in one of `KINDS`."""
    model = folder / "model.onnx"
    model.write_bytes(onnx_bytes(graph))
    if kind == "QOperator":
        fuse(model, graph)
    command = [
        sys.executable, "-P", "-c", _GENERATE, "compile", model.name, "generated.c", "--model-name", "net",
        "--large-temp-threshold", "0", "--large-weight-threshold", "0", "--restrict-arrays",
        *(("--input-dim", "batch=1") if kind == "QDQ" else ()),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"emx-onnx-cgen refuses the network: {done.stdout.strip().splitlines()[-1:]}")
    return (folder / "generated.c").read_text()


def fuse(model: Path, graph: IntegerGraph) -> None:
    """Let ONNX Runtime fuse the operators of the file, and give emx the shapes that this loses."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    whole = onnx.load(model)
    for value in (*whole.graph.input, *whole.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(whole, model)
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    settings.add_session_config_entry("session.qdqisint8allowed", "1")
    settings.optimized_model_filepath = str(model.with_name("fused.onnx"))
    settings.log_severity_level = 3
    onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    known = {
        value.name: ([side.dim_value for side in value.type.tensor_type.shape.dim], value.type.tensor_type.elem_type)
        for value in onnx.shape_inference.infer_shapes(whole).graph.value_info
    }
    known[graph.input] = (list(graph[graph.input].shape), TensorProto.INT8)
    fused = onnx.load(model.with_name("fused.onnx"))
    del fused.graph.value_info[:]
    results = {value.name for value in fused.graph.output}
    for node in fused.graph.node:
        for name in node.output:
            if name not in known and node.input[0] in known:
                quantised = node.op_type == "QuantizeLinear"
                known[name] = (known[node.input[0]][0], TensorProto.INT8 if quantised else TensorProto.FLOAT)
            if name in known and name not in results:
                shape, kind = known[name]
                fused.graph.value_info.append(helper.make_tensor_value_info(name, kind, shape))
    onnx.save(fused, model)


def instrumented(text: str) -> tuple[str, list[str]]:
    """The C text with a count after every node of its main function, as ours has after every layer."""
    head, main = text.split("\nvoid net(", 1)
    nodes: list[str] = []

    def count(call: re.Match[str]) -> str:
        nodes.append(call[1])
        return f"{call[0]}\n    fw_after({len(nodes) - 1});"

    main = re.sub(r"^    node\d+_(\w+)\([^;]*\);$", count, main, flags=re.MULTILINE)
    return f"void fw_after(int layer);\n{head}\nvoid net({main}", nodes


def write_adapter(folder: Path, graph: IntegerGraph, nodes: list[str]) -> None:
    """Our firmware's interface around emx's function: int8 in, its float logits on our output's grid."""
    source, output = graph[graph.input], graph[graph.output]
    shape = "".join(f"[{side}]" for side in source.shape)
    (folder / "scene.h").write_text(
        f"""#include <stdint.h>
#define SCENE_ARENA_BYTES {source.size + 8 * output.size}
#define SCENE_LAYERS {len(nodes)}
#define SCENE_INPUT_BYTES {source.size}
#define SCENE_OUTPUT_BYTES {output.size}
int scene_init(void *arena);
int8_t *scene_input(void *arena);
void scene_run(void *arena);
const int8_t *scene_output(const void *arena);
"""
    )
    (folder / "scene.c").write_text(
        f"""#include "scene.h"
#include <math.h>
static float logits[1][{output.size}];
static int8_t answer[{output.size}];
void net(const int8_t input{shape}, float output[1][{output.size}]);
int scene_init(void *arena) {{ return arena ? 0 : -1; }}
int8_t *scene_input(void *arena) {{ return arena; }}
const int8_t *scene_output(const void *arena) {{ (void)arena; return answer; }}
void scene_run(void *arena)
{{
    net((const int8_t(*){shape[len(f"[{source.shape[0]}]") :]})arena, logits);
    for (int i = 0; i < {output.size}; i++) {{
        const float v = rintf(logits[0][i] / {float(output.scale).hex()}f) + {output.zero_point};
        answer[i] = (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
    }}
}}
"""
    )


def compile_firmware(folder: Path, board: Board) -> Firmware:
    """As `bench.mcu.firmware.build`, for all memory that the emulator has, with libm and a stack that takes it."""
    (folder / "firmware").mkdir()
    for item in (resources.files("edgeasc.bench.mcu") / "firmware").iterdir():
        if item.is_file():
            (folder / "firmware" / item.name).write_text(item.read_text(encoding="utf-8"), encoding="utf-8")
    memory = board.largest
    places = {
        "FLASH_ORIGIN": memory.flash_origin,
        "FLASH_LENGTH": memory.flash_bytes,
        "RAM_ORIGIN": memory.ram_origin,
        "RAM_LENGTH": memory.ram_bytes,
        "STACK_LENGTH": memory.ram_bytes - SPARE_RAM,
    }
    flags = (COMPILER, *board.flags, "-O3", "-std=gnu99", "-ffunction-sections", "-fdata-sections", "-I.")
    # Ours is freestanding, and start-up code has to be; emx's C may count on the compiler's knowledge of libm.
    run([*flags, "-c", "net.c", "scene.c"], folder)
    run([*flags, "-ffreestanding", "-c", "firmware/main.c", "firmware/startup.c"], folder)
    run(
        [*flags, "net.o", "scene.o", "main.o", "startup.o", "-nostartfiles", "-Wl,--gc-sections",
         "-T", "firmware/link.ld", *(f"-Wl,--defsym={name}={value}" for name, value in places.items()),
         "-lm", "-lc", "-lgcc", "-o", "firmware.elf"],
        folder,
    )  # fmt: skip
    elf = folder / "firmware.elf"
    return Firmware(elf, memory, False, sections(elf), COMPILER)


def run(command: list[str], folder: Path) -> None:
    """A step of the build."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the compiler refuses emx's C: {done.stderr.strip().splitlines()[-1:]}")


def largest_nodes(found: Measured) -> list[dict[str, Any]]:
    """Instructions of the nodes of the graph that take most."""
    spent = sorted(zip(found.nodes, found.emulation.layers, strict=True), key=lambda node: -node[1])
    return [{"name": name, "instructions": round(count)} for name, count in spent[:MOST_NODES]]
