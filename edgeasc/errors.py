"""The named errors of edgeasc, each tied to one exit code.

A caller catches `EdgeascError`; the command line prints it as one line and exits with `exit_code`.
"""

from __future__ import annotations

from os import PathLike


class EdgeascError(Exception):
    """One thing that went wrong, said as `<what>: <path>: <why>`.

    Args:
        what: what was being done or looked at, in a few words ("recipe", "audio", "budget").
        why: what is wrong, with the value found and the value allowed.
        path: the file or folder concerned, when there is one.
    """

    exit_code = 1

    def __init__(self, what: str, why: str, path: str | PathLike[str] | None = None) -> None:
        self.what, self.why, self.path = what, why, path
        super().__init__(": ".join(str(part) for part in (what, path, why) if part is not None))


class CheckFailed(EdgeascError):
    """A check of the user's own does not hold: budget, parity, an impossible target."""

    exit_code = 1


class UsageError(EdgeascError):
    """The command line or a configuration file asks for something that does not exist."""

    exit_code = 2


class BadInput(EdgeascError):
    """A file from the user cannot be used: corrupt, wrong kind, or not expressible."""

    exit_code = 3


class MissingDependency(EdgeascError):
    """An optional package or tool is not installed; `why` names the install command."""

    exit_code = 4


class ResourceExhausted(EdgeascError):
    """Disk, memory or time ran out, or a child process or device died."""

    exit_code = 5
