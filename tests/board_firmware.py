"""Firmware of examples/firmware for the tests: built by its Makefile, run under emulation with a serial line."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "firmware"


def build(folder: Path, board: str, **options: str) -> subprocess.CompletedProcess[str]:
    """`make` in examples/firmware, for the C in `folder`/c."""
    settings = [f"{name}={value}" for name, value in options.items()]
    command = ["make", "-j2", f"MODEL={folder / 'c'}", f"BOARD={board}", f"BUILD={folder / board}", *settings]
    return subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, timeout=200)


@contextlib.contextmanager
def emulated(elf: Path, machine: str) -> Iterator[str]:
    """The serial line of a board under emulation."""
    command = ["qemu-system-arm", "-M", machine, "-display", "none", "-monitor", "none", "-serial", "pty"]
    with subprocess.Popen(
        [*command, "-icount", "shift=0", "-kernel", str(elf)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield re.search(r"/dev/pts/\d+", process.stdout.readline())[0]
        finally:
            process.kill()
