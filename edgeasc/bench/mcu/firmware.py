"""Firmware from a C folder: compiled for a core, linked for a chip's memory, weighed section by section."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from edgeasc.bench.mcu.boards import Board, Memory
from edgeasc.errors import BadInput, CheckFailed, MissingDependency
from edgeasc.export.c.bundle import Bundle
from edgeasc.export.c.source import ROUNDING

COMPILER = "arm-none-eabi-gcc"
INSTALL = "apt-get install gcc-arm-none-eabi"
STACK_BYTES = 8192
LEVELS = {"size": "-Os", "balanced": "-O2", "dense": "-O2", "speed": "-O3"}  # of the compiler, by what is optimised for
BUILD_SECONDS = 120.0
_OVERFLOW = re.compile(r"region `(FLASH|RAM)' overflowed by (\d+) bytes")
FOLDER, MAIN, STARTUP = "firmware", "main.c", "startup.c"


@dataclass(frozen=True)
class Firmware:
    """A linked image. `fits` is whether it went into the chip's own memory; `sections` are bytes by name."""

    elf: Path
    memory: Memory
    fits: bool
    sections: dict[str, int]
    compiler: str

    @property
    def flash_bytes(self) -> int:
        """Code, constants and the initial values of data."""
        return sum(self.sections.get(name, 0) for name in (".text", ".rodata", ".ARM.exidx", ".data"))

    @property
    def ram_bytes(self) -> int:
        """Data, arena and the stack that is set aside."""
        return sum(self.sections.get(name, 0) for name in (".data", ".bss", ".arena", ".stack"))


def build(bundle: Bundle, board: Board, folder: Path, optimise: str = "speed", main: str = MAIN) -> Firmware:
    """Compile and link `bundle` in `folder` for the chip of `board`, or else for all memory that the emulator has.

    Raises:
        MissingDependency: no cross compiler. CheckFailed: too large even for the emulator. BadInput: C that does not
            compile.
    """
    compiler = shutil.which(COMPILER)
    if compiler is None:
        raise MissingDependency(COMPILER, f"not installed; {INSTALL}")
    for name, text in bundle.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / FOLDER).mkdir(exist_ok=True)
    for item in (resources.files("edgeasc.bench.mcu") / "firmware").iterdir():
        if item.is_file():
            (folder / FOLDER / item.name).write_text(item.read_text(encoding="utf-8"), encoding="utf-8")
    elf, complaint = folder / "firmware.elf", ""
    for memory in (board.memory, board.largest):
        done = _compile(compiler, bundle, board, memory, folder, optimise, main)
        if done.returncode == 0:
            return Firmware(elf, memory, memory == board.memory, sections(elf), _version(compiler))
        complaint = done.stderr
        if not _OVERFLOW.search(complaint):
            break
    if beyond := _OVERFLOW.findall(complaint):
        raise CheckFailed("firmware", f"{board.name}: {_too_large(beyond, bundle, board)}")
    lines = [line.strip() for line in complaint.splitlines() if "error" in line]
    raise BadInput("firmware", f"{board.name}: {lines[0].rsplit(': ', 1)[-1] if lines else 'the compiler refuses it'}")


def _too_large(beyond: list[tuple[str, str]], bundle: Bundle, board: Board) -> str:
    """What is missing, and what the network needs."""
    missing = " and ".join(f"{int(count):,} B more {region}" for region, count in beyond)
    needs = f"constants of {bundle.facts['constant_bytes']:,} B and an arena of {bundle.facts['arena_bytes']:,} B"
    sizes = f"{board.largest.flash_bytes:,} B flash and {board.largest.ram_bytes:,} B RAM"
    return f"needs {missing} than the emulator's {sizes}; {needs}"


def _compile(
    compiler: str, bundle: Bundle, board: Board, memory: Memory, folder: Path, optimise: str, main: str
) -> subprocess.CompletedProcess[str]:
    places = {
        "FLASH_ORIGIN": memory.flash_origin,
        "FLASH_LENGTH": memory.flash_bytes,
        "RAM_ORIGIN": memory.ram_origin,
        "RAM_LENGTH": memory.ram_bytes,
        "STACK_LENGTH": STACK_BYTES,
    }
    command = [
        compiler, *board.flags, LEVELS[optimise], "-std=gnu99", "-Wall", "-Wextra",
        "-Werror=implicit-function-declaration",
        "-ffreestanding", "-ffunction-sections", "-fdata-sections", f"-DEA_ROUNDING={ROUNDING[bundle.facts['form']]}",
        "-include", f"{FOLDER}/count.h", "-I.", *bundle.chip_sources, *(f"{FOLDER}/{name}" for name in (main, STARTUP)),
        "-nostdlib", "-Wl,--gc-sections", "-T", f"{FOLDER}/link.ld",
        *(f"-Wl,--defsym={name}={value}" for name, value in places.items()), "-lgcc", "-o", "firmware.elf",
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False,
        env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip


def sections(elf: Path) -> dict[str, int]:
    """Bytes of every section of a linked image by name."""
    done = subprocess.run(
        ["arm-none-eabi-size", "-A", elf.name], cwd=elf.parent, capture_output=True, text=True, timeout=60, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[0].startswith(".") and row[1].isdecimal()}


def _version(compiler: str) -> str:
    done = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True, timeout=60, check=True)
    return f"{COMPILER} {done.stdout.strip()}"
