"""Generated C on the host, behind the worker's `Backend`: compiled in a temporary folder, run as a process of its own.

Only C that edgeasc writes is compiled: see `export.c.genuine`. It is built with the address and undefined-behaviour
sanitisers where the compiler brings them, so that an access outside the arena ends the run instead of passing unseen.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import weakref
from pathlib import Path

import numpy as np

from edgeasc.export.c.bundle import PREFIX, Bundle, parse_payload
from edgeasc.export.c.genuine import check_genuine
from edgeasc.runtime.backends import Array, Info, Port
from edgeasc.runtime.catalogue import compilers

SANITISERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BUILD_SECONDS = 120.0


class NativeCBackend:
    """A compiled C folder. `sanitise` builds it to stop at the first error, at several times the run time."""

    def __init__(self, payload: bytes, sanitise: bool = True) -> None:
        bundle = parse_payload(payload)
        check_genuine(bundle)
        facts = bundle.facts
        self._folder = tempfile.TemporaryDirectory(prefix="edgeasc-c-")
        try:
            if not sanitise:
                _try_sanitised(bundle, Path(self._folder.name))
            program, compiler, checked = build_host(bundle, Path(self._folder.name), sanitise)
        except BaseException:
            self._folder.cleanup()
            raise
        self._output = int(np.prod(facts["output"]["shape"]))
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._finalizer = weakref.finalize(self, _end, self._process)
        self.info = Info(
            Port((1, *facts["input"]["shape"][1:]), "int8", facts["input"]["scale"], facts["input"]["zero_point"]),
            Port((1, self._output), "int8", facts["output"]["scale"], facts["output"]["zero_point"]),
            compiler,
            {"arena_bytes": facts["arena_bytes"], "sanitised": checked},
        )

    def run(self, item: Array) -> Array:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise ValueError("the program has no pipes")
        with contextlib.suppress(BrokenPipeError):
            stdin.write(item.tobytes())
            stdin.flush()
        answer = stdout.read(self._output)
        if len(answer) != self._output:
            raise ValueError(f"the program ended with exit code {self._process.wait()} instead of an answer")
        return np.frombuffer(answer, np.int8)


def _try_sanitised(bundle: Bundle, folder: Path) -> None:
    """One run under the sanitisers before any without: a stranger's numbers may point outside of arena and tables.

    Raises:
        ValueError: the sanitisers ended it.
    """
    program, _, checked = build_host(bundle, folder, True)
    shape = bundle.facts["input"]["shape"]
    ramp = np.resize(np.arange(-128, 128), int(np.prod(shape))).astype(np.int8)
    if checked:
        done = subprocess.run([program], input=ramp.tobytes(), capture_output=True, timeout=BUILD_SECONDS, check=False)
        if done.returncode != 0:
            raise ValueError(f"the sanitisers end the program with exit code {done.returncode}")


def build_host(bundle: Bundle, folder: Path, sanitise: bool, main: str = f"{PREFIX}_host") -> tuple[Path, str, bool]:
    """The host program `main` of `bundle`, built in `folder`: its path, the compiler's name, whether it is sanitised.

    Raises:
        ValueError: the compiler refuses the files.
    """
    for name, text in bundle.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    compiler = host_compiler()
    sources = [*bundle.chip_sources, f"{main}.c"]
    rounding = "2" if bundle.facts["form"] == "int8" else "1"
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-DEA_ROUNDING={rounding}"]
    program = folder / main
    attempts = [SANITISERS, ()] if sanitise else [()]
    for extra in attempts:
        done = subprocess.run(
            [compiler, *flags, *extra, "-o", program.name, *sources],
            cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return program, Path(compiler).name, bool(extra)
    raise ValueError(f"{compiler} refuses the C files: {done.stderr.strip().splitlines()[0] if done.stderr else ''}")


def host_compiler() -> str:
    """The path of this machine's C compiler.

    Raises:
        ImportError: there is none.
    """
    for name in compilers():
        found = shutil.which(name)
        if found:
            return found
    raise ImportError("no C compiler; apt-get install gcc")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2.0)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
