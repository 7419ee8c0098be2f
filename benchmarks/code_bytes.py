"""Code bytes of every kernel, compiled for Cortex-M4 with -O2, rounding twice: run again where a kernel was changed.

    python benchmarks/code_bytes.py

Writes edgeasc/export/c/code_bytes.toml, from which flash is told where there is no cross compiler.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from edgeasc.bench.mcu.boards import find_board
from edgeasc.bench.mcu.firmware import COMPILER, LEVELS
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.flash import TABLE
from edgeasc.export.c.source import kernel_names, kernel_text
from edgeasc.export.dummy import dummy_graph
from edgeasc.files import write_text


def text_bytes(folder: Path, name: str) -> int:
    """Bytes of code and constants of one file."""
    flags = [*find_board("cortex-m4").flags, LEVELS["balanced"], "-std=gnu99", "-ffreestanding", "-DEA_ROUNDING=2"]
    subprocess.run([COMPILER, *flags, "-c", name, "-o", "one.o"], cwd=folder, check=True)
    size = subprocess.run(["arm-none-eabi-size", "one.o"], cwd=folder, check=True, capture_output=True, text=True)
    return int(size.stdout.splitlines()[1].split()[0])


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        text = bundle(dummy_graph())
        for name in kernel_names():
            (folder / name).write_text(kernel_text(name), encoding="utf-8")
        for name, content in text.files.items():
            (folder / name).write_text(content, encoding="utf-8")
        sizes = {name: text_bytes(folder, name) for name in sorted(kernel_names()) if name.endswith(".c")}
        layer = round(text_bytes(folder, "scene.c") / len(text.facts["layers"]))
    lines = [
        "# Bytes of code, arm-none-eabi-gcc -O2 for Cortex-M4. Written by benchmarks/code_bytes.py.",
        f"layer = {layer}",
    ]
    lines += ["", "[kernels]", *(f'"{name}" = {size}' for name, size in sizes.items())]
    write_text(TABLE, "\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
