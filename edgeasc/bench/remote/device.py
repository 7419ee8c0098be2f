"""What runs on the device: one model in one runtime, served over standard input and output.

This file is sent over ssh as it is and never stored there. It needs Python 3.9 or later, numpy and a runtime, and no
edgeasc. Messages are those of `edgeasc.runtime.frames`, spelt out again here. Nothing is written to the device's disk.
The process ends with its standard input, whatever the runtime is doing, and at the latest at its own time limit.
"""

from __future__ import annotations

import glob
import importlib
import importlib.util
import json
import os
import platform
import queue
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from importlib import metadata
from typing import IO, Any

GREETING = b"\nedgeasc-device-1\n"  # behind whatever a login shell prints
PREFIX = struct.Struct("<4sIQ")
MAGIC = b"EASC"
MAX_PAYLOAD = 2 * 1024**3
IDLE_SECONDS = 1800  # a host that vanished without closing the connection
SPARE_SECONDS = 5
PROBE_SIZE = 256
RUNTIMES = {  # name: (package, module); LiteRT's reference kernels where tflite-runtime is absent
    "tflite-runtime": (("tflite-runtime", "tflite_runtime.interpreter"),),
    "litert": (("ai-edge-litert", "ai_edge_litert.interpreter"),),
    "onnxruntime": (("onnxruntime", "onnxruntime"),),
    "tflite-reference": (
        ("tflite-runtime", "tflite_runtime.interpreter"),
        ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ),
}
Message = tuple[dict[str, Any], bytes]
ONNX_TYPES = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}


class Missing(Exception):
    """The device lacks a package."""


def read_exactly(stream: IO[bytes], size: int) -> bytes:
    """`size` bytes, or fewer where the stream ends."""
    parts, left = [], size
    while left:
        part = stream.read(min(left, 1 << 20))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def read_frame(stream: IO[bytes]) -> Message | None:
    """One message, or None where the stream ends or holds something else."""
    prefix = read_exactly(stream, PREFIX.size)
    if len(prefix) < PREFIX.size or prefix[:4] != MAGIC:
        return None
    _, header_size, payload_size = PREFIX.unpack(prefix)
    if header_size > 1 << 24 or payload_size > MAX_PAYLOAD:
        return None
    text, payload = read_exactly(stream, header_size), read_exactly(stream, payload_size)
    if len(text) < header_size or len(payload) < payload_size:
        return None
    return json.loads(text), payload


def write_frame(stream: IO[bytes], header: dict[str, Any], payload: bytes = b"") -> None:
    """Send one message."""
    text = json.dumps(header).encode()
    stream.write(PREFIX.pack(MAGIC, len(text), len(payload)) + text)
    stream.write(payload)
    stream.flush()


def line_of(path: str) -> str | None:
    """The first line of a small file without its zero bytes; None where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().replace("\0", "").strip() or None
    except OSError:
        return None


def number_of(path: str) -> int | None:
    """The integer in a file of sysfs, or None."""
    try:
        return int(line_of(path) or "", 0)
    except ValueError:
        return None


def field_of(path: str, name: str, separator: str) -> str | None:
    """The first value of `name` in a file of `name separator value` lines."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(separator)
                if key.strip() == name:
                    return value.strip().strip('"') or None
    except OSError:
        pass
    return None


