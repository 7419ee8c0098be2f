"""`python -m edgeasc.runtime.worker`: one model in one native runtime, served over stdin and stdout.

Requests: `load` {runtime, package, threads, options, path} + model bytes; `predict` {dtype, shape} + items;
`time` {dtype, shape, runs} + one item -> int64 nanoseconds; `probe` {} -> GFLOP/s of the machine just now.
Every answer has `ok`, or `error` and `why`.
Standard output is kept for answers: whatever a runtime prints goes to standard error.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from typing import IO, Any

import numpy as np

from edgeasc.errors import EdgeascError, MissingDependency
from edgeasc.runtime import backends
from edgeasc.runtime.frames import BrokenFrame, read_frame, write_frame

Request = tuple[dict[str, Any], bytes]
PROBE_SIZE = 256
_OUT_OF_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate memory")


class Worker:
    """The state between requests: at most one loaded model."""

    def __init__(self) -> None:
        self.backend: backends.Backend | None = None

    def answer(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Do what one request asks."""
        match header.get("op"):
            case "load":
                return self.load(header, payload), b""
            case "predict":
                return self.predict(header, payload)
            case "time":
                return {"ok": True}, self.time(header, payload)
            case "probe":
                return {"ok": True, "gflops": probe()}, b""
        return {"ok": False, "error": "usage", "why": f"unknown request {header.get('op')!r}"}, b""

    def load(self, header: dict[str, Any], payload: bytes) -> dict[str, Any]:
        """Load the model; the answer carries its `Info`."""
        self.backend = backends.load(
            header["runtime"], header["package"], payload, header.get("path", ""), header["threads"], header["options"]
        )
        return {"ok": True, "info": asdict(self.backend.info)}

    def items(self, header: dict[str, Any], payload: bytes) -> backends.Array:
        """The payload as an array [items, 1, ...] in the model's own type."""
        array = np.frombuffer(payload, header["dtype"]).reshape(header["shape"])
        return array[:, None]

    def predict(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Outputs of all items, one after another."""
        backend = self.loaded()
        outputs = np.stack([np.asarray(backend.run(item)).ravel() for item in self.items(header, payload)])
        return {"ok": True, "dtype": outputs.dtype.name, "shape": outputs.shape}, outputs.tobytes()

    def time(self, header: dict[str, Any], payload: bytes) -> bytes:
        """Nanoseconds of `runs` runs on one item, each by itself."""
        backend, item = self.loaded(), self.items(header, payload)[0]
        spent = np.empty(int(header["runs"]), np.int64)
        for index in range(len(spent)):
            start = time.perf_counter_ns()
            backend.run(item)
            spent[index] = time.perf_counter_ns() - start
        return spent.tobytes()

    def loaded(self) -> backends.Backend:
        if self.backend is None:
            raise ValueError("no model is loaded")
        return self.backend


def probe() -> float:
    """GFLOP/s of a float32 matrix product, best of five: what this process gets out of the machine just now."""
    matrix = np.full((PROBE_SIZE, PROBE_SIZE), 0.5, np.float32)
    best = 0
    for _ in range(5):
        start = time.perf_counter_ns()
        matrix @ matrix
        spent = max(time.perf_counter_ns() - start, 1)
        best = spent if best == 0 else min(best, spent)
    return 2.0 * PROBE_SIZE**3 / best


def serve(requests: queue.Queue[Request], answers: IO[bytes]) -> None:
    """Answer requests for ever; `_receive` ends the process."""
    worker = Worker()
    while True:
        header, payload = requests.get()
        try:
            reply, content = worker.answer(header, payload)
        except Exception as error:  # whatever a runtime raises is its refusal, told to the parent
            reply, content = refusal(error), b""
        write_frame(answers, reply, content)


def refusal(error: Exception) -> dict[str, Any]:
    """The answer for an exception: whose fault, and why in one line."""
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY):
        return {"ok": False, "error": "memory", "why": "out of memory"}
    if isinstance(error, (ImportError, MissingDependency)):
        return {"ok": False, "error": "missing", "why": str(error)}
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    why = error.why if isinstance(error, EdgeascError) else f"refused: {lines[0] if lines else type(error).__name__}"
    return {"ok": False, "error": "bad-input", "why": why[:500]}


def _receive(stream: IO[bytes], requests: queue.Queue[Request]) -> None:
    """Thread: requests into the queue. When the parent closes the pipe or dies, so does this process, busy or not."""
    try:
        while (frame := read_frame(stream)) is not None:
            requests.put(frame)
    except BrokenFrame as error:
        os.write(2, f"worker: {error}\n".encode())
        os._exit(70)
    os._exit(0)


def _limit(memory: int) -> None:
    """Cap the address space and forbid core files, where the platform offers it."""
    try:
        import resource
    except ImportError:  # not POSIX
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard == resource.RLIM_INFINITY else min(memory, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Take over the standard streams and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    if "--memory" in sys.argv:
        _limit(int(sys.argv[sys.argv.index("--memory") + 1]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: queue.Queue[Request] = queue.Queue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    serve(requests, answers)


if __name__ == "__main__":
    main()
