"""`ssh://user@host:port`, and the command line of the system's ssh that reaches it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgeasc.errors import UsageError

CONNECT_SECONDS = 10
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_ADDRESS = re.compile(rf"ssh://(?:({_NAME})@)?({_NAME}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?/?")
OPTIONS = {  # over whatever the user's own configuration says
    "BatchMode": "yes",  # never a question
    "StrictHostKeyChecking": "yes",  # never a host whose key is not known already
    "ConnectTimeout": str(CONNECT_SECONDS),
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ControlMaster": "no",  # no process that outlives this one
    "ControlPath": "none",
    "ClearAllForwardings": "yes",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "LogLevel": "ERROR",
}


@dataclass(frozen=True)
class Address:
    """A machine that ssh reaches; what is None comes from ssh's own configuration."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{user}{host}{f':{self.port}' if self.port else ''}"

    def command(self, ssh: str, remote: str, config: Path | None = None) -> list[str]:
        """The ssh command line that runs the shell text `remote` there."""
        chosen = ["-F", str(config)] if config is not None else []
        options = [part for key, value in OPTIONS.items() for part in ("-o", f"{key}={value}")]
        login = ["-l", self.user] if self.user else []
        port = ["-p", str(self.port)] if self.port else []
        return [ssh, *chosen, "-T", "-x", "-a", *options, *login, *port, "--", self.host, remote]


def parse_address(text: str) -> Address:
    """The address in `ssh://[user@]host[:port]`.

    Raises:
        UsageError: anything else; names that begin with a hyphen are no names.
    """
    found = _ADDRESS.fullmatch(text)
    port = int(found[3]) if found and found[3] else None
    if found is None or (port is not None and not 0 < port < 65_536):
        raise UsageError("--target", f"{text!r} is no address; written ssh://user@host or ssh://user@host:port")
    return Address(found[2].strip("[]"), found[1], port)