def cores() -> int | None:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def facts(root: str = "/") -> dict[str, Any]:
    """What the device is: board, processor, memory, system, Python, installed runtimes."""
    processor = os.path.join(root, "proc/cpuinfo")
    memory = (field_of(os.path.join(root, "proc/meminfo"), "MemTotal", ":") or "").split()
    frequencies = os.path.join(root, "sys/devices/system/cpu/cpu0/cpufreq")
    found = {}
    for name, packages in RUNTIMES.items():
        for package, module in packages:
            if name not in found and importlib.util.find_spec(module.partition(".")[0]) is not None:
                found[name] = {"package": package, "version": version_of(package)}
    return {
        "board": line_of(os.path.join(root, "proc/device-tree/model")),
        "cpu": field_of(processor, "model name", ":")
        or field_of(processor, "Model", ":")
        or platform.processor()
        or None,
        "architecture": platform.machine(),
        "logical_cores": os.cpu_count(),
        "usable_cores": cores(),
        "memory_bytes": int(memory[0]) * 1024 if memory and memory[0].isdigit() else None,
        "governor": line_of(os.path.join(frequencies, "scaling_governor")),
        "max_mhz": mhz(number_of(os.path.join(frequencies, "cpuinfo_max_freq"))),
        "system": platform.system() + " " + platform.release(),
        "distribution": field_of(os.path.join(root, "etc/os-release"), "PRETTY_NAME", "="),
        "python": platform.python_version(),
        "numpy": version_of("numpy"),
        "runtimes": found,
        "pid": os.getpid(),
    }


