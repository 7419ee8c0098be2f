"""The command line: a command parses, calls one function of another room, and renders what comes back.

One file per verb, found by name when it is asked for; nothing heavier than click is imported before a verb runs.
Errors of every kind become one line and an exit code in `cli.failures`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code.

    0 done, 1 a check failed, 2 usage, 3 bad input file, 4 something is not installed, 5 a resource ran out,
    130 interrupted.
    """
    from edgeasc.cli.failures import report_failure, termination_as_interrupt, warnings_as_lines
    from edgeasc.cli.group import edgeasc

    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with warnings_as_lines(), termination_as_interrupt():
            code = edgeasc.main(words, prog_name="edgeasc", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException as error:
        return report_failure(error, debug="--debug" in words)
    return code if isinstance(code, int) else 0
