"""What an audit says, as frozen records and as JSON (schema 1). Counting fills it, `audit.report` makes it readable."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = 1


@dataclass(frozen=True)
class Layer:
    """One layer, or one operator of a foreign file.

    Attributes:
        parameters, nonzero: weights and biases, and those whose real value is not zero.
        bytes: of the non-zero ones, each at its own width.
        macs: multiply-accumulates, batch 1.
        activation_bytes: the most bytes of activations alive while it runs, its inputs and outputs included.
    """

    name: str
    op: str
    output_shape: tuple[int, ...]
    parameters: int
    nonzero: int
    bytes: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True)
class Parameters:
    """Weights and biases: all, those that are not zero, the latter's bytes and the bytes of all at their own width."""

    total: int
    nonzero: int
    nonzero_bytes: int
    bytes: int


@dataclass(frozen=True)
class Uncounted:
    """Numbers in the file that are no parameters, such as scales; `bytes` as stored."""

    what: str
    elements: int
    bytes: int


@dataclass(frozen=True)
class Limit:
    """One limit and its verdict; `name` says what is limited."""

    name: str
    limit: int
    value: int
    passed: bool


@dataclass(frozen=True)
class RuleLine:
    """What one line of a rule came to; `bits` of each element, 0 where they differ."""

    label: str
    elements: int
    bits: int
    bytes: float


@dataclass(frozen=True)
class RuleSize:
    """Size under a named rule: whole bytes, and `text` in the rule's own unit."""

    name: str
    bytes: int
    text: str
    lines: tuple[RuleLine, ...]
    note: str = ""


@dataclass(frozen=True)
class Arena:
    """The tensor arena of TFLM as measured, or why it is not known."""

    bytes: int | None
    why: str = ""


@dataclass(frozen=True)
class ModelAudit:
    """Everything counted in one artefact.

    Attributes:
        format: `onnx`, `tflite` or `run`. counted_by: `integer graph`, or `stored` for somebody else's file.
        ends: input and output in words. stored: the parameters as the file stores them, where that differs.
        peak_activation_bytes: largest sum of live activations in stored order, reached in `peak_layer`.
    """

    path: str
    format: str
    sha256: str
    file_bytes: int
    gzip_bytes: int
    ends: str
    counted_by: str
    parameters: Parameters
    stored: Parameters
    macs: int
    peak_activation_bytes: int
    peak_layer: str
    layers: tuple[Layer, ...]
    operators: dict[str, int]
    uncounted: tuple[Uncounted, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    arena: Arena = Arena(None)
    rules: tuple[RuleSize, ...] = ()
    limits: tuple[Limit, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every limit holds; true where there is none."""
        return all(limit.passed for limit in self.limits)

    def to_json(self) -> dict[str, Any]:
        """This part of the report, keys in the order of the document."""
        document = asdict(self)
        arena = document.pop("arena")
        targets = [{"name": "tflm", "origin": "measured", "ram_bytes": arena["bytes"]}] if arena["bytes"] else []
        document["layers"] = [asdict(layer) for layer in self.layers]
        return {**document, "targets": targets, "passed": self.passed}


@dataclass(frozen=True)
class AuditReport:
    """The audits of one call."""

    models: tuple[ModelAudit, ...]

    @property
    def passed(self) -> bool:
        """Whether every model passed."""
        return all(model.passed for model in self.models)

    def to_json(self) -> dict[str, Any]:
        """The JSON document of DESIGN section 3."""
        return {"schema": SCHEMA, "models": [model.to_json() for model in self.models], "passed": self.passed}
