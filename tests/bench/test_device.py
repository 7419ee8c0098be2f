"""The file that is sent to a device: old syntax, few imports, no traces, honest about heat, gone with its input."""

import ast
import importlib.util
import json
import math
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import edgeasc.bench.remote
from edgeasc.bench.remote.facts import hottest, parse_conditions, parse_facts, throttled
from edgeasc.runtime import frames

FILE = Path(edgeasc.bench.remote.__file__).parent / "device.py"


@pytest.fixture(scope="module")
def device() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sent_device", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tree(root: Path, files: dict[str, str]) -> str:
    """A /proc and /sys of one's own."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


def serve() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", FILE.read_text()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ask(process: subprocess.Popen[bytes], header: dict, payload: bytes = b"") -> tuple[dict, bytes]:
    assert process.stdin is not None and process.stdout is not None
    frames.write_frame(process.stdin, header, payload)
    answer = frames.read_frame(process.stdout)
    assert answer is not None
    return answer


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def test_python_3_9_can_read_it() -> None:
    ast.parse(FILE.read_text(), feature_version=(3, 9))


def test_it_imports_the_standard_library_and_numpy_alone() -> None:
    found = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    assert found - {"numpy"} <= sys.stdlib_module_names


def test_it_speaks_the_frames_of_edgeasc(device: ModuleType) -> None:
    assert (device.MAGIC, device.PREFIX.format) == (frames.MAGIC, frames.PREFIX.format)


def test_a_raspberry_pi_is_described(device: ModuleType, tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
            "proc/meminfo": "MemTotal:        3884360 kB\nMemFree:          100 kB\n",
            "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
        },
    )
    facts = parse_facts(json.loads(json.dumps(device.facts(root))))
    assert (facts["board"], facts["governor"], facts["max_mhz"]) == ("Raspberry Pi 4 Model B Rev 1.4", "ondemand", 1800)
    assert facts["memory_bytes"] == 3_884_360 * 1024 and facts["distribution"] == "Debian GNU/Linux 12 (bookworm)"


def test_a_bare_system_is_described_without_guesses(device: ModuleType, tmp_path: Path) -> None:
    facts = parse_facts(device.facts(str(tmp_path)))
    assert facts["board"] is None and facts["memory_bytes"] is None and facts["governor"] is None
    assert parse_conditions(device.conditions(str(tmp_path)))["celsius"] == {}


def conditions(device: ModuleType, folder: Path, **files: str) -> dict:
    known = {
        "zone": "sys/class/thermal/thermal_zone0/temp",
        "kind": "sys/class/thermal/thermal_zone0/type",
        "bits": "sys/devices/platform/soc/soc:firmware/get_throttled",
        "count": "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count",
        "cooler": "sys/class/thermal/cooling_device0/type",
        "state": "sys/class/thermal/cooling_device0/cur_state",
        "clock": "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
    }
    return parse_conditions(device.conditions(tree(folder, {known[name]: text for name, text in files.items()})))


def test_heat_and_clock_are_read_in_degrees_and_megahertz(device: ModuleType, tmp_path: Path) -> None:
    found = conditions(device, tmp_path, zone="61347\n", kind="cpu-thermal\n", clock="600000\n")
    assert found["celsius"] == {"thermal_zone0 cpu-thermal": 61.347} and found["mhz"] == [600.0]
    assert hottest([found, {"celsius": {"a": 70.0}}]) == 70.0


@pytest.mark.parametrize(
    ("signs", "verdict"),
    [
        ({}, None),
        ({"bits": "0x0\n"}, False),
        ({"bits": "0x50000\n"}, False),  # since boot, not now
        ({"bits": "0x50004\n"}, True),
        ({"bits": "0x1\n"}, True),
        ({"count": "7\n"}, False),
        ({"cooler": "cpufreq-cpu0\n", "state": "0\n"}, False),
        ({"cooler": "cpufreq-cpu0\n", "state": "2\n"}, True),
        ({"cooler": "Processor\n", "state": "1\n"}, True),
        ({"cooler": "LCD\n", "state": "9\n", "bits": "0x0\n"}, False),
    ],
)
def test_throttling_is_told_where_the_device_tells_it(
    device: ModuleType, tmp_path: Path, signs: dict, verdict: bool | None
) -> None:
    found = conditions(device, tmp_path, **signs)
    assert throttled([found, found]) is verdict


def test_a_throttle_counter_that_grows_is_throttling(device: ModuleType, tmp_path: Path) -> None:
    samples = [conditions(device, tmp_path / str(n), count=f"{n}\n") for n in (3, 4)]
    assert throttled(samples) is True and throttled(samples[:1] * 2) is False


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {"runtimes": []},
        {"runtimes": {}, "board": 7},
        {"runtimes": {}, "pid": "1"},
        {"runtimes": {"litert": 1}},
        {str(n): 0 for n in range(1000)},
    ],
)
def test_facts_of_the_wrong_shape_are_refused(found: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        parse_facts(found)


@pytest.mark.parametrize("value", [True, "61", None, float("nan"), float("inf")])
def test_a_temperature_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        parse_conditions({"celsius": {"zone": value}, "mhz": [], "load_average": [], "throttling": {}})


def test_text_of_a_device_carries_no_control_characters() -> None:
    facts = parse_facts({"runtimes": {}, "board": "\x1b[2Jgone" + "x" * 1000})
    assert facts["board"].startswith("?[2Jgone") and len(facts["board"]) == 200


def test_it_ends_with_its_input_even_while_it_is_busy() -> None:
    process = serve()
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.read(len(frames.MAGIC))
        text = json.dumps({"op": "probe"}).encode()
        process.stdin.write(frames.PREFIX.pack(frames.MAGIC, len(text), 0) + text)
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        end(process)


def test_it_ends_by_itself_when_a_request_takes_too_long() -> None:
    """A runtime that never returns: the alarm ends the process although its input stays open."""
    text = (
        FILE.read_text()
        .replace("SPARE_SECONDS = 5", "SPARE_SECONDS = 1")
        .replace("def probe() -> float:\n", "def probe() -> float:\n    time.sleep(600)\n")
    )
    process = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        assert process.stdin is not None
        started = time.monotonic()
        frames.write_frame(process.stdin, {"op": "probe", "limit": 0})
        assert process.wait(20) == -signal.SIGALRM and time.monotonic() - started < 15
    finally:
        process.kill()
        if process.stdin is not None:
            process.stdin.close()


@pytest.mark.needs("onnxruntime")
def test_it_writes_no_file() -> None:
    """Every opening of a file for writing would end it: it loads, predicts, times and looks at the machine."""
    from edgeasc.export.dummy import dummy_graph
    from edgeasc.graph.onnx_write import onnx_bytes

    hook = (
        "import os, sys\n"
        "def watch(event, given, flags=os.O_WRONLY | os.O_RDWR | os.O_CREAT):\n"
        "    if event == 'open' and not isinstance(given[0], int) and given[2] & flags and given[0] != '/dev/null':\n"
        "        os.write(2, repr(given).encode()); os._exit(9)\n"
        "    if event in ('os.mkdir', 'os.rename', 'os.link', 'os.symlink'): os._exit(9)\n"
        "sys.addaudithook(watch)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", f"{hook}exec(compile(open({str(FILE)!r}).read(), 'device', 'exec'))"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None and frames.skip_past(process.stdout, b"\nedgeasc-device-1\n")
        graph = dummy_graph()
        load = {"op": "load", "runtime": "onnxruntime", "threads": 1}
        reply, _ = ask(process, load, onnx_bytes(graph))
        assert reply["ok"], reply
        shape = reply["info"]["input"]["shape"]
        item = bytes(np.dtype(reply["info"]["input"]["dtype"]).itemsize * math.prod(shape[1:]))
        say = {"dtype": reply["info"]["input"]["dtype"], "shape": [1, *shape[1:]]}
        assert ask(process, {"op": "predict", **say}, item)[0]["ok"]
        times = ask(process, {"op": "time", "runs": 3, **say}, item)[1]
        assert len(struct.unpack("<3q", times)) == 3
        assert ask(process, {"op": "conditions"})[0]["ok"] and ask(process, {"op": "hello"})[0]["ok"]
    finally:
        end(process)


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"op": "nonsense"}, "usage"),
        ({"op": "predict", "dtype": "int8", "shape": [1, 1]}, "bad-input"),
        ({"op": "load", "runtime": "onnxruntime", "threads": 1}, "bad-input"),
    ],
)
@pytest.mark.needs("onnxruntime")
def test_what_it_cannot_do_it_refuses_and_goes_on(request_: dict, kind: str) -> None:
    process = serve()
    try:
        assert process.stdout is not None and frames.skip_past(process.stdout, b"\nedgeasc-device-1\n")
        reply, _ = ask(process, request_, b"\0")
        assert (reply["ok"], reply["error"]) == (False, kind)
        assert ask(process, {"op": "hello"})[0]["facts"]["pid"] == process.pid
    finally:
        end(process)


def test_an_absent_package_is_told_as_missing(device: ModuleType) -> None:
    assert device.refusal(ImportError("No module named 'x'"))["error"] == "missing"
    assert device.refusal(MemoryError())["error"] == "memory"
