"""`bench --target ssh://`: a real sshd on the loopback is measured; unknown, dead and mute hosts are refused."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph_builder import bcresnet
from ssh_device import Loopback, free_port, gone, loopback

from edgeasc.bench.agreement import agreement, expected_of
from edgeasc.bench.remote import address
from edgeasc.bench.remote.address import Address, parse_address
from edgeasc.bench.remote.bench import bench_remote
from edgeasc.bench.remote.connection import DeviceChild, RemoteRunner, ask_facts
from edgeasc.cli import main
from edgeasc.errors import BadInput, MissingDependency, ResourceExhausted, UsageError
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.model import Form
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import read_artefact

needs_ssh = pytest.mark.needs("ssh", "/usr/sbin/sshd")
needs_runtimes = pytest.mark.needs("ssh", "/usr/sbin/sshd", "onnxruntime", "ai_edge_litert")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with loopback(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(onnx_bytes(bcresnet("int8")))
    return path


def script(folder: Path, text: str) -> str:
    """An interpreter for the device that runs `text` in place of what it is given."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{text}'\n")
    path.chmod(0o755)
    return str(path)


@needs_runtimes
def test_every_runtime_of_the_machine_is_measured(device: Loopback, model: Path) -> None:
    document = bench_remote([model], [device.address], runs=10, warmup=1, python=sys.executable, config=device.config)
    rows = {row["runtime"]: row for row in document["results"]}
    assert document["exit_code"] == 0, document
    assert {"onnxruntime", "litert", "tflite-reference"} <= set(rows)
    for row in rows.values():
        assert 0 < row["min_us"] <= row["median_us"] <= row["p99_us"] and row["origin"] == "measured"
        assert row["target"] == device.target and row["version"] and row["notes"]["numpy"]


@pytest.mark.needs("ssh", "/usr/sbin/sshd", "tflite_runtime")
@pytest.mark.parametrize("form", ["int8", "island"])
def test_what_a_raspberry_pi_has_runs_both_forms(device: Loopback, tmp_path: Path, form: Form) -> None:
    """Python 3.11, numpy 1 and tflite-runtime 2.14: its last wheels, and what devices still run."""
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(bcresnet(form)))
    document = bench_remote(
        [tmp_path / "model.onnx"], [device.address], ["tflite-runtime"], runs=2, python=sys.executable,
        config=device.config,
    )  # fmt: skip
    row = document["results"][0]
    assert document["exit_code"] == 0 and row["version"] == "2.14.0" and row["notes"]["numpy"].startswith("1.")
    assert row["device"]["python"].startswith("3.11") and row["source"] == "written from model.onnx"


@needs_runtimes
def test_reference_kernels_there_give_the_integers_of_the_reference(device: Loopback, model: Path) -> None:
    document = bench_remote(
        [model], [device.address], ["tflite-reference"], runs=1, clips=5, python=sys.executable, config=device.config
    )
    row = document["results"][0]
    assert (row["equal"], row["clips"], row["max_steps"]) == (5, 5, 0)


@needs_runtimes
def test_the_machine_and_its_conditions_are_recorded(device: Loopback, model: Path) -> None:
    document = bench_remote(
        [model], [device.address], ["onnxruntime"], runs=2, python=sys.executable, config=device.config
    )
    row = document["results"][0]
    facts, conditions = row["device"], row["conditions"]
    assert facts["python"] == sys.version.split()[0] and facts["logical_cores"] == os.cpu_count() and facts["system"]
    assert conditions["throttled"] in (True, False, None) and len(conditions["after"]["load_average"]) == 3
    assert set(conditions) == {"before", "after", "hottest_celsius", "throttled"}
    assert set(json.loads(json.dumps(row))) == {
        "path", "format", "source", "sha256", "target", "runtime", "origin", "version", "notes", "threads", "warmup",
        "runs", "median_us", "p90_us", "p99_us", "min_us", "probe_gflops", "probe_gflops_range", "clips", "equal",
        "max_steps", "top1", "form", "address", "device", "conditions",
    }  # fmt: skip


