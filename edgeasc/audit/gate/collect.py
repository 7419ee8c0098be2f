"""One artefact -> its audit and every number that its limits, the ratchet or the baseline need."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from edgeasc.audit.document import ModelAudit, RuleSize
from edgeasc.audit.gate.artefacts import Listed
from edgeasc.audit.gate.config import Config
from edgeasc.audit.gate.document import Measured, Unknown
from edgeasc.audit.gate.evidence import Number, bench_rows, evaluation_numbers, latency_number, parity_number
from edgeasc.audit.gate.quantities import FROM_EVALUATION, LATENCY, TARGET
from edgeasc.audit.limits import rule_value
from edgeasc.audit.target_document import TargetAudit
from edgeasc.audit.targets import Placed, place, target_names
from edgeasc.errors import MissingDependency, UsageError
from edgeasc.specs import nearest


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
    latencies = sorted(name.removeprefix(LATENCY) for name in wanted if name.startswith(LATENCY))
    audit = inspect(
        listed.place,
        rules,
        arena="arena" in wanted,
        flash="flash" in wanted,
        targets=_places(latencies, listed.limits.targets),
    )
    numbers = counted_numbers(audit)
    if wanted.intersection(FROM_EVALUATION):
        found = evaluation_numbers(listed, config.root, audit.sha256)
        numbers |= {name: number for name, number in found.items() if name in wanted}
    if "parity" in wanted:
        numbers["parity"] = parity_number(listed, config.root, audit.sha256)
    numbers |= {f"{TARGET}{name}": _fits(audit, name) for name in listed.limits.targets}
    notes: list[str] = []
    if latencies:
        rows, notes = bench_rows(listed, config.root, audit.sha256)
        estimate = functools.partial(_estimate, audit, config.spec.estimates)
        numbers |= {f"{LATENCY}{name}": latency_number(name, rows, estimate) for name in latencies}
    if "arena" in wanted:
        numbers["arena"] = _arena(audit)
    if "flash" in wanted:
        numbers["flash"] = _flash(audit)
    return Collected(audit, numbers, tuple(notes))


def counted_numbers(audit: ModelAudit) -> dict[str, Number]:
    """What the audit itself tells; operations are not known where somebody's operators are not."""
    numbers: dict[str, Number] = {
        "file": Measured(audit.file_bytes),
        "gzip": Measured(audit.gzip_bytes),
        "parameters": _whole(audit, audit.parameters.total),
        "nonzero": _whole(audit, audit.parameters.nonzero),
        "nonzero_bytes": _whole(audit, audit.parameters.nonzero_bytes),
        "macs": _operations(audit, audit.macs),
        "ram": _memory(audit),
    }
    for rule in audit.rules:
        numbers |= {f"{rule.name} {what}": _rule_number(audit, rule, what) for what in {"bytes": 0, **rule.allowed}}
    return numbers


def _rule_number(audit: ModelAudit, rule: RuleSize, what: str) -> Number:
    value = rule_value(rule, what)
    if what == "MACs":
        return _operations(audit, value)
    if value is None:
        return Unknown("the file does not tell it")
    return _whole(audit, value, f"rule {rule.name}")


def _whole(audit: ModelAudit, value: int, detail: str = "") -> Number:
    """A size, known where everything in the file was counted."""
    if audit.hidden:
        why = f"{audit.hidden:,} numbers in bodies or attributes are not counted; the others come to {value:,}"
        return Unknown(why)
    return Measured(value, detail=detail)


def _operations(audit: ModelAudit, value: int | None) -> Number:
    if value is None or not audit.has_operators:
        return Unknown("weights alone do not tell it")
    if audit.unknown:
        return Unknown(f"nobody counted the operations of {', '.join(audit.unknown)}; the others come to {value:,}")
    return Unknown(f"{audit.partial}; it is at least {value:,}") if audit.partial else Measured(value)


def _memory(audit: ModelAudit) -> Number:
    if not audit.has_operators:
        return Unknown("weights alone do not tell it")
    if audit.partial:
        return Unknown(f"{audit.partial}; it is at least {audit.peak_activation_bytes:,} B")
    return Measured(audit.peak_activation_bytes, detail=f"peak in {audit.peak_layer}")


def _arena(audit: ModelAudit) -> Number:
    if audit.arena.bytes is not None:
        return Measured(audit.arena.bytes, "measured", "by TFLM on this host")
    absent = audit.format == "tflite" and find_spec("tflite_micro") is None
    return Unknown(audit.arena.why, MissingDependency.exit_code if absent else 1)


def _flash(audit: ModelAudit) -> Number:
    if audit.flash.bytes is not None:
        return Measured(audit.flash.bytes, "estimated", audit.flash.why)
    return Unknown(audit.flash.why, 1)


def _places(latencies: Iterable[str], targets: Iterable[str]) -> list[Placed]:
    """The chips among what latencies and targets name; a host is known by measurement alone."""
    found = {}
    for name in (*(text.partition("/")[0] for text in latencies), *targets):
        with contextlib.suppress(UsageError):
            found[place(name).label] = place(name)
    return list(found.values())


def _on(audit: ModelAudit, name: str) -> TargetAudit | None:
    """The audit for the target called `name`."""
    with contextlib.suppress(UsageError):
        label = place(name).label
        return next((item for item in audit.targets if item.name == label), None)
    return None


def _fits(audit: ModelAudit, name: str) -> Number:
    """How many reasons keep the file from running on a target."""
    found = _on(audit, name)
    if found is None:
        return Unknown("weights alone do not tell what a chip would run")
    return Measured(len(found.reasons), "estimated", "; ".join(found.reasons) or f"runs with {found.runtime}")


def _estimate(audit: ModelAudit, judged: str, target: str) -> Number:
    """The latency on `target` in microseconds that the audit estimates, by its typical or its high end."""
    found = _on(audit, target.partition("/")[0])
    if found is None:
        known = nearest(target, target_names())
        return Unknown(f"no measurement of this file on {target}, and no such target to estimate for{known}")
    if found.latency_ms is None:
        return Unknown(f"no measurement of this file on {target}; {'; '.join(found.notes) or 'nobody can estimate it'}")
    band = found.latency_ms
    detail = f"{band.low:,.3g} .. {band.typical:,.3g} .. {band.high:,.3g} ms on {found.name}"
    return Measured(1e3 * (band.typical if judged == "typical" else band.high), band.origin, detail, 1e3 * band.high)
