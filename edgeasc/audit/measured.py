"""Bench results from a file, so that a measurement takes the place of an estimate.

Two forms are read: one result, `{schema, sha256, target, origin, median_us}`, and the document of `edgeasc bench`,
`{schema, results: [...]}`. Emulated instructions are no latency and replace nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeasc.audit.target_document import Estimate
from edgeasc.errors import BadInput
from edgeasc.files import read_json

SCHEMA = 1


@dataclass(frozen=True)
class Measurement:
    """One measured latency.

    Attributes:
        sha256: of the artefact. target: as `--target` takes it, clock included.
        latency_ms: median, with the 90th percentile beside it where the file has one. energy_mj: None where unknown.
        what: runtime and file, in words. path: of the file.
    """

    sha256: str
    target: str
    latency_ms: float
    p90_ms: float | None
    energy_mj: float | None
    what: str
    path: Path

    @property
    def latency(self) -> Estimate:
        """The latency as a band of no width, or up to the 90th percentile."""
        return Estimate(self.latency_ms, self.latency_ms, self.p90_ms or self.latency_ms, "measured", self.what)

    @property
    def energy(self) -> Estimate | None:
        """The energy as a band of no width."""
        known = self.energy_mj
        return None if known is None else Estimate(known, known, known, "measured", self.what)


def read_measurements(paths: Iterable[str | Path]) -> tuple[Measurement, ...]:
    """Every measured latency in the files.

    Raises:
        BadInput: not a bench result, another schema, a number that is none, or nothing measured in the file.
    """
    return tuple(found for path in paths for found in _read(Path(path)))


def find(measurements: Sequence[Measurement], sha256: str, target: str) -> Measurement | None:
    """The last measurement of this very file on this very target."""
    return next((item for item in reversed(measurements) if (item.sha256, item.target) == (sha256, target)), None)


def check_used(measurements: Sequence[Measurement], files: Sequence[str], targets: Sequence[str]) -> None:
    """See that every bench file says something about these artefacts on these targets.

    Raises:
        BadInput: a file about other artefacts or other targets, so that its numbers would be passed over in silence.
    """
    used = {item.path for item in measurements if item.sha256 in files and item.target in targets}
    for item in measurements:
        if item.path not in used:
            about = f"{item.sha256[:12]} on {item.target}"
            raise BadInput("bench", f"measured {about}; none of these artefacts on --target {item.target}", item.path)


def _read(path: Path) -> list[Measurement]:
    document = read_json(path, "bench")
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else None
        raise BadInput("bench", f"not a bench result of schema {SCHEMA} (found {found!r})", path)
    rows = document.get("results", [document])
    if not isinstance(rows, list):
        raise BadInput("bench", "`results` is not a list", path)
    found = [_measurement(row, number, path) for number, row in enumerate(rows) if _is_measured(row)]
    if not found:
        raise BadInput("bench", "nothing in it is measured; emulated instructions are no latency", path)
    return found


def _is_measured(row: Any) -> bool:
    return isinstance(row, dict) and row.get("origin") == "measured" and "median_us" in row


def _measurement(row: dict[str, Any], number: int, path: Path) -> Measurement:
    texts = [row.get(key) for key in ("sha256", "target")]
    if not all(isinstance(text, str) and text for text in texts):
        raise BadInput("bench", f"result {number}: no sha256 or no target", path)
    runtime = row.get("runtime")
    return Measurement(
        sha256=str(texts[0]),
        target=str(texts[1]),
        latency_ms=_number(row, "median_us", number, path) / 1e3,
        p90_ms=_number(row, "p90_us", number, path) / 1e3 if row.get("p90_us") is not None else None,
        energy_mj=_number(row, "energy_mj", number, path) if row.get("energy_mj") is not None else None,
        what=f"measured{f' with {runtime}' if isinstance(runtime, str) else ''}, {path.name}",
        path=path,
    )


def _number(row: dict[str, Any], key: str, number: int, path: Path) -> float:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value > 0):
        raise BadInput("bench", f"result {number}: {key} is {value!r}, not a positive number", path)
    return float(value)
