"""Every way a command can end badly, as one line on stderr and one exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator

import click

from edgeasc.errors import BadInput, EdgeascError, ResourceExhausted, UsageError
from edgeasc.extras import missing
from edgeasc.tables import printable

INTERRUPTED = 130  # 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM
INTERNAL = 1
LONGEST = 2000  # characters of the line; a file's own words may be endless
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM}


def report_failure(error: BaseException, debug: bool) -> int:
    """Print `edgeasc: error: <what>: <path>: <why>` for `error` (with `debug` its traceback first); the exit code."""
    if isinstance(error, BrokenPipeError):  # the reader of our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if debug and not isinstance(error, click.exceptions.Abort):
        traceback.print_exception(error)
    if isinstance(error, (KeyboardInterrupt, click.exceptions.Abort)):
        ended = isinstance(error, Terminated) or isinstance(error.__cause__, Terminated)
        _print_line("terminated" if ended else "interrupted")
        return TERMINATED if ended else INTERRUPTED
    named = named_error(error)
    if named is None:
        _print_line(f"internal error: {type(error).__name__}: {error} (run with --debug for the traceback)")
        return INTERNAL
    _print_line(str(named))
    return named.exit_code


def named_error(error: BaseException) -> EdgeascError | None:
    """The named error that `error` amounts to for a user; None for a bug of ours."""
    if isinstance(error, EdgeascError):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, MemoryError):
        return ResourceExhausted("memory", "the machine has not enough memory for this")
    if isinstance(error, ImportError):
        return missing(error.name)
    if isinstance(error, OSError) and error.errno in _FULL:
        return ResourceExhausted("write", error.strerror or str(error), error.filename)
    if isinstance(error, OSError) and error.filename is not None:
        return BadInput("file", error.strerror or str(error), os.fsdecode(error.filename))
    return None


class Terminated(KeyboardInterrupt):
    """SIGTERM, which leaves a resumable run as an interrupt from the keyboard does."""


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Raise `Terminated` in the main thread when the process is asked to end."""

    def terminate(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to that one alone
        yield
        return
    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Warnings of our own as one line each; those of other packages only where Python was told to show them (-W)."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module=r"edgeasc\.")
            warnings.showwarning = _show_warning
        yield


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"edgeasc: warning: {printable(str(message))}", err=True)


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    command = context.command_path.partition(" ")[2] if context is not None else ""
    return UsageError(command or "usage", error.format_message().rstrip("."))


def _print_line(text: str) -> None:
    words = printable(text)
    click.echo(f"edgeasc: error: {words if len(words) <= LONGEST else words[:LONGEST] + '…'}", err=True)
