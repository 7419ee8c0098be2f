"""Which files a configuration means: its globs, looked up, each artefact once."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgeasc.audit.gate.config import Config, Limits, ModelEntry
from edgeasc.errors import UsageError


@dataclass(frozen=True)
class Listed:
    """One artefact: its name in reports and baselines, its path from the configuration's folder, and its limits."""

    name: str
    path: str  # with slashes
    place: Path
    entry: ModelEntry
    limits: Limits

    def evidence(self, pattern: str) -> str:
        """`pattern` with this artefact's folder and stem put in."""
        path = PurePosixPath(self.path)
        folder = path if self.place.is_dir() else path.parent
        return pattern.replace("{folder}", str(folder)).replace("{stem}", path.stem)


def find_artefacts(config: Config) -> tuple[Listed, ...]:
    """Everything listed, in the order of the file and then by path.

    Raises:
        UsageError: a pattern that nothing matches, an artefact listed twice, a name for several.
    """
    found: dict[str, Listed] = {}
    for number, entry in enumerate(config.spec.models):
        paths = [path for pattern in _patterns(entry) for path in _matches(pattern, config)]
        if entry.name is not None and len(paths) != 1:
            why = f"models.{number}: the name {entry.name!r} is for one artefact; {len(paths)} match"
            raise UsageError("config", why, config.path)
        for path in paths:
            listed = Listed(entry.name or path, path, config.root / path, entry, entry.limits.over(config.spec.limits))
            if listed.name in found or any(other.path == path for other in found.values()):
                raise UsageError("config", f"models.{number}: {path!r} or its name is listed before", config.path)
            found[listed.name] = listed
    return tuple(found.values())


def _patterns(entry: ModelEntry) -> tuple[str, ...]:
    return (entry.path,) if isinstance(entry.path, str) else entry.path


def _matches(pattern: str, config: Config) -> list[str]:
    """Paths that `pattern` means, sorted; what exists under that very name is meant literally."""
    if (config.root / pattern).exists():
        return [Path(pattern).as_posix()]
    found = sorted(Path(path).as_posix() for path in glob.glob(pattern, root_dir=config.root, recursive=True))
    if any(not path.isprintable() for path in found):  # nor would a baseline hold it
        raise UsageError("config", f"{pattern!r} matches a file whose name is no plain text", config.path)
    if not found:  # a gate that looks at nothing would pass for ever
        raise UsageError("config", f"nothing matches {pattern!r} below {config.root}", config.path)
    return found
