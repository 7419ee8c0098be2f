"""A device that lies is a device that failed: every wrong answer is one named error, and none reaches the report."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from graph_builder import bcresnet, clips

from edgeasc.bench.remote import connection
from edgeasc.bench.remote.address import Address
from edgeasc.bench.remote.connection import RemoteRunner, explain
from edgeasc.bench.remote.facts import parse_info
from edgeasc.errors import BadInput, EdgeascError, MissingDependency, ResourceExhausted
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import onnx_artefact

PORT = {"shape": [1, 1, 32, 20], "dtype": "int8", "scale": 0.1, "zero_point": 0}
INFO = {"input": PORT, "output": {"shape": [1, 3], "dtype": "float32", "scale": 0.0, "zero_point": 0}}
INFO |= {"version": "1.0", "notes": {"package": "onnxruntime"}}
LOADED = {"ok": True, "info": INFO}
SERVER = """
import json, struct, sys
answers = json.loads(sys.argv[1])
into, out = sys.stdin.buffer, sys.stdout.buffer
into.read(int(into.readline()))
out.write(b"hello from the shell" + b"\\nedgeasc-device-1\\n")
prefix = struct.Struct("<4sIQ")
for header, payload in answers:
    _, head, body = prefix.unpack(into.read(prefix.size))
    into.read(head + body)
    text, payload = json.dumps(header).encode(), bytes.fromhex(payload)
    out.write(prefix.pack(b"EASC", len(text), len(payload)) + text + payload)
    out.flush()
into.read()
"""


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch):
    """Starts a runner whose device gives the listed answers; no ssh is needed for what comes out of it."""
    runners: list[RemoteRunner] = []

    def start(*answers: tuple[dict, bytes]) -> RemoteRunner:
        said = json.dumps([(header, payload.hex()) for header, payload in answers])
        monkeypatch.setattr(connection.shutil, "which", lambda name: name)
        monkeypatch.setattr(Address, "command", lambda *given: [sys.executable, "-c", SERVER, said])
        artefact = onnx_artefact(onnx_bytes(bcresnet("int8")))
        runners.append(RemoteRunner(artefact, "onnxruntime", Address("liar"), timeout=20))
        return runners[-1]

    yield start
    for runner in runners:
        runner.close()


def floats(*values: float) -> bytes:
    return np.array(values, np.float32).tobytes()


def changed(port: str, **more: object) -> dict:
    return {"ok": True, "info": INFO | {port: INFO[port] | more}}  # type: ignore[operator]


@pytest.mark.parametrize(
    "answer",
    [
        {"ok": True},
        {"ok": True, "info": None},
        {"ok": True, "info": []},
        changed("input", shape=[1, 10**6, 10**6]),
        changed("input", shape=[-1, 1]),
        changed("input", shape="abc"),
        changed("input", shape=[1] * 100),
        changed("input", dtype="object"),
        changed("input", scale="0.1"),
        changed("input", scale=float("nan")),
        changed("output", dtype=None),
        {"ok": True, "info": INFO | {"notes": {"a": []}}},
    ],
)
def test_a_description_that_makes_no_sense_is_refused(device, answer: dict) -> None:
    with pytest.raises(ResourceExhausted, match="makes no sense"):
        device((answer, b""))


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        ({"ok": True, "dtype": "float32", "shape": [1, 3]}, floats(1.0, float("nan"), 0.0)),
        ({"ok": True, "dtype": "float32", "shape": [1, 3]}, b"abc"),
        ({"ok": True, "dtype": "O", "shape": [1, 3]}, floats(1, 2, 3)),
        ({"ok": True, "dtype": 7, "shape": [1, 3]}, floats(1, 2, 3)),
        ({"ok": True}, floats(1, 2, 3)),
        ({"ok": True, "dtype": "float32", "shape": [1, 3]}, b""),
    ],
)
def test_logits_that_make_no_sense_are_refused(device, header: dict, payload: bytes) -> None:
    runner = device((LOADED, b""), (header, payload))
    with pytest.raises(ResourceExhausted, match="makes no sense"):
        runner.predict(clips(bcresnet("int8"), 1))


@pytest.mark.parametrize(
    "payload", [b"", b"1234567", np.array([-5, 5], np.int64).tobytes(), np.array([5], np.int64).tobytes()]
)
def test_times_that_make_no_sense_are_refused(device, payload: bytes) -> None:
    runner = device((LOADED, b""), ({"ok": True}, payload))
    with pytest.raises(ResourceExhausted, match="makes no sense"):
        runner.time(clips(bcresnet("int8"), 1), 2)


@pytest.mark.parametrize("said", [{}, {"gflops": "fast"}, {"gflops": float("inf")}, {"gflops": None}, {"gflops": -1}])
def test_a_probe_that_makes_no_sense_is_refused(device, said: dict) -> None:
    runner = device((LOADED, b""), ({"ok": True} | said, b""))
    with pytest.raises(ResourceExhausted, match="makes no sense"):
        runner.probe()


def test_after_a_lie_the_device_is_not_asked_again(device) -> None:
    runner = device((LOADED, b""), ({"ok": True, "gflops": 0}, b""), ({"ok": True, "gflops": 5.0}, b""))
    for _ in range(2):
        with pytest.raises(ResourceExhausted, match="makes no sense"):
            runner.probe()


def test_an_honest_device_is_believed(device) -> None:
    spent = np.array([70, 50], np.int64).tobytes()
    logits = {"ok": True, "dtype": "float32", "shape": [1, 3]}, floats(1, 2, 3)
    runner = device((LOADED, b""), logits, ({"ok": True}, spent), ({"ok": True, "gflops": 5.0}, b""))
    inputs = clips(bcresnet("int8"), 1)
    assert runner.predict(inputs).tolist() == [[1, 2, 3]]
    assert runner.time(inputs, 2).tolist() == [70, 50] and runner.probe() == 5.0
    assert (runner.version, runner.notes) == ("1.0", {"package": "onnxruntime"})


def test_text_of_a_model_carries_no_control_characters() -> None:
    assert parse_info(INFO | {"version": "1\x1b[31m"})["version"] == "1?[31m"


@pytest.mark.parametrize(
    ("code", "said", "greeted", "kind", "words"),
    [
        (255, "Host key verification failed.\n", False, BadInput, "host key is not known"),
        (255, "No ED25519 host key is known for pi and you have requested strict", False, BadInput, "not known"),
        (
            255,
            "REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.",
            False,
            BadInput,
            "another",
        ),
        (255, "ssh: connect to host pi port 22: No route to host", False, ResourceExhausted, "No route to host"),
        (255, "Connection closed by remote host", True, ResourceExhausted, "connection was lost"),
        (127, "sh: 1: python3: not found", False, MissingDependency, "no python3 there"),
        (1, "Killed", True, ResourceExhausted, "the device died (Killed)"),
    ],
)
def test_every_end_of_ssh_has_its_error(
    code: int, said: str, greeted: bool, kind: type[EdgeascError], words: str
) -> None:
    error = explain(Address("pi"), "python3", code, said, "the runtime died", greeted, Path("m.tflite"))
    assert type(error) is kind and words in str(error) and "ssh://pi" in str(error)
