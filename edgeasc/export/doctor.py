"""`doctor`: which packages, runtimes and tools are here, and does a small network survive every one of them.

Better asked before hours of training than after: a missing or broken last step is found in seconds.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import Any, get_args

import edgeasc
from edgeasc.errors import EdgeascError, MissingDependency
from edgeasc.export.artefacts import Converter, tflite_payload
from edgeasc.export.c.bundle import bundle
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.ladder import plan
from edgeasc.export.parity import compute_judges, measure_parity, random_inputs
from edgeasc.extras import EXTRA_OF
from edgeasc.graph.model import Form
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import Artefact, c_artefact, onnx_artefact, tflite_artefact
from edgeasc.runtime.catalogue import RUNTIMES

SCHEMA = 1
IMPORT_SECONDS = 120.0
TOOL_SECONDS = 10.0


@dataclass(frozen=True)
class Package:
    """A package that some commands need: what it is imported as, what it is for."""

    name: str
    module: str
    purpose: str

    @property
    def install(self) -> str:
        """The command that installs it, with the extra of edgeasc that brings it."""
        extra = EXTRA_OF.get(self.module.split(".")[0])
        return f"pip install 'edgeasc[{extra}]'" if extra else "pip install edgeasc"


@dataclass(frozen=True)
class Tool:
    """A program outside Python."""

    command: str
    purpose: str
    install: str
    version: tuple[str, ...] = ("--version",)


PACKAGES = (
    Package("soundfile", "soundfile", "reading recordings"),
    Package("soxr", "soxr", "resampling"),
    Package("scipy", "scipy", "the log-mel front end"),
    Package("safetensors", "safetensors", "weights and parity inputs"),
    Package("torch", "torch", "training and compression"),
    Package("lightning", "lightning", "training"),
    Package("scikit-learn", "sklearn", "metrics"),
    Package("tensorflow", "tensorflow", "the second TFLite converter"),
    Package("nncf", "nncf", "the second compression engine"),
    Package("jinja2", "jinja2", "report pages"),
    Package("ethos-u-vela", "ethosu.vela", "estimates for Ethos-U"),
    Package("pyserial", "serial", "boards on a serial port"),
)
TOOLS = (
    Tool("ssh", "bench on a remote machine", "apt-get install openssh-client", ("-V",)),
    Tool("arm-none-eabi-gcc", "compiling for Cortex-M", "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    Tool("qemu-system-arm", "emulated Cortex-M", "apt-get install qemu-system-arm"),
    Tool("vela", "estimates for Ethos-U", "pip install 'edgeasc[mcu]'"),
)


def doctor(imports: bool = True) -> dict[str, Any]:
    """Look at everything and try it.

    Args:
        imports: import every optional package in a process of its own, which takes seconds for the large ones.

    Returns:
        {schema, edgeasc, python, platform, packages, runtimes, converters, tools, parity, passed}. `passed` is false
        when something that is installed does not work; what is absent only names its install command.
    """
    parity = {form: convert_dummy(form) for form in get_args(Form)}
    packages = [_package(package) for package in PACKAGES]
    if imports:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_try_import, packages))
    runtimes = [_runtime(step.runtime, parity) for step in plan("int8")]
    converters = [_converter(name, parity if name == "direct" else {}) for name in get_args(Converter)]
    parts = [*packages, *runtimes, *converters]
    return {
        "schema": SCHEMA,
        "edgeasc": edgeasc.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "runtimes": runtimes,
        "converters": converters,
        "tools": [_tool(tool) for tool in TOOLS],
        "parity": parity,
        "passed": all(part["works"] is not False for part in parts),
    }


def convert_dummy(
    form: Form = "int8", require: Collection[str] = (), converter: Converter = "direct"
) -> dict[str, Any]:
    """A small seeded network through ONNX, TFLite, C and every installed runtime; the parity document.

    Raises:
        MissingDependency: a required runtime or the converter is absent.
        EdgeascError: the network does not survive conversion.
    """
    payload = onnx_bytes(dummy_graph(form))
    graph = read_onnx(payload)
    artefacts: list[Artefact] = [onnx_artefact(payload), tflite_artefact(tflite_payload(graph, converter))]
    artefacts.append(c_artefact(bundle(graph)))
    inputs = random_inputs(graph)
    return measure_parity(form, artefacts, inputs, compute_judges(graph, inputs), require=require)


def _runtime(name: str, parity: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the ladders of both forms say about one runtime."""
    runtime = RUNTIMES[name]
    rungs = [rung for document in parity.values() for rung in document["rungs"] if rung["name"] == name]
    ran = [rung for rung in rungs if rung["passed"] is not None or not rung["why"]]
    wrong = [rung for rung in ran if rung["passed"] is False]
    why = "; ".join(rung["why"] or f"missed {rung['limit']} against {rung['against']}" for rung in wrong)
    return {
        "name": name,
        "by": ran[0]["version"] if ran else "",
        "installed": bool(ran),
        "works": None if not ran else not wrong,
        "why": why,
        "install": "" if runtime.installed else runtime.install,
    }


def _converter(name: Converter, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One way to write TFLite, tried on both forms where their ladders are not `known` already."""
    row = {"name": name, "installed": True, "works": True, "why": "", "install": ""}
    try:
        for form in get_args(Form):
            document = known.get(form) or convert_dummy(form, converter=name)
            missed = [rung["name"] for rung in document["rungs"] if rung["passed"] is False]
            if missed:
                return row | {"works": False, "why": f"form {form}: {', '.join(missed)} missed"}
    except MissingDependency as error:
        return row | {"installed": False, "works": None, "install": error.why}
    except EdgeascError as error:
        return row | {"works": False, "why": str(error)}
    return row


def _package(package: Package) -> dict[str, Any]:
    try:
        found = importlib.util.find_spec(package.module) is not None
    except ModuleNotFoundError:
        found = False
    try:
        version = metadata.version(package.name) if found else None
    except metadata.PackageNotFoundError:
        version = "unknown"
    return {
        "name": package.name,
        "module": package.module,
        "purpose": package.purpose,
        "version": version,
        "installed": found,
        "works": None,
        "why": "",
        "install": "" if found else package.install,
    }


def _try_import(row: dict[str, Any]) -> None:
    """Fill in `works` and `why` of an installed package, by importing it in a process of its own."""
    if not row["installed"]:
        return
    command = [sys.executable, "-P", "-W", "ignore", "-c", f"import {row['module']}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=IMPORT_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        row.update(works=False, why=f"import takes longer than {IMPORT_SECONDS:g} s")
        return
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    row["works"] = done.returncode == 0
    if done.returncode != 0:
        row["why"] = f"import fails: {lines[-1][:300] if lines else f'exit code {done.returncode}'}"


def _tool(tool: Tool) -> dict[str, Any]:
    place = shutil.which(tool.command)
    row: dict[str, Any] = {
        "name": tool.command,
        "purpose": tool.purpose,
        "installed": place is not None,
        "version": None,
        "install": "" if place else tool.install,
    }
    if place is None:
        return row
    try:
        done = subprocess.run(
            [place, *tool.version], capture_output=True, timeout=TOOL_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return row
    lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    return row | {"version": lines[0].strip()[:200] if lines else None}
