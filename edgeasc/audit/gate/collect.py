"""One artefact -> its audit and every number that its limits, the ratchet or the baseline need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from edgeasc.audit.document import ModelAudit, RuleSize
from edgeasc.audit.gate.artefacts import Listed
from edgeasc.audit.gate.config import Config
from edgeasc.audit.gate.document import Measured, Unknown
from edgeasc.audit.gate.evidence import Number, bench_rows, evaluation_numbers, latency_number, parity_number
from edgeasc.audit.gate.quantities import FROM_EVALUATION, LATENCY
from edgeasc.audit.limits import rule_value
from edgeasc.errors import MissingDependency


@dataclass(frozen=True)
class Collected:
    """The audit of an artefact, its numbers by name, and remarks."""

    audit: ModelAudit
    numbers: dict[str, Number]
    notes: tuple[str, ...] = ()


def collect(listed: Listed, config: Config, wanted: Iterable[str]) -> Collected:
    """Everything counted in the artefact, and of the evidence what is `wanted` by name.

    Raises:
        BadInput: not an artefact, or a rule that cannot be computed from it.
    """
    from edgeasc.audit.inspect import inspect

    wanted = set(wanted)
    rules = [config.rule(name) for name in listed.limits.rules]
    audit = inspect(listed.place, rules, arena="arena" in wanted)
    numbers = counted_numbers(audit)
    notes: list[str] = []
    if wanted.intersection(FROM_EVALUATION):
        found = evaluation_numbers(listed, config.root, audit.sha256)
        numbers |= {name: number for name, number in found.items() if name in wanted}
    if "parity" in wanted:
        numbers["parity"] = parity_number(listed, config.root, audit.sha256)
    targets = sorted(name.removeprefix(LATENCY) for name in wanted if name.startswith(LATENCY))
    if targets:
        rows, notes = bench_rows(listed, config.root, audit.sha256)
        for target in targets:
            numbers[f"{LATENCY}{target}"] = latency_number(target, rows, estimate)
    if "arena" in wanted:
        numbers["arena"] = _arena(audit)
    return Collected(audit, numbers, tuple(notes))


def counted_numbers(audit: ModelAudit) -> dict[str, Number]:
    """What the audit itself tells; operations are not known where somebody's operators are not."""
    numbers: dict[str, Number] = {
        "file": Measured(audit.file_bytes),
        "gzip": Measured(audit.gzip_bytes),
        "parameters": Measured(audit.parameters.total),
        "nonzero": Measured(audit.parameters.nonzero),
        "nonzero_bytes": Measured(audit.parameters.nonzero_bytes),
        "macs": _operations(audit, audit.macs),
        "ram": _when_operators(audit, Measured(audit.peak_activation_bytes, detail=f"peak in {audit.peak_layer}")),
    }
    for rule in audit.rules:
        numbers |= {f"{rule.name} {what}": _rule_number(audit, rule, what) for what in {"bytes": 0, **rule.allowed}}
    return numbers


def _rule_number(audit: ModelAudit, rule: RuleSize, what: str) -> Number:
    value = rule_value(rule, what)
    if what == "MACs":
        return _operations(audit, value)
    return Unknown("the file does not tell it") if value is None else Measured(value, detail=f"rule {rule.name}")


def _operations(audit: ModelAudit, value: int | None) -> Number:
    if value is None or not audit.has_operators:
        return Unknown("weights alone do not tell it")
    if audit.unknown:
        return Unknown(f"nobody counted the operations of {', '.join(audit.unknown)}; the others come to {value:,}")
    return Measured(value)


def _when_operators(audit: ModelAudit, number: Measured) -> Number:
    return number if audit.has_operators else Unknown("weights alone do not tell it")


def _arena(audit: ModelAudit) -> Number:
    if audit.arena.bytes is not None:
        return Measured(audit.arena.bytes, "measured", "by TFLM on this host")
    absent = audit.format == "tflite" and find_spec("tflite_micro") is None
    return Unknown(audit.arena.why, MissingDependency.exit_code if absent else 1)


def estimate(target: str) -> Number:
    """What is known of the latency on `target` without a measurement."""
    return Unknown(f"no measurement of this file on {target}; `edgeasc bench` makes one")
