"""A worker process and the conversation with it: requests, time-outs, and a name for every way it can die.

Native runtimes run on files from strangers here and nowhere else: some corrupted TFLite files make the runtime abort,
which must end the worker and not the caller.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import weakref
from collections import deque
from pathlib import Path
from typing import IO, Any

import edgeasc.runtime.frames as frames
from edgeasc.errors import BadInput, EdgeascError, MissingDependency, ResourceExhausted, UsageError

MEMORY_LIMIT = 8 * 1024**3  # bytes of address space; enough for torch, too little for an allocation bomb
NO_LIMIT = 0
GRACE_SECONDS = 2.0
_TAIL_BYTES = 65_536
_ERRORS: dict[str, type[EdgeascError]] = {
    "bad-input": BadInput,
    "missing": MissingDependency,
    "usage": UsageError,
    "memory": ResourceExhausted,
}

Reply = tuple[dict[str, Any], bytes]


class Child:
    """One worker process, killed at the latest when this object goes.

    Args:
        what: name of the runtime, for messages.
        path: the user's file, for messages.
        threads: thread count of every library in the worker.
        memory: limit on its address space in bytes, kept where the platform offers one.
        command: what to start; the edgeasc worker by default.
        greeting: bytes that come before the first answer, behind noise that is passed over; none by default.
    """

    def __init__(
        self,
        what: str,
        path: Path | None = None,
        *,
        threads: int = 1,
        memory: int = MEMORY_LIMIT,
        command: list[str] | None = None,
        greeting: bytes = b"",
    ) -> None:
        self.what, self.path = what, path
        command = command or worker_command(what, memory)
        # What a worker keeps in temporary files must go with it, however it ends: it has a folder of its own for them.
        scratch = tempfile.TemporaryDirectory(prefix="edgeasc-", ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(threads) | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch.name),
            )
        except OSError as error:
            scratch.cleanup()
            raise ResourceExhausted(what, f"cannot start a process: {error.strerror}", path) from error
        self._replies: queue.Queue[Reply | frames.BrokenFrame | None] = queue.Queue()
        self._tail: deque[bytes] = deque()
        self._greeted = threading.Event()
        self._threads = [
            threading.Thread(
                target=_receive, args=(self._process.stdout, self._replies, greeting, self._greeted), daemon=True
            ),
            threading.Thread(target=_keep_tail, args=(self._process.stderr, self._tail), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self._finalizer = weakref.finalize(self, _end, self._process, scratch)
        self._failure: EdgeascError | None = None

    def request(self, header: dict[str, Any], payload: bytes | memoryview = b"", timeout: float = 60.0) -> Reply:
        """Send a message and wait at most `timeout` seconds for the answer; only a refusal leaves the worker alive.

        Raises:
            BadInput: the runtime refuses the file or the input.
            MissingDependency: the worker lacks a package.
            ResourceExhausted: the worker died, hung, sent garbage or ran out of memory.
        """
        if self._failure is not None:
            raise self._failure
        sender = threading.Thread(target=self._send, args=(header, payload), daemon=True)
        sender.start()  # a child that does not read must not block the caller
        try:
            answer = self._replies.get(timeout=timeout)
        except queue.Empty:
            raise self._failed(f"gave no answer within {timeout:g} s and was ended") from None
        if isinstance(answer, frames.BrokenFrame):
            raise self._failed(f"sent garbage: {answer}")
        if answer is None:
            raise self._failed(self._death())
        reply, content = answer
        if not reply.get("ok"):
            kind = _ERRORS.get(str(reply.get("error")), ResourceExhausted)
            raise kind(self.what, str(reply.get("why", "failed without a reason")), self.path)
        return reply, content

    @property
    def greeted(self) -> bool:
        """Whether the child has sent its greeting."""
        return self._greeted.is_set()

    def stderr(self) -> str:
        """The last 64 KiB that the child wrote to its standard error."""
        return b"".join(list(self._tail)).decode(errors="replace")

    def close(self) -> None:
        """End the worker: politely, then by force."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait(GRACE_SECONDS)
        self._kill()

    def _send(self, header: dict[str, Any], payload: bytes | memoryview) -> None:
        # A child that is gone is reported by the reader of its answers.
        with contextlib.suppress(OSError, ValueError):
            if self._process.stdin is not None:
                frames.write_frame(self._process.stdin, header, payload)

    def _death(self) -> str:
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its output and was ended"
        if code < 0:
            return f"died with {_signal_name(-code)}"
        return f"ended by itself with exit code {code}"

    def _failed(self, why: str) -> EdgeascError:
        self._kill()
        lines = [line.strip() for line in self.stderr().splitlines() if line.strip()]
        last = f" ({lines[-1][:200]})" if lines else ""
        self._failure = ResourceExhausted(self.what, f"the runtime {why}{last}", self.path)
        return self._failure

    def _kill(self) -> None:
        self._finalizer()
        for thread in self._threads:
            thread.join(GRACE_SECONDS)


def worker_command(what: str, memory: int) -> list[str]:
    """The command line of a worker for runtime `what`; `-P` keeps the current folder off its module path."""
    limit = ["--memory", str(memory)] if memory != NO_LIMIT else []
    return [sys.executable, "-P", "-m", "edgeasc.runtime.worker", *limit, "--name", what]


def _environment(threads: int) -> dict[str, str]:
    """The caller's environment with thread counts, and with this very package on the path."""
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        environment[name] = str(threads)
    environment["TF_CPP_MIN_LOG_LEVEL"] = "3"
    home = str(Path(__file__).resolve().parents[2])
    if home != sysconfig.get_path("purelib"):  # a source tree; an installed package is found anyway
        known = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([home, known] if known else [home])
    return environment


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _receive(
    stream: IO[bytes],
    replies: queue.Queue[Reply | frames.BrokenFrame | None],
    greeting: bytes,
    greeted: threading.Event,
) -> None:
    """Thread: put every message of the child into the queue, then what ended the stream."""
    with stream:
        try:
            if greeting and not frames.skip_past(stream, greeting):
                replies.put(None)
                return
            greeted.set()
            while (frame := frames.read_frame(stream)) is not None:
                replies.put(frame)
            replies.put(None)
        except frames.BrokenFrame as error:
            replies.put(error)
        except (OSError, ValueError, MemoryError):
            replies.put(None)


def _keep_tail(stream: IO[bytes], tail: deque[bytes]) -> None:
    """Thread: read the child's standard error to its end, keeping only the last part."""
    size = 0
    with stream, contextlib.suppress(OSError, ValueError):
        while chunk := os.read(stream.fileno(), 4096):
            tail.append(chunk)
            size += len(chunk)
            while size > _TAIL_BYTES:
                size -= len(tail.popleft())


def _end(process: subprocess.Popen[bytes], scratch: tempfile.TemporaryDirectory[str]) -> None:
    """Kill and reap, and remove its files; the reading threads then see the end of their pipes and close them."""
    if process.poll() is None:
        process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    scratch.cleanup()
