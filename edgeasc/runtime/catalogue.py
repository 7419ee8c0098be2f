"""The runtimes that edgeasc knows: what they read, where they run, which package brings them.

Whether one is installed is answered without importing it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata

from edgeasc.errors import MissingDependency, UsageError
from edgeasc.specs import nearest


@dataclass(frozen=True)
class Runtime:
    """One way to run an artefact. `package` and `module` are empty where edgeasc itself is the runtime."""

    name: str
    reads: tuple[str, ...]  # kinds of artefact: "onnx", "tflite", "c", "run"
    package: str = ""
    module: str = ""
    extra: str = ""  # extra of edgeasc that brings the package
    python: tuple[int, int] | None = None  # newest Python that has a wheel of it
    numpy_below: int | None = None  # major version of numpy that it does not run on any more
    compiled: bool = False  # by the C compiler of this machine, in place of a package
    lacks: tuple[str, ...] = ()  # operators of our own TFLite files that it has not

    @property
    def native(self) -> bool:
        """Whether it is foreign code that has to run in a child process."""
        return bool(self.module) or self.compiled

    @property
    def installed(self) -> bool:
        """Whether its package can be found and the numpy here suits it; nothing is imported."""
        return not self.native or (self.found and not self._numpy_too_new)

    @property
    def found(self) -> bool:
        """Whether its package, or the compiler, can be found."""
        if self.compiled:
            return any(shutil.which(name) for name in compilers())
        try:
            return importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:
            return False

    @property
    def _numpy_too_new(self) -> bool:
        return self.numpy_below is not None and int(metadata.version("numpy").split(".")[0]) >= self.numpy_below

    @property
    def version(self) -> str | None:
        """Version of the installed package, or None."""
        if not self.module or not self.found:
            return None
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:
            return "unknown"

    @property
    def install(self) -> str:
        """The command that makes it work here."""
        if self.compiled:
            return "apt-get install gcc"
        if self.found and self._numpy_too_new:
            return f"{self.package} needs numpy < {self.numpy_below}: pip install 'numpy<{self.numpy_below}'"
        if self.python is not None and sys.version_info[:2] > self.python:
            return f"needs Python {self.python[0]}.{self.python[1]}: pip install {self.package} 'numpy<2'"
        return f"pip install {self.package} (or 'edgeasc[{self.extra}]')"


_TFLITE_RUNTIME = ("tflite-runtime", "tflite_runtime", "tflite", (3, 11), 2)
RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("onnxruntime", ("onnx",), "onnxruntime", "onnxruntime", "onnx"),
        Runtime("litert", ("tflite",), "ai-edge-litert", "ai_edge_litert", "tflite"),
        Runtime("tflite-runtime", ("tflite",), *_TFLITE_RUNTIME),
        Runtime("tflite-reference", ("tflite",), *_TFLITE_RUNTIME),
        Runtime("tflm", ("tflite",), "tflite-micro", "tflite_micro", "tflm", lacks=("GELU",)),
        Runtime("native-c", ("c",), "a C compiler", compiled=True),
        Runtime("torch", ("run",), "torch", "torch", "train"),
        Runtime("reference", ("onnx",)),
        Runtime("simulate", ("onnx",)),
    )
}
DEFAULTS = {
    "onnx": ("onnxruntime", "reference"),
    "tflite": ("litert", "tflite-runtime", "tflite-reference", "tflm"),
    "c": ("native-c",),
    "run": ("torch",),
}


def compilers() -> tuple[str, ...]:
    """Names under which a C compiler may be here: `$CC` alone where it is set."""
    return (os.environ["CC"],) if os.environ.get("CC") else ("cc", "gcc", "clang")


def find_runtime(name: str) -> Runtime:
    """The runtime called `name`; where tflite-runtime is absent its reference kernels are taken from LiteRT.

    Raises:
        UsageError: no runtime has this name.
        MissingDependency: its package is not installed.
    """
    if name not in RUNTIMES:
        raise UsageError(
            "runtime", f"{name!r} is not known{nearest(name, list(RUNTIMES))}; known: {', '.join(RUNTIMES)}"
        )
    runtime = RUNTIMES[name]
    if name == "tflite-reference" and not runtime.installed and RUNTIMES["litert"].installed:
        litert = RUNTIMES["litert"]
        return Runtime(name, runtime.reads, litert.package, litert.module, litert.extra)
    if not runtime.installed:
        raise MissingDependency("runtime", f"{name} is not installed: {runtime.install}")
    return runtime


def default_runtime(kind: str) -> Runtime:
    """The first installed runtime for artefacts of `kind`.

    Raises:
        MissingDependency: none is installed.
    """
    for name in DEFAULTS[kind]:
        if RUNTIMES[name].installed:
            return RUNTIMES[name]
    first = RUNTIMES[DEFAULTS[kind][0]]
    raise MissingDependency("runtime", f"nothing here runs a {kind} artefact: {first.install}")
