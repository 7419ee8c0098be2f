"""Several artefacts as one system: rules such as DCASE 2020's and 2021's limit an ensemble together."""

from __future__ import annotations

from collections.abc import Sequence

from edgeasc.audit.gate.artefacts import Listed
from edgeasc.audit.gate.config import Config
from edgeasc.audit.gate.document import Check, Measured, ModelGate, Unknown
from edgeasc.audit.gate.evidence import Number
from edgeasc.audit.gate.verdict import judge

WIDEST = "weight bits"  # not a sum


def judge_systems(config: Config, pairs: Sequence[tuple[Listed, ModelGate]]) -> tuple[ModelGate, ...]:
    """One record per system that the configuration names, with the verdicts of rules whose scope is a system."""
    names = dict.fromkeys(listed.entry.system for listed, _ in pairs if listed.entry.system)
    return tuple(
        _judge_system(name, config, [pair for pair in pairs if pair[0].entry.system == name]) for name in names if name
    )


def _judge_system(name: str, config: Config, pairs: Sequence[tuple[Listed, ModelGate]]) -> ModelGate:
    """The parts of one system together; a part that cannot be read leaves its sums unknown."""
    parts = [model for _, model in pairs]
    limits = {rule: limit for listed, _ in pairs for rule, limit in listed.limits.rules.items()}
    checks: list[Check] = []
    for rule_name, limit in limits.items():
        rule = config.rule(rule_name)
        if rule.scope == "system":
            allowed = {**rule.allowed, **({"bytes": limit} if isinstance(limit, int) else {})}
            for what, most in allowed.items():
                number = _together([model.numbers.get(f"{rule.name} {what}") for model in parts], what)
                checks.append(judge(f"{rule.name} {what}", most, number, config.spec.headroom, "rule"))
    numbers = {item.name: Measured(item.value) for item in checks if item.value is not None}
    return ModelGate(
        name=name,
        path=" + ".join(model.path for model in parts),
        place=config.path,
        audit=None,
        numbers=numbers,
        checks=tuple(checks),
        notes=() if checks else ("no rule that limits a whole system: nothing is judged together",),
        parts=tuple(model.name for model in parts),
    )


def _together(numbers: Sequence[Measured | None], what: str) -> Number:
    known = [number.value for number in numbers if number is not None]
    if len(known) < len(numbers):
        return Unknown("it is not known of every part")
    return Measured(max(known) if what == WIDEST else sum(known), detail=f"{len(known)} models together")