def version_of(package: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def mhz(kilohertz: int | None) -> float | None:
    """Megahertz of a number of sysfs."""
    return None if kilohertz is None else kilohertz / 1000


def conditions(root: str = "/") -> dict[str, Any]:
    """How the device fares just now: degrees Celsius by sensor, core clocks in MHz, load, and signs of throttling."""
    clocks = [
        number_of(path)
        for path in sorted(glob.glob(os.path.join(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")))
    ]
    return {
        "celsius": temperatures(root),
        "mhz": [mhz(value) for value in clocks if value is not None],
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "throttling": throttling(root),
    }


def temperatures(root: str) -> dict[str, float]:
    """Degrees Celsius by sensor; the hardware monitors where there is no thermal zone."""
    found = {}
    for pattern, kind in (("sys/class/thermal/thermal_zone*", "temp"), ("sys/class/hwmon/hwmon*", "temp1_input")):
        for folder in sorted(glob.glob(os.path.join(root, pattern))):
            value = number_of(os.path.join(folder, kind))
            if value is not None and -50_000 < value < 200_000:
                name = line_of(os.path.join(folder, "type")) or line_of(os.path.join(folder, "name")) or ""
                found[os.path.basename(folder) + (" " + name if name else "")] = value / 1000
        if found:
            break
    return found


def throttling(root: str) -> dict[str, Any]:
    """What the device says of being slowed down; empty where it says nothing.

    `firmware`: the Raspberry Pi's bits (0 under-voltage, 1 clock capped, 2 throttled, 3 soft limit; from 16 on: since
    boot). `events`: x86's count since boot. `cooling`: states above 0 of devices that slow the processor.
    """
    found: dict[str, Any] = {}
    bits = number_of(os.path.join(root, "sys/devices/platform/soc/soc:firmware/get_throttled"))
    if bits is None and root == "/" and shutil.which("vcgencmd"):
        bits = firmware_bits()
    if bits is not None:
        found["firmware"] = bits
    pattern = os.path.join(root, "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [number_of(path) for path in glob.glob(pattern)]
    if counts:
        found["events"] = sum(value or 0 for value in counts)
    cooling = {}
    for folder in sorted(glob.glob(os.path.join(root, "sys/class/thermal/cooling_device*"))):
        kind = line_of(os.path.join(folder, "type")) or ""
        if "cpu" in kind.lower() or kind == "Processor":
            cooling[os.path.basename(folder)] = number_of(os.path.join(folder, "cur_state")) or 0
    if cooling:
        found["cooling"] = {name: state for name, state in cooling.items() if state}
    return found


def firmware_bits() -> int | None:
    """The bits of `vcgencmd get_throttled`, which prints `throttled=0x50000`."""
    try:
        done = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, timeout=5, stdin=subprocess.DEVNULL)
        return int(done.stdout.decode().partition("=")[2].strip(), 16)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


class TFLite:
    """tflite-runtime or LiteRT with one model."""

    def __init__(self, name: str, package: str, module: str, payload: bytes, threads: int) -> None:
        import numpy

        interpreters = importlib.import_module(module)
        resolver = interpreters.OpResolverType
        kind = resolver.BUILTIN_REF if name == "tflite-reference" else resolver.AUTO
        self.interpreter = interpreters.Interpreter(
            model_content=payload, num_threads=threads, experimental_op_resolver_type=kind
        )
        self.interpreter.allocate_tensors()
        inputs, outputs = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        if len(inputs) != 1 or not outputs:
            raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs; edgeasc takes one input")
        self.input, self.output = inputs[0]["index"], outputs[0]["index"]
        ports = [self.port(numpy, details[0]) for details in (inputs, outputs)]
        kernels = "reference" if name == "tflite-reference" else "optimised"
        self.info = describe(ports, package, {"kernels": kernels})

    @staticmethod
    def port(numpy: Any, details: dict[str, Any]) -> dict[str, Any]:
        scales = numpy.atleast_1d(details["quantization_parameters"]["scales"])
        zeros = numpy.atleast_1d(details["quantization_parameters"]["zero_points"])
        dtype = numpy.dtype(details["dtype"]).name
        if dtype not in ("float32", "int8", "uint8"):
            raise ValueError(f"a tensor of type {dtype}; edgeasc takes float32, int8 and uint8")
        known = len(scales) > 0 and dtype != "float32"
        shape = [int(side) for side in details["shape"]]
        scale, zero = (float(scales[0]), int(zeros[0])) if known else (0.0, 0)
        return {"shape": shape, "dtype": dtype, "scale": scale, "zero_point": zero}

    def run(self, item: Any) -> Any:
        self.interpreter.set_tensor(self.input, item)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output)


class Onnx:
    """ONNX Runtime on the CPU with one model."""

    def __init__(self, name: str, package: str, module: str, payload: bytes, threads: int) -> None:
        onnxruntime = importlib.import_module(module)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(payload, settings, providers=["CPUExecutionProvider"])
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1 or not outputs:
            raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs; edgeasc takes one input")
        self.input, self.output = inputs[0].name, outputs[0].name
        self.info = describe([self.port(inputs[0]), self.port(outputs[0])], package, {"optimisation": "all"})

    @staticmethod
    def port(value: Any) -> dict[str, Any]:
        if value.type not in ONNX_TYPES:
            raise ValueError(f"{value.name!r} is of type {value.type}; edgeasc takes float32, int8 and uint8")
        shape = [side if isinstance(side, int) else 0 for side in value.shape]
        return {"shape": shape, "dtype": ONNX_TYPES[value.type], "scale": 0.0, "zero_point": 0}

    def run(self, item: Any) -> Any:
        return self.session.run([self.output], {self.input: item})[0]


def describe(ports: list[dict[str, Any]], package: str, notes: dict[str, Any]) -> dict[str, Any]:
    """What the host is told of a loaded model."""
    notes = {**notes, "package": package, "numpy": version_of("numpy")}
    return {"input": ports[0], "output": ports[1], "version": version_of(package) or "", "notes": notes}


class Server:
    """At most one loaded model between requests."""

    def __init__(self) -> None:
        self.model: TFLite | Onnx | None = None

    def answer(self, header: dict[str, Any], payload: bytes) -> Message:
        """Do what one request asks."""
        op = header.get("op")
        if op == "hello":
            return {"ok": True, "facts": facts()}, b""
        if op == "conditions":
            return {"ok": True, "conditions": conditions()}, b""
        if op == "load":
            return {"ok": True, "info": self.load(header, payload)}, b""
        if op == "predict":
            return self.predict(header, payload)
        if op == "time":
            return {"ok": True}, self.time(header, payload)
        if op == "probe":
            return {"ok": True, "gflops": probe()}, b""
        return {"ok": False, "error": "usage", "why": f"unknown request {op!r}"}, b""

    def load(self, header: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """Load the model into the first package that is here."""
        threads, name = int(header["threads"]), header["runtime"]
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[variable] = str(threads)  # before numpy is imported, which reads them once
        if version_of("numpy") is None:
            raise Missing("the device has no numpy")
        tried = []
        for package, module in RUNTIMES[name]:
            try:
                self.model = (Onnx if name == "onnxruntime" else TFLite)(name, package, module, payload, threads)
                return self.model.info
            except ImportError as error:
                tried.append(f"{package}: {first_line(error)}")
        raise Missing("; ".join(tried))

    def loaded(self) -> TFLite | Onnx:
        """The model."""
        if self.model is None:
            raise ValueError("no model is loaded")
        return self.model

    def items(self, header: dict[str, Any], payload: bytes) -> Any:
        """The payload as an array [items, 1, ...] in the model's own type."""
        import numpy

        return numpy.frombuffer(payload, header["dtype"]).reshape(header["shape"])[:, None]

    def predict(self, header: dict[str, Any], payload: bytes) -> Message:
        """Outputs of all items, one after another."""
        import numpy

        outputs = numpy.stack([numpy.asarray(self.loaded().run(item)).ravel() for item in self.items(header, payload)])
        return {"ok": True, "dtype": outputs.dtype.name, "shape": outputs.shape}, outputs.tobytes()

    def time(self, header: dict[str, Any], payload: bytes) -> bytes:
        """Nanoseconds of `runs` runs on one item, each by itself."""
        model, item, spent = self.loaded(), self.items(header, payload)[0], []
        for _ in range(int(header["runs"])):
            start = time.perf_counter_ns()
            model.run(item)
            spent.append(time.perf_counter_ns() - start)
        return struct.pack(f"<{len(spent)}q", *spent)


def probe() -> float:
    """GFLOP/s of a float32 matrix product, best of five."""
    import numpy

    matrix = numpy.full((PROBE_SIZE, PROBE_SIZE), 0.5, numpy.float32)
    best = 0
    for _ in range(5):
        start = time.perf_counter_ns()
        matrix @ matrix
        spent = max(time.perf_counter_ns() - start, 1)
        best = spent if best == 0 else min(best, spent)
    return 2.0 * PROBE_SIZE**3 / best


def first_line(error: Exception) -> str:
    """What an exception says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:500]


def refusal(error: Exception) -> dict[str, Any]:
    """The answer for an exception: whose fault, and why in one line."""
    if isinstance(error, MemoryError):
        return {"ok": False, "error": "memory", "why": "the device is out of memory"}
    if isinstance(error, (ImportError, Missing)):
        return {"ok": False, "error": "missing", "why": first_line(error)}
    return {"ok": False, "error": "bad-input", "why": f"refused: {first_line(error)}"}


def receive(stream: IO[bytes], requests: queue.Queue[Message]) -> None:
    """Thread: requests into the queue; the end of the stream is the end of the process, busy or not."""
    try:
        while True:
            frame = read_frame(stream)
            if frame is None:
                break
            signal.alarm(int(frame[0].get("limit", IDLE_SECONDS)) + SPARE_SECONDS)
            requests.put(frame)
    finally:
        os._exit(0)


def main() -> None:
    """Take over the standard streams and serve."""
    sys.dont_write_bytecode = True
    sys.path[:] = [place for place in sys.path if place]  # the folder of the login is no place for modules
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process even inside a runtime
    signal.alarm(IDLE_SECONDS)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a runtime prints goes to standard error
    answers.write(GREETING)
    answers.flush()
    requests: queue.Queue[Message] = queue.Queue()
    server = Server()
    threading.Thread(target=receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        header, payload = requests.get()
        try:
            reply, content = server.answer(header, payload)
        except Exception as error:  # whatever a runtime raises is its refusal, told to the host
            reply, content = refusal(error), b""
        write_frame(answers, reply, content)
        signal.alarm(IDLE_SECONDS)


if __name__ == "__main__":
    main()
