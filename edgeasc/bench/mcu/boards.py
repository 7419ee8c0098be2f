"""Emulated boards, and the real chips whose memory the firmware is linked for."""

from __future__ import annotations

from dataclasses import dataclass

from edgeasc.errors import UsageError
from edgeasc.specs import nearest


@dataclass(frozen=True)
class Memory:
    """Where code and data lie, in bytes."""

    flash_origin: int
    flash_bytes: int
    ram_origin: int
    ram_bytes: int


@dataclass(frozen=True)
class Board:
    """A core, the emulator's machine that has it, a real chip's sizes, and the emulator's own where they are too small.

    The firmware lies at the emulator's addresses in either case; only the lengths are the chip's.
    """

    name: str
    machine: str
    chip: str
    flags: tuple[str, ...]
    memory: Memory
    largest: Memory


KIB, MIB = 1024, 1024**2
BOARDS = {
    board.name: board
    for board in (
        Board(
            "cortex-m4", "mps2-an386", "STM32L4R5 (2 MiB flash, 640 KiB RAM)",
            ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
            Memory(0, 2 * MIB, 0x21000000, 640 * KIB), Memory(0, 4 * MIB, 0x21000000, 16 * MIB),
        ),
        Board(
            "cortex-m7", "mps2-an500", "STM32H743 (2 MiB flash, 1 MiB RAM)",
            ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
            Memory(0, 2 * MIB, 0x60000000, 1 * MIB), Memory(0, 4 * MIB, 0x60000000, 16 * MIB),
        ),
        Board(
            "cortex-m55", "mps3-an547", "Corstone-300 (512 KiB ITCM, 4 MiB SRAM)",
            ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
            Memory(0, 512 * KIB, 0x21000000, 4 * MIB), Memory(0, 512 * KIB, 0x60000000, 16 * MIB),
        ),
    )
}  # fmt: skip


def find_board(name: str) -> Board:
    """The emulated board of a core.

    Raises:
        UsageError: no such core.
    """
    if name not in BOARDS:
        known = ", ".join(f"qemu:{board}" for board in BOARDS)
        raise UsageError("--target", f"qemu:{name} is not known{nearest(name, list(BOARDS))}; known: {known}")
    return BOARDS[name]
