"""What an audit says of one target, and what it advises, as frozen records and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Origin = Literal["measured", "estimated"]
Severity = Literal["error", "warning", "info"]
ENDS = ("low", "typical", "high")  # the fields of a band


@dataclass(frozen=True)
class Finding:
    """Something in a model that costs its user bytes, time or accuracy, or that keeps it from running.

    Attributes:
        code: identifier for `edgeasc explain`. layer: where, the first place of several.
        cost: what it costs here, in numbers. cure: what to do about it.
    """

    code: str
    severity: Severity
    layer: str
    message: str
    cost: str
    cure: str


@dataclass(frozen=True)
class Unsupported:
    """Operators of one kind that a runtime does not compute, how many, why, and the first by name."""

    operator: str
    count: int
    why: str
    layer: str


@dataclass(frozen=True)
class Estimate:
    """A number with its band; a measured one has no width. `basis` says where it is from."""

    low: float
    typical: float
    high: float
    origin: Origin
    basis: str


@dataclass(frozen=True)
class Room:
    """Bytes that a model needs of a memory, and what the memory has.

    Attributes:
        needed: what is judged. at_most: the same by the high end of what is estimated. parts: in words.
    """

    needed: int
    at_most: int
    available: int
    origin: Origin
    parts: str

    @property
    def fits(self) -> bool:
        """Whether it fits as far as is known."""
        return self.needed <= self.available

    @property
    def tight(self) -> bool:
        """Whether it fits, but would not by the high end of the estimate."""
        return self.fits and self.at_most > self.available


@dataclass(frozen=True)
class TargetAudit:
    """One model on one target.

    Attributes:
        name: the target as it was asked for, its clock included. runtime: what runs the file there; empty where
            nothing does. flash, ram: None where the format leaves them unknown.
        missing: operators that nothing on the target computes. on_core: those that an accelerator leaves to its core.
        latency_ms, energy_mj: of one inference; None where nobody knows, and `notes` says why.
    """

    name: str
    title: str
    chip: str
    clock_hz: float
    runtime: str
    flash: Room | None
    ram: Room | None
    missing: tuple[Unsupported, ...] = ()
    on_core: tuple[Unsupported, ...] = ()
    latency_ms: Estimate | None = None
    energy_mj: Estimate | None = None
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether something runs the file there, nothing is missing, and flash and RAM suffice."""
        rooms = [room for room in (self.flash, self.ram) if room is not None]
        return bool(self.runtime) and not self.missing and all(room.fits for room in rooms)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not pass, in a few words each."""
        found = [] if self.runtime else ["no runtime for this format"]
        found += [f"{item.operator} not supported" for item in self.missing]
        rooms = (("flash", self.flash), ("RAM", self.ram))
        return tuple(found + [f"{name} too small" for name, room in rooms if room is not None and not room.fits])

    def to_json(self) -> dict[str, Any]:
        """One entry of `targets` in the audit's document; bytes are what is needed, `_available` what is there."""
        rooms = {"flash": self.flash, "ram": self.ram}
        return {
            "name": self.name,
            "title": self.title,
            "chip": self.chip,
            "clock_hz": self.clock_hz,
            "runtime": self.runtime,
            **{f"{name}_bytes": room.needed if room else None for name, room in rooms.items()},
            **{f"{name}_bytes_at_most": room.at_most if room else None for name, room in rooms.items()},
            **{f"{name}_available": room.available if room else None for name, room in rooms.items()},
            **{f"{name}_origin": room.origin if room else None for name, room in rooms.items()},
            "missing": [asdict(item) for item in self.missing],
            "on_core": [asdict(item) for item in self.on_core],
            "latency_ms": asdict(self.latency_ms) if self.latency_ms else None,
            "energy_mj": asdict(self.energy_mj) if self.energy_mj else None,
            "notes": list(self.notes),
            "passed": self.passed,
        }
