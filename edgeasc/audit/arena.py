"""The tensor arena of TFLM, measured by TFLM itself in a child process."""

from __future__ import annotations

from edgeasc.audit.document import Arena
from edgeasc.errors import EdgeascError, MissingDependency
from edgeasc.runtime.artefact import Artefact


def measure_arena(artefact: Artefact) -> Arena:
    """Bytes that TFLM's interpreter occupies for `artefact`, or why that is not known; never an error of the audit."""
    from edgeasc.runtime.runner import open_runner

    if artefact.kind != "tflite":
        return Arena(None, "known for .tflite files only; export one")
    try:
        with open_runner(artefact, "tflm", timeout=60.0) as runner:
            found = runner.notes.get("arena_bytes")
    except MissingDependency as error:
        return Arena(None, error.why)
    except EdgeascError as error:  # TFLM refuses or dies on the file: a finding, the counts still stand
        return Arena(None, f"TFLM does not run it: {error.why}")
    return Arena(found) if isinstance(found, int) else Arena(None, "TFLM did not say")