@needs_runtimes
def test_the_command_shows_the_machine(device: Loopback, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--python", sys.executable, "--ssh-config", str(device.config), "--runs", "2", "--runtime", "litert"]
    assert main(["bench", str(model), "--target", device.target, *options]) == 0
    shown = capsys.readouterr().out
    assert device.target in shown and "measured" in shown and f"Python {sys.version.split()[0]}" in shown


@needs_runtimes
def test_a_measurement_stands_for_a_target_of_audit(device: Loopback, tmp_path: Path, capsys) -> None:
    """Measured there, called raspberry-pi-4, and taken by `audit` in its estimate's place."""
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(bcresnet("int8")))
    options = ["--python", sys.executable, "--ssh-config", str(device.config), "--runs", "2", "--runtime", "litert"]
    bench = ["bench", str(tmp_path / "m.tflite"), "--target", device.target, "--as", "raspberry-pi-4", *options]
    assert main([*bench, "--format", "json"]) == 0
    document = capsys.readouterr().out
    (tmp_path / "board.json").write_text(document)
    median = json.loads(document)["results"][0]["median_us"]
    audit = ["audit", str(tmp_path / "m.tflite"), "--target", "raspberry-pi-4", "--bench", str(tmp_path / "board.json")]
    assert main([*audit, "--format", "json"]) == 0
    targets = json.loads(capsys.readouterr().out)["models"][0]["targets"]
    latency = next(each["latency_ms"] for each in targets if each["name"] == "raspberry-pi-4")
    assert latency["typical"] == pytest.approx(median / 1000, rel=1e-3) and latency["origin"] == "measured"


def test_one_name_cannot_stand_for_two_machines(model: Path) -> None:
    with pytest.raises(UsageError, match="cannot stand for 2 machines"):
        bench_remote([model], [Address("a"), Address("b")], name="raspberry-pi-4")


@needs_ssh
def test_nothing_of_edgeasc_is_needed_there(device: Loopback) -> None:
    """The process that answers has none of it on its path, and was sent, not found."""
    child = DeviceChild(device.address, sys.executable, device.config)
    facts = child.request({"op": "hello"})[0]["facts"]
    command = Path(f"/proc/{facts['pid']}/cmdline").read_bytes().split(b"\0")
    environment = Path(f"/proc/{facts['pid']}/environ").read_bytes()
    child.close()
    assert command[1] == b"-c" and b"exec(compile(" in command[2] and b"PYTHONPATH" not in environment


@needs_ssh
def test_closing_leaves_no_process_there(device: Loopback) -> None:
    child = DeviceChild(device.address, sys.executable, device.config)
    pid = child.request({"op": "hello"})[0]["facts"]["pid"]
    assert Path(f"/proc/{pid}").exists()
    child.close()
    assert gone(pid) and child._process.poll() is not None


