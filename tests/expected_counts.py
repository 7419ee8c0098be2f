"""What an audit must find in a file whose counts were worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import edgeasc
from edgeasc.audit.document import ModelAudit


@dataclass(frozen=True)
class Expected:
    """Parameters, those that are not zero, the bytes of the latter, multiply-accumulates, peak of live activations."""

    total: int
    nonzero: int
    bytes: int
    macs: int
    peak: int
    unknown: tuple[str, ...] = ()


def audited(folder: Path, payload: bytes, suffix: str) -> ModelAudit:
    """The audit of `payload`, written to a file."""
    path = folder / f"model{suffix}"
    path.write_bytes(payload)
    return edgeasc.audit(path, arena=False).models[0]


def found(model: ModelAudit) -> Expected:
    """The same numbers as the audit gives them."""
    own = model.parameters
    return Expected(own.total, own.nonzero, own.nonzero_bytes, model.macs, model.peak_activation_bytes, model.unknown)
