"""A real sshd on the loopback as a device: own keys, own configuration, a free port, everything in one folder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeasc.bench.remote.address import Address

SSHD = "/usr/sbin/sshd"


@dataclass(frozen=True)
class Loopback:
    """A running server. `config` is ssh's configuration, with the server's key among the known ones."""

    address: Address
    config: Path
    folder: Path

    @property
    def target(self) -> str:
        return str(self.address)

    def config_with(self, name: str, known_hosts: str) -> Path:
        """A configuration like `config` that knows other hosts."""
        (self.folder / f"{name}.known").write_text(known_hosts)
        path = self.folder / name
        path.write_text(self.config.read_text().replace("known_hosts", f"{name}.known"))
        return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, stdin=subprocess.DEVNULL)
    return path.with_suffix(".pub").read_text()


@contextlib.contextmanager
def loopback(folder: Path) -> Iterator[Loopback]:
    """Start the server in `folder`; it is gone afterwards, with every session in it."""
    folder.chmod(0o755)
    host = _key(folder / "host")
    (folder / "authorized_keys").write_text(_key(folder / "user"))
    config = folder / "ssh_config"
    config.write_text(
        f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known_hosts\n"
        "GlobalKnownHostsFile none\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd separates its privileges
    server, port = _listening(folder)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
    try:
        yield Loopback(Address("127.0.0.1", None, port), config, folder)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


def _listening(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A server on a port that was free; on another one where somebody was faster."""
    for _ in range(5):
        port = free_port()
        (folder / "sshd_config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nPermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\n"
        )
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", folder / "sshd_config"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
            )  # fmt: skip
        while server.poll() is None:
            if f"port {port}" in (folder / "log").read_text():  # "Server listening on 127.0.0.1 port ..."
                return server, port
            time.sleep(0.02)
    raise RuntimeError(f"sshd ended: {(folder / 'log').read_text()}")


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether the process ends within `seconds`."""
    for _ in range(int(seconds / 0.05)):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
