"""Counting rules as data: `audit/rules/<name>.toml`, or a file of the user's own, says what counts and how much may.

A rule states which kinds of numbers count, zeros or not, at how many bits, in which unit, the limits on bytes,
parameters and operations, how operations are counted, what it judges (a model or a whole system), its source, and
where its text leaves room, which reading is taken: the stricter one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from edgeasc.audit.document import RuleLine, RuleMacs, RuleSize
from edgeasc.errors import BadInput, UsageError
from edgeasc.files import read_json
from edgeasc.specs import Spec, nearest, parse_spec, read_toml

UNIT_BYTES = {"KiB": 1024, "kB": 1000}
Kind = Literal["conv", "norm", "bias", "weight", "statistics", "scale", "zero point"]


class CountSpec(Spec):
    """One line of a rule: `of` the tensors of `kinds`, each element at `bits` (0: at its own width)."""

    label: str
    kinds: tuple[Kind, ...]
    of: Literal["total", "kept", "nonzero"]
    bits: int = Field(0, ge=0, le=64)


class Uncertainty(Spec):
    """A point that the rule's text leaves open: the reading taken, which is the stricter, and the other one."""

    text: str
    reading: str
    other: str


class Rule(Spec):
    """A counting rule; a limit of None is not asked.

    Attributes:
        form: `training` reads a run's inventory, `deployed` the artefact itself.
        scope: whether the limits hold for each model or for all models of a system together.
        macs: whose count of operations decides: the network's own, or the larger of it and torchinfo's.
        limit_weight_bits: the widest weight allowed. hears: what one inference is.
    """

    name: str
    title: str
    source: str
    form: Literal["training", "deployed"]
    unit: Literal["KiB", "kB"]
    scope: Literal["model", "system"] = "model"
    limit_bytes: int | None = Field(None, gt=0)
    limit_parameters: int | None = Field(None, gt=0)
    limit_macs: int | None = Field(None, gt=0)
    limit_weight_bits: int | None = Field(None, gt=0)
    macs: Literal["network", "torchinfo"] = "network"
    hears: str = ""
    explanation: str
    count: tuple[CountSpec, ...] = Field(min_length=1)
    uncertain: tuple[Uncertainty, ...] = ()

    @property
    def allowed(self) -> dict[str, int]:
        """The limits that this rule has, by what is limited."""
        limits = {
            "bytes": self.limit_bytes,
            "parameters": self.limit_parameters,
            "MACs": self.limit_macs,
            "weight bits": self.limit_weight_bits,
        }
        return {what: limit for what, limit in limits.items() if limit is not None}


@dataclass(frozen=True)
class Counted:
    """One kind of stored numbers: elements in all, kept by the pruning mask, not zero, and the width of each."""

    kind: str
    total: int
    kept: int
    nonzero: int
    bits: int


def rule_names() -> list[str]:
    """The names of the rules that come with the package, sorted."""
    return sorted(item.name.removesuffix(".toml") for item in _folder().iterdir() if item.name.endswith(".toml"))


def read_rule(name: str) -> Rule:
    """The rule called `name`, or the one in the file `name` where that ends in `.toml`.

    Raises:
        UsageError: no such rule, the nearest is named; or a file that is no rule.
        BadInput: a file that cannot be read.
    """
    if name.endswith(".toml"):
        path = Path(name)
        document = read_toml(path, "rule")
        return parse_spec(Rule, {"name": path.stem, **document}, path, "rule")
    if name not in rule_names():
        known = rule_names()
        raise UsageError("rule", f"unknown rule {name!r}{nearest(name, known)}; known: {', '.join(known)}")
    with resources.as_file(_folder() / f"{name}.toml") as path:
        return parse_spec(Rule, read_toml(path, "rule"), path, "rule")


def apply(rule: Rule, counted: Sequence[Counted], note: str = "", macs: RuleMacs | None = None) -> RuleSize:
    """Elements and bytes of `counted` under `rule`; parts of a byte are rounded up once, at the very end."""
    lines, all_bits, widest = [], 0, 0
    for spec in rule.count:
        chosen = [(getattr(item, spec.of), spec.bits or item.bits) for item in counted if item.kind in spec.kinds]
        size = sum(elements * bits for elements, bits in chosen)
        lines.append(RuleLine(spec.label, sum(elements for elements, _ in chosen), spec.bits, size / 8))
        all_bits += size
        widest = max([widest, *(item.bits for item in counted if item.kind in ("weight", "conv") and item.total)])
    total = -(-all_bits // 8)
    return RuleSize(
        name=rule.name,
        bytes=total,
        text=f"{total / UNIT_BYTES[rule.unit]:.1f} {rule.unit}",
        lines=tuple(lines),
        note=note,
        parameters=sum(line.elements for line in lines),
        macs=macs,
        weight_bits=widest,
        scope=rule.scope,
        allowed=rule.allowed,
    )


def read_inventory(path: Path) -> tuple[Counted, ...]:
    """The tensors of the network before folding, from a run's `inventory.json`.

    Raises:
        BadInput: not an inventory.
    """
    document = read_json(path, "inventory")
    tensors = document.get("tensors") if isinstance(document, dict) else None
    if not isinstance(tensors, list) or not tensors:
        raise BadInput("inventory", "no list of tensors", path)
    return tuple(_counted(item, number, path) for number, item in enumerate(tensors))


def _counted(item: Any, number: int, path: Path) -> Counted:
    where = f"tensor {number}"
    if not isinstance(item, dict) or item.get("kind") not in ("conv", "norm", "bias"):
        raise BadInput("inventory", f"{where}: kind is not conv, norm or bias", path)
    counts = [item.get(key) for key in ("total", "kept", "nonzero")]
    total, kept, nonzero = (count if type(count) is int else -1 for count in counts)
    if not (0 <= nonzero <= total and 0 <= kept <= total):
        raise BadInput("inventory", f"{where}: total, kept and nonzero do not fit together", path)
    return Counted(item["kind"], total, kept, nonzero, bits=32)


def _folder() -> Any:
    return resources.files("edgeasc.audit") / "rules"
