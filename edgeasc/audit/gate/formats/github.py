"""GitHub's workflow commands: one annotation per broken or tight limit, on the artefact that it is about.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
from pathlib import Path

from edgeasc.audit.gate.document import GateReport
from edgeasc.audit.gate.formats.words import sentence, worth_telling
from edgeasc.files import sha256
from edgeasc.tables import printable


def annotation_lines(report: GateReport, root: Path) -> list[str]:
    """The commands, errors first; paths from `root`, the checked-out repository."""
    errors, warnings = [], []
    for model in report.models:
        where = repository_path(model.place, root)
        if model.error:
            errors.append(command("error", where, f"{model.name}: cannot be judged", model.error))
        for check in worth_telling(model):  # GitHub shows ten of a kind per step
            if not check.passed:
                title = f"{model.name}: {check.title}"
                errors.append(command("error", where, title, sentence(model, check)))
            else:
                title = f"{model.name}: {check.title} is tight"
                warnings.append(command("warning", where, title, sentence(model, check)))
        warnings += [command("notice", where, model.name, note) for note in model.notes]
    for note in report.notes:
        warnings.append(command("notice", repository_path(report.config, root), "edgeasc check", note))
    return [*errors, *warnings]


def command(level: str, file: str, title: str, message: str) -> str:
    """One workflow command, everything in it escaped so that no name can become a command of its own."""
    properties = f"file={_property(file)},title={_property(title)}"
    return f"::{level} {properties}::{_data(message)}"


def without_commands(text: str) -> str:
    """`text` for the log of a step; a line of it that looks like a command is none."""
    token = f"edgeasc-{sha256(text.encode())[:24]}"
    return f"::stop-commands::{token}\n{text}::{token}::\n"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def repository_path(path: Path, root: Path) -> str:
    """`path` from `root` with slashes; as it is where it lies elsewhere."""
    try:
        return Path(os.path.relpath(path.absolute(), root.absolute())).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