@needs_ssh
def test_the_death_of_this_side_ends_the_other(device: Loopback, tmp_path: Path) -> None:
    """A process that holds a connection and is killed outright: neither ssh nor the device's process outlives it."""
    text = (
        "from pathlib import Path; import time\n"
        "from edgeasc.bench.remote.address import Address\n"
        "from edgeasc.bench.remote.connection import DeviceChild\n"
        f"child = DeviceChild(Address('127.0.0.1', None, {device.address.port}), {sys.executable!r},"
        f" Path({str(device.config)!r}))\n"
        "print(child.request({'op': 'hello'})[0]['facts']['pid'], child._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    with holder.stdout as said:
        there, ssh = map(int, said.readline().split())
        holder.kill()
        holder.wait()
    assert gone(there) and gone(ssh)


@needs_ssh
def test_a_connection_that_is_cut_is_told_as_such(device: Loopback) -> None:
    child = DeviceChild(device.address, sys.executable, device.config)
    pid = child.request({"op": "hello"})[0]["facts"]["pid"]
    session = int(re.search(r"PPid:\t(\d+)", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]
    assert "sshd" in Path(f"/proc/{session}/comm").read_text()
    os.kill(session, signal.SIGKILL)
    with pytest.raises(ResourceExhausted, match="connection was lost"):
        child.request({"op": "hello"}, timeout=10)
    assert gone(pid)


@needs_ssh
def test_a_port_that_says_nothing_is_left_in_time(device: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(address.OPTIONS, "ConnectTimeout", "1")
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        started = time.monotonic()
        with pytest.raises(ResourceExhausted, match="cannot be reached"):
            ask_facts(Address("127.0.0.1", None, mute.getsockname()[1]), sys.executable, device.config)
        assert time.monotonic() - started < 10


@needs_ssh
def test_a_device_that_hangs_is_left_in_time_and_ends_too(device: Loopback, tmp_path: Path) -> None:
    """It answers nothing; the connection is closed after the time-out, and its process goes with it."""
    text = 'import os, sys; open("%s", "w").write(str(os.getpid())); sys.stdin.buffer.read()' % (tmp_path / "pid")
    started = time.monotonic()
    child = DeviceChild(device.address, script(tmp_path, text), device.config)
    with pytest.raises(ResourceExhausted, match="no answer within 2 s"):
        child.request({"op": "hello"}, timeout=2)
    assert time.monotonic() - started < 10 and gone(int((tmp_path / "pid").read_text()))


@needs_runtimes
def test_a_device_that_dies_while_measuring_is_a_row(device: Loopback, model: Path, monkeypatch) -> None:
    real = RemoteRunner.conditions

    def conditions(self: RemoteRunner) -> dict:
        if self.runtime == "litert":
            pid = self.device.request({"op": "hello"})[0]["facts"]["pid"]
            os.kill(pid, signal.SIGKILL)
        return real(self)

    monkeypatch.setattr(RemoteRunner, "conditions", conditions)
    document = bench_remote(
        [model], [device.address], ["litert", "onnxruntime"], runs=3, python=sys.executable, config=device.config
    )
    dead, alive = document["results"]
    assert document["exit_code"] == 5 and dead["exit_code"] == 5 and alive["median_us"] > 0
    assert re.search("died|ended|connection", dead["error"])


@needs_ssh
@pytest.mark.parametrize(
    "text",
    [
        'print("x" * 200000)',
        r'import sys; sys.stdout.buffer.write(b"\nedgeasc-device-1\n" + b"\xff" * 400)',
        r'import sys; sys.stdout.buffer.write(b"\nedgeasc-device-1\nEASC\x02\0\0\0\0\0\0\0\0\0\0\0[]")',
    ],
    ids=["noise", "no frames", "no object"],
)
def test_garbage_is_told_as_such(device: Loopback, tmp_path: Path, text: str) -> None:
    with pytest.raises(ResourceExhausted, match="sent garbage"):
        ask_facts(device.address, script(tmp_path, text), device.config)


@needs_ssh
def test_an_answer_of_the_wrong_content_is_a_device_that_failed(device: Loopback, tmp_path: Path) -> None:
    header = json.dumps({"ok": True, "facts": {"runtimes": 7}})
    text = (
        r'import sys, struct; w = sys.stdout.buffer.write; w(b"\nedgeasc-device-1\n");'
        f'h = b"""{header}"""; w(struct.pack("<4sIQ", b"EASC", len(h), 0) + h)'
    )
    with pytest.raises(ResourceExhausted, match="makes no sense"):
        ask_facts(device.address, script(tmp_path, text), device.config)


@needs_ssh
def test_what_a_login_prints_first_is_passed_over(device: Loopback, tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\necho "Welcome to the machine"\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    assert ask_facts(device.address, str(path), device.config)["logical_cores"] == os.cpu_count()


@needs_ssh
def test_an_unknown_host_key_is_refused(device: Loopback) -> None:
    with pytest.raises(BadInput, match="host key is not known"):
        ask_facts(device.address, sys.executable, device.config_with("strange", ""))


@needs_ssh
def test_a_changed_host_key_is_refused(device: Loopback) -> None:
    port, other = device.address.port, (device.folder / "user.pub").read_text()
    with pytest.raises(BadInput, match="another one than known_hosts has"):
        ask_facts(device.address, sys.executable, device.config_with("changed", f"[127.0.0.1]:{port} {other}"))


@needs_ssh
def test_an_unknown_host_key_ends_the_command_with_3(device: Loopback, model: Path, capsys) -> None:
    config = device.config_with("strange", "")
    assert main(["bench", str(model), "--target", device.target, "--ssh-config", str(config)]) == 3
    said = capsys.readouterr().err
    assert f"edgeasc: error: {device.target}: the host key is not known; log in once by hand" in said


@needs_ssh
def test_a_login_that_is_refused_says_so(device: Loopback) -> None:
    config = device.config_with("keyless", (device.folder / "known_hosts").read_text())
    config.write_text(config.read_text().replace(f"{device.folder}/user", f"{device.folder}/host"))
    with pytest.raises(ResourceExhausted, match=r"cannot be reached .*Permission denied"):
        ask_facts(device.address, sys.executable, config)


@needs_ssh
def test_a_port_where_nobody_listens_cannot_be_reached(device: Loopback) -> None:
    with pytest.raises(ResourceExhausted, match=r"cannot be reached .*refused"):
        ask_facts(Address("127.0.0.1", None, free_port()), sys.executable, device.config)


@needs_ssh
def test_a_machine_without_python_names_the_package(device: Loopback) -> None:
    with pytest.raises(MissingDependency, match="apt-get install python3"):
        ask_facts(device.address, "/nowhere/python3", device.config)


@needs_ssh
def test_a_machine_without_a_runtime_names_packages(device: Loopback, model: Path, monkeypatch) -> None:
    from edgeasc.bench.remote import bench

    monkeypatch.setattr(bench, "ask_facts", lambda *given: ask_facts(*given) | {"runtimes": {}})
    document = bench_remote([model], [device.address], python=sys.executable, config=device.config)
    assert document["exit_code"] == 4 and "tflite-runtime" in document["results"][0]["error"]


def test_an_absent_ssh_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(MissingDependency, match="apt-get install openssh-client"):
        ask_facts(Address("anywhere"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ssh://pi", Address("pi")),
        ("ssh://me@pi.local:2222", Address("pi.local", "me", 2222)),
        ("ssh://me@[fe80::1]:22", Address("fe80::1", "me", 22)),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, found: Address) -> None:
    assert parse_address(text) == found and str(found) == text


@pytest.mark.parametrize(
    "text", ["ssh://", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://me@", "ssh://pi:0", "ssh://pi:70000", "ssh://p;w"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        parse_address(text)


@pytest.mark.parametrize("options", [{"runs": 0}, {"clips": 0}, {"runtimes": ["torch"]}])
def test_requests_that_make_no_sense_are_refused(model: Path, options: dict) -> None:
    with pytest.raises(UsageError):
        bench_remote([model], [], **options)


def test_agreement_counts_inputs_and_steps(model: Path) -> None:
    """A runner that is off by two steps in one class of one input of four."""
    from edgeasc.runtime.catalogue import RUNTIMES
    from edgeasc.runtime.runner import GraphRunner

    expected = expected_of(model, 4)
    runner = GraphRunner(read_artefact(model), RUNTIMES["reference"])
    assert expected is not None and agreement(runner, expected)["equal"] == 4
    expected.logits[2, 1] += 2 * expected.scale
    found = agreement(runner, expected)
    assert (found["equal"], found["clips"], found["max_steps"]) == (3, 4, 2)


def test_a_float_network_has_nothing_to_compare_with(tmp_path: Path) -> None:
    from edgeasc.export.dummy import dummy_graph

    (tmp_path / "m.tflite").write_bytes(tflite_bytes(dummy_graph()))
    assert expected_of(tmp_path / "m.tflite", 2) is None
