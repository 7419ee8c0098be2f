"""Every way a worker process can fail has a name, and none takes the caller with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeasc.errors import BadInput, ResourceExhausted, UsageError
from edgeasc.runtime.child import Child

PROLOGUE = """
import os, sys, time
from edgeasc.runtime.frames import read_frame, write_frame
"""
Start = Callable[[str], Child]


@pytest.fixture
def start():
    """Starts a worker that runs the given Python text; ends all of them afterwards."""
    children: list[Child] = []

    def begin(text: str) -> Child:
        children.append(Child("testing", command=[sys.executable, "-c", PROLOGUE + text]))
        return children[-1]

    yield begin
    for child in children:
        child.close()


posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to die of")


@posix
@pytest.mark.parametrize("name", ["SIGABRT", "SIGSEGV", "SIGKILL"])
def test_a_runtime_that_dies_is_named_with_its_signal(start: Start, name: str) -> None:
    child = start(f"read_frame(sys.stdin.buffer); os.kill(os.getpid(), {int(signal.Signals[name])})")
    with pytest.raises(ResourceExhausted, match=f"the runtime died with {name}"):
        child.request({})


def test_the_last_line_of_a_dying_runtime_is_told(start: Start) -> None:
    child = start("print('context'); sys.stderr.write('check failed: n > 0\\n'); sys.stderr.flush(); sys.exit(3)")
    with pytest.raises(ResourceExhausted):
        child.request({})
    child = start("sys.stderr.write('check failed: n > 0\\n'); sys.stderr.flush(); sys.exit(3)")
    with pytest.raises(ResourceExhausted, match=r"exit code 3 \(check failed: n > 0\)"):
        child.request({})


def test_a_runtime_that_hangs_is_ended_in_time(start: Start) -> None:
    child, begin = start("time.sleep(600)"), time.monotonic()
    with pytest.raises(ResourceExhausted, match=r"no answer within 0.5 s"):
        child.request({}, timeout=0.5)
    assert time.monotonic() - begin < 10


def test_a_runtime_that_never_reads_cannot_block_the_caller(start: Start) -> None:
    child = start("time.sleep(600)")
    with pytest.raises(ResourceExhausted, match="no answer"):
        child.request({}, bytes(8_000_000), timeout=0.5)


def test_garbage_on_the_pipe_is_named(start: Start) -> None:
    child = start("sys.stdout.write('INFO: created delegate for CPU\\n'); sys.stdout.flush(); time.sleep(600)")
    with pytest.raises(ResourceExhausted, match="sent garbage"):
        child.request({}, timeout=30)


def test_a_dead_child_stays_dead(start: Start) -> None:
    child = start("sys.exit(1)")
    with pytest.raises(ResourceExhausted, match="exit code 1"):
        child.request({})
    begin = time.monotonic()
    with pytest.raises(ResourceExhausted, match="exit code 1"):
        child.request({}, timeout=30)
    assert time.monotonic() - begin < 5


def test_a_flood_on_standard_error_neither_blocks_nor_grows(start: Start) -> None:
    child = start(
        "sys.stderr.write('x' * 2_000_000 + 'end'); sys.stderr.flush(); write_frame(sys.stdout.buffer, {'ok': True})"
    )
    assert child.request({})[0] == {"ok": True}
    child.close()
    assert len(child.stderr()) <= 65_536 and child.stderr().endswith("end")


@pytest.mark.parametrize(
    ("kind", "error"), [("bad-input", BadInput), ("usage", UsageError), ("memory", ResourceExhausted)]
)
def test_a_refusal_becomes_its_error(start: Start, kind: str, error: type[Exception]) -> None:
    child = start(
        f"write_frame(sys.stdout.buffer, {{'ok': False, 'error': '{kind}', 'why': 'too odd'}}); time.sleep(600)"
    )
    with pytest.raises(error, match="too odd"):
        child.request({})


def test_closing_leaves_no_process() -> None:
    child = Child("testing")
    pid = child._process.pid
    child.close()
    child.close()
    assert child._process.returncode is not None
    if os.name == "posix":
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_forgotten_child_is_killed_with_its_owner() -> None:
    child = Child("testing", command=[sys.executable, "-c", "import time; time.sleep(600)"])
    process = child._process
    del child
    assert process.wait(10) != 0


@posix
def test_a_worker_does_not_outlive_a_killed_parent() -> None:
    """Even while it is busy: the thread that reads requests sees the pipe close."""
    text = (
        "import sys, time\nfrom edgeasc.runtime.child import Child\n"
        "child = Child('testing')\nprint(child._process.pid, flush=True)\ntime.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        worker = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        status = Path(f"/proc/{worker}/stat")  # a dead child that its new parent has not looked at is state Z
        if status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the worker is still there")


def test_the_real_worker_refuses_what_it_does_not_know() -> None:
    child = Child("testing")
    with pytest.raises(UsageError, match="unknown request 'dance'"):
        child.request({"op": "dance"})
    with pytest.raises(BadInput, match="no model is loaded"):
        child.request({"op": "predict", "dtype": "int8", "shape": [1, 1]}, b"\0")
    child.close()


def test_noise_on_its_input_ends_the_worker() -> None:
    child = Child("testing")
    assert child._process.stdin is not None
    child._process.stdin.write(b"not a message at all, but long enough")
    child._process.stdin.flush()
    with pytest.raises(ResourceExhausted, match="exit code 70"):
        child.request({"op": "load"})


@pytest.mark.parametrize("last", ["os._exit(0)", "read_frame(sys.stdin.buffer)", "time.sleep(600)"])
def test_temporary_files_go_with_the_worker_however_it_ends(start: Start, last: str) -> None:
    child = start(
        "import tempfile; path = tempfile.mkdtemp(); open(os.path.join(path, 'left'), 'w').close()\n"
        f"write_frame(sys.stdout.buffer, {{'ok': True, 'path': path}}, b''); sys.stdout.flush(); {last}"
    )
    reply, _ = child.request({})
    folder = Path(reply["path"])
    assert (folder / "left").is_file()
    child.close()
    assert not folder.exists() and not folder.parent.exists()
