"""What a gate says, as frozen records and as JSON (schema 1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edgeasc.audit.document import ModelAudit
from edgeasc.audit.gate.quantities import Unit

SCHEMA = 1
Status = Literal["pass", "tight", "fail", "unknown"]


@dataclass(frozen=True)
class Measured:
    """A number, where it comes from (`counted`, `measured`, `estimated`, `evaluated`) and what to know about it.

    `surely` is a pessimistic reading of a number that is not exact: the lower end of an accuracy's interval, the upper
    end of an estimate.
    """

    value: float
    origin: str = "counted"
    detail: str = ""
    surely: float | None = None


@dataclass(frozen=True)
class Unknown:
    """A number that is asked for and not known; `exit_code` is 4 where something has to be installed."""

    why: str
    exit_code: int = 1


@dataclass(frozen=True)
class Check:
    """One limit and its verdict.

    Attributes:
        kind: `limit` from the configuration, `rule` from a rule's own text, `ratchet` from the baseline, `finding`.
        value: None where it is not known; `why` then says so.
        left: share of the limit that is left (of an accuracy: what it lies above), negative where it is broken.
    """

    name: str
    kind: Literal["limit", "rule", "ratchet", "finding"]
    unit: Unit
    best: Literal["least", "most"]
    limit: float
    value: float | None
    status: Status
    origin: str = ""
    detail: str = ""
    why: str = ""
    layer: str = ""
    exit_code: int = 1

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return self.status in ("pass", "tight")

    @property
    def left(self) -> float | None:
        """Share of the limit that is left."""
        if self.value is None or not self.limit:
            return None
        return (1 if self.best == "least" else -1) * (1 - self.value / self.limit)

    @property
    def title(self) -> str:
        """The name, and whose limit it is where that is not plain."""
        return f"{self.name} (ratchet)" if self.kind == "ratchet" else self.name


@dataclass(frozen=True)
class LayerChange:
    """What one layer adds to a difference; `state` is `new`, `gone` or `changed`."""

    name: str
    change: float
    state: Literal["new", "gone", "changed"]


@dataclass(frozen=True)
class Difference:
    """One number before and now, and the layers that make the difference, the largest first."""

    name: str
    unit: Unit
    best: Literal["least", "most"]
    before: float
    after: float
    layers: tuple[LayerChange, ...]
    words: str

    @property
    def change(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def worse(self) -> bool:
        """Whether it went the wrong way."""
        return self.change > 0 if self.best == "least" else self.change < 0


@dataclass(frozen=True)
class ModelGate:
    """One artefact: its numbers, the verdicts, and what changed since the baseline.

    Attributes:
        path: as a reader of the repository knows it, relative to the configuration's folder.
        audit: None where the file could not be read; `error` and `exit_code` then say why.
        known: whether the baseline has it. parts: names of the artefacts that this record judges as one system.
    """

    name: str
    path: str
    place: Path
    audit: ModelAudit | None
    numbers: dict[str, Measured]
    checks: tuple[Check, ...]
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    known: bool = False
    error: str = ""
    error_code: int = 0
    parts: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it could be read and every limit holds."""
        return not self.error and all(check.passed for check in self.checks)

    @property
    def exit_code(self) -> int:
        """0, or the gravest of what is wrong."""
        failed = [check.exit_code for check in self.checks if not check.passed]
        return max([self.error_code, *failed])

    def to_json(self) -> dict[str, Any]:
        """This artefact's part of the document."""
        return {
            "name": self.name,
            "path": self.path,
            "sha256": self.audit.sha256 if self.audit else None,
            "numbers": {name: asdict(number) for name, number in self.numbers.items()},
            "checks": [{**asdict(check), "left": check.left, "passed": check.passed} for check in self.checks],
            "differences": [{**asdict(item), "change": item.change} for item in self.differences],
            "notes": list(self.notes),
            "in_baseline": self.known,
            "parts": list(self.parts),
            "error": self.error or None,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class GateReport:
    """The verdict on everything that a configuration lists."""

    config: Path
    baseline: Path | None  # None: there is none yet
    ratchet: bool
    models: tuple[ModelGate, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether everything holds."""
        return all(model.passed for model in self.models)

    @property
    def exit_code(self) -> int:
        """0, or the gravest of what is wrong: 3 and 5 for files, 4 for what is not installed, 1 for limits."""
        return max((model.exit_code for model in self.models), default=0)

    def to_json(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "schema": SCHEMA,
            "kind": "check",
            "config": self.config.as_posix(),
            "baseline": self.baseline.as_posix() if self.baseline else None,
            "ratchet": self.ratchet,
            "models": [model.to_json() for model in self.models],
            "notes": list(self.notes),
            "passed": self.passed,
            "exit_code": self.exit_code,
        }
