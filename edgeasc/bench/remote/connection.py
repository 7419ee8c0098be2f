"""One ssh connection with the device's process at its end, as a worker like any other.

The file `device.py` goes over as text, is run from memory, and answers the requests that a local worker answers. How
ssh ended says what went wrong: a key, a login, a network, a missing interpreter. What a device says is not believed
before it is checked.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.remote.address import Address
from edgeasc.bench.remote.facts import parse_conditions, parse_facts, parse_info
from edgeasc.errors import BadInput, EdgeascError, MissingDependency, ResourceExhausted
from edgeasc.runtime.artefact import Artefact
from edgeasc.runtime.catalogue import RUNTIMES
from edgeasc.runtime.child import Child, Reply
from edgeasc.runtime.runner import ChildRunner, Features

GREETING = b"\nedgeasc-device-1\n"
INSTALL = "apt-get install openssh-client"
HELLO_SECONDS = 30.0
SSH_FAILED = 255
_START = "import sys; f = sys.stdin.buffer; exec(compile(f.read(int(f.readline())), 'edgeasc-device', 'exec'))"
_KEYS = ("host key verification failed", "host key is known for", "remote host identification has changed")


class DeviceChild(Child):
    """The process on the device. `python` is its interpreter, `config` a configuration file for ssh.

    Raises:
        MissingDependency: there is no ssh here.
    """

    def __init__(
        self, address: Address, python: str = "python3", config: Path | None = None, path: Path | None = None
    ) -> None:
        ssh = shutil.which("ssh")
        if ssh is None:
            raise MissingDependency("ssh", f"not installed; {INSTALL}")
        self.address, self.python = address, python
        text = (resources.files("edgeasc.bench.remote") / "device.py").read_bytes()
        self._introduction = f"{len(text)}\n".encode() + text
        remote = shlex.join([python, "-c", _START])
        super().__init__(str(address), path, command=address.command(ssh, remote, config), greeting=GREETING)

    def request(self, header: dict[str, Any], payload: bytes | memoryview = b"", timeout: float = 60.0) -> Reply:
        """As `Child.request`; when the time is over the device's process also ends by itself, reachable or not."""
        return super().request(header | {"limit": int(timeout) + 1}, payload, timeout)

    def _send(self, header: dict[str, Any], payload: bytes | memoryview) -> None:
        introduction, self._introduction = self._introduction, b""
        if introduction and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):  # a connection that is gone is reported by the reader
                self._process.stdin.write(introduction)
        super()._send(header, payload)

    @contextlib.contextmanager
    def believed(self) -> Iterator[None]:
        """Inside, an answer of the right frame and the wrong content is a device that failed."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise self._failed(f"the runtime sent an answer that makes no sense: {error!r}"[:200]) from None

    def _failed(self, why: str) -> EdgeascError:
        code = self._process.poll()  # how ssh ended by itself, before it is ended here
        self._kill()
        self._failure = explain(self.address, self.python, code, self.stderr(), why, self.greeted)
        return self._failure


def explain(
    address: Address, python: str, code: int | None, said: str, why: str, greeted: bool, path: Path | None = None
) -> EdgeascError:
    """The error for a connection that failed.

    Args:
        code: how ssh ended, None where it was still running. said: its standard error.
        why: what was seen of it here. greeted: whether the device's process had begun to answer.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = f" ({lines[-1][:200]})" if lines else ""
    what = str(address)
    if code == SSH_FAILED and any(sign in said.lower() for sign in _KEYS):
        if "identification has changed" in said.lower():
            return BadInput(what, "the host key is another one than known_hosts has; nothing was sent", path)
        once = f"ssh {what}"
        return BadInput(what, f"the host key is not known; log in once by hand and compare it: {once}", path)
    if code in (126, 127) and not greeted:
        return MissingDependency(what, f"no {python} there; apt-get install python3, or name another by --python", path)
    if code == SSH_FAILED and not greeted:
        return ResourceExhausted(what, f"cannot be reached{last}", path)
    if code == SSH_FAILED:
        return ResourceExhausted(what, f"the process there died, or the connection was lost{last}", path)
    return ResourceExhausted(what, f"{why.replace('the runtime', 'the device')}{last}", path)


class RemoteRunner(ChildRunner):
    """A runtime of the device with one artefact in it.

    Raises:
        ResourceExhausted: also later on, where the device's answers make no sense.
    """

    def __init__(
        self,
        artefact: Artefact,
        runtime: str,
        address: Address,
        *,
        threads: int = 1,
        timeout: float = 120.0,
        python: str = "python3",
        config: Path | None = None,
    ) -> None:
        self.device = DeviceChild(address, python, config, artefact.path)
        with self.device.believed():
            super().__init__(artefact, RUNTIMES[runtime], threads, timeout, child=self.device)

    def _describe(self, info: dict[str, Any]) -> None:
        super()._describe(parse_info(info))

    def _predict(self, inputs: Features) -> NDArray[np.float32]:
        with self.device.believed():
            logits = super()._predict(inputs)
            if logits.shape[1] == 0 or not np.isfinite(logits).all():
                raise ValueError(f"{logits.shape[1]} logits, or some that are not finite")
        return logits

    def time(self, features: Features, runs: int) -> NDArray[np.int64]:
        """Nanoseconds of `runs` runs there, [runs]; another number of them, or a negative one, is a lie."""
        with self.device.believed():
            spent = super().time(features, runs)
            if len(spent) != runs or spent.min() < 0:
                raise ValueError(f"{len(spent)} times")
        return spent

    def probe(self) -> float:
        """GFLOP/s of a matrix product there; a number that no machine has is a device that lies."""
        with self.device.believed():
            found = super().probe()
            if not 0 < found < 1e9:
                raise ValueError(f"{found} GFLOP/s")
        return found

    def conditions(self) -> dict[str, Any]:
        """Temperatures, clocks, load and signs of throttling, just now."""
        with self.device.believed():
            return parse_conditions(self.device.request({"op": "conditions"}, timeout=self.timeout)[0]["conditions"])


def ask_facts(address: Address, python: str = "python3", config: Path | None = None) -> dict[str, Any]:
    """What the machine at `address` is, and which runtimes it has.

    Raises:
        BadInput: its host key is not known. MissingDependency: no ssh here, or no Python there.
        ResourceExhausted: it cannot be reached, died, hung or sent garbage.
    """
    child = DeviceChild(address, python, config)
    try:
        with child.believed():
            return parse_facts(child.request({"op": "hello"}, timeout=HELLO_SECONDS)[0]["facts"])
    finally:
        child.close()
