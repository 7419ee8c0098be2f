"""Counting rules as data: `audit/rules/<name>.toml` says what is counted, at how many bits, and in which unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from edgeasc.audit.document import RuleLine, RuleSize
from edgeasc.errors import BadInput, UsageError
from edgeasc.files import read_json
from edgeasc.specs import Spec, nearest, parse_spec, read_toml

UNIT_BYTES = {"KiB": 1024, "kB": 1000}


class CountSpec(Spec):
    """One line of a rule: `of` the tensors of `kinds`, each element at `bits` (0: at its own width)."""

    label: str
    kinds: tuple[Literal["conv", "norm", "bias", "weight"], ...]
    of: Literal["total", "kept", "nonzero"]
    bits: int = Field(0, ge=0, le=64)


class Rule(Spec):
    """A counting rule. Form `training` reads a run's inventory, `deployed` the artefact itself."""

    name: str
    title: str
    source: str
    form: Literal["training", "deployed"]
    unit: Literal["KiB", "kB"]
    explanation: str
    count: tuple[CountSpec, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Counted:
    """One kind of stored numbers: elements in all, kept by the pruning mask, not zero, and the width of each."""

    kind: str
    total: int
    kept: int
    nonzero: int
    bits: int


def rule_names() -> list[str]:
    """The names that `read_rule` knows, sorted."""
    return sorted(item.name.removesuffix(".toml") for item in _folder().iterdir() if item.name.endswith(".toml"))


def read_rule(name: str) -> Rule:
    """The rule called `name`.

    Raises:
        UsageError: no such rule; the nearest is named.
    """
    if name not in rule_names():
        known = rule_names()
        raise UsageError("rule", f"unknown rule {name!r}{nearest(name, known)}; known: {', '.join(known)}")
    with resources.as_file(_folder() / f"{name}.toml") as path:
        return parse_spec(Rule, read_toml(path, "rule"), path, "rule")


def apply(rule: Rule, counted: Sequence[Counted], note: str = "") -> RuleSize:
    """Elements and bytes of `counted` under `rule`; parts of a byte are rounded up once, at the very end."""
    lines, all_bits = [], 0
    for spec in rule.count:
        chosen = [(getattr(item, spec.of), spec.bits or item.bits) for item in counted if item.kind in spec.kinds]
        size = sum(elements * bits for elements, bits in chosen)
        lines.append(RuleLine(spec.label, sum(elements for elements, _ in chosen), spec.bits, size / 8))
        all_bits += size
    total = -(-all_bits // 8)
    return RuleSize(rule.name, total, f"{total / UNIT_BYTES[rule.unit]:.1f} {rule.unit}", tuple(lines), note)


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
