"""What an audit says, as frozen records and as JSON (schema 1). Counting fills it, `audit.report` makes it readable."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeasc.audit.target_document import Finding, TargetAudit

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
class RuleMacs:
    """Operations as two counters see them: the network's products alone, and torchinfo's with biases and batch norm.

    `decides` names the one that the rule judges, the larger where the rule is torchinfo's.
    """

    network: int
    torchinfo: int
    decides: str

    @property
    def value(self) -> int:
        """The number that is judged."""
        return self.network if self.decides == "network" else self.torchinfo


@dataclass(frozen=True)
class RuleSize:
    """Size under a named rule: whole bytes, and `text` in the rule's own unit.

    Attributes:
        parameters: elements that the rule counts. weight_bits: width of the widest weight.
        macs: operations as the rule counts them; None where the file does not tell.
        scope: `model`, or `system` where all models together are judged.
        allowed: the rule's own limits by what they limit (`bytes`, `parameters`, `MACs`, `weight bits`).
    """

    name: str
    bytes: int
    text: str
    lines: tuple[RuleLine, ...]
    note: str = ""
    parameters: int = 0
    macs: RuleMacs | None = None
    weight_bits: int = 0
    scope: str = "model"
    allowed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Arena:
    """The tensor arena of TFLM as measured, or why it is not known."""

    bytes: int | None
    why: str = ""


@dataclass(frozen=True)
class Flash:
    """Flash of the network as C, constants counted and code estimated: its parts in words, or why it is not known."""

    bytes: int | None
    why: str = ""


@dataclass(frozen=True)
class ModelAudit:
    """Everything counted in one artefact.

    Attributes:
        format: `onnx`, `tflite` or `run`. counted_by: `integer graph`, or `stored` for somebody else's file.
        ends: input and output in words. stored: the parameters as the file stores them, where that differs.
        peak_activation_bytes: largest sum of live activations in stored order, reached in `peak_layer`.
        best_peak_bytes: the same in the best order of the operators that was found; `best_peak_exact` says that no
            order needs less. best_order: that order by operator names, empty where the stored order is as good.
        unknown: operators whose multiply-accumulates nobody counted, so that `macs` is a lower bound.
        hidden: numbers in bodies and attributes that are not looked into, so that sizes are lower bounds.
        partial: why multiply-accumulates and RAM are lower bounds: open shapes, bodies.
        has_operators: false for weights alone, which tell neither multiply-accumulates nor RAM.
        targets: what was asked about chips, in the order asked. findings: advice, which changes no verdict.
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
    flash: Flash = Flash(None)
    rules: tuple[RuleSize, ...] = ()
    limits: tuple[Limit, ...] = ()
    notes: tuple[str, ...] = ()
    best_peak_bytes: int = 0
    best_peak_exact: bool = True
    best_order: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    hidden: int = 0
    partial: str = ""
    has_operators: bool = True
    targets: tuple[TargetAudit, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every limit holds and the model goes onto every target; true where nothing was asked."""
        return all(limit.passed for limit in self.limits) and all(target.passed for target in self.targets)

    def to_json(self) -> dict[str, Any]:
        """This part of the report, keys in the order of the document."""
        document = asdict(self)
        arena, flash = document.pop("arena"), document.pop("flash")
        del document["hidden"], document["partial"]  # the notes say it in words
        targets = [{"name": "tflm", "origin": "measured", "ram_bytes": arena["bytes"]}] if arena["bytes"] else []
        if flash["bytes"] is not None:
            targets.append({"name": "c", "origin": "estimated", "flash_bytes": flash["bytes"], "why": flash["why"]})
        targets += [target.to_json() for target in self.targets]
        document["layers"] = [asdict(layer) for layer in self.layers]
        if not self.has_operators:
            document |= dict.fromkeys(("macs", "peak_activation_bytes", "best_peak_bytes"))
        return {**document, "targets": targets, "passed": self.passed}


@dataclass(frozen=True)
class AuditReport:
    """The audits of one call; `system` holds the limits on all models together, where these are one system."""

    models: tuple[ModelAudit, ...]
    system: tuple[Limit, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every model passed, and all of them together."""
        return all(model.passed for model in self.models) and all(limit.passed for limit in self.system)

    def to_json(self) -> dict[str, Any]:
        """The JSON document of `edgeasc audit --format json`; `system` only where something was judged together."""
        together = {"system": [asdict(limit) for limit in self.system]} if self.system else {}
        models = [model.to_json() for model in self.models]
        return {"schema": SCHEMA, "models": models, **together, "passed": self.passed}
