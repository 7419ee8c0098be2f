"""Limits: the budget under a rule, and single numbers by name (`--limit file=64KiB`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgeasc.audit.document import Limit, ModelAudit, RuleSize
from edgeasc.errors import BadInput, UsageError
from edgeasc.sizes import parse_size
from edgeasc.specs import nearest

_Needs = Literal["operations", "memory", "size", "file"]  # what must be known in full
_OPERATIONS: _Needs = "operations"
_SIZE: _Needs = "size"
_FILE: _Needs = "file"
_NEEDS: dict[str, _Needs] = {"macs": "operations", "ram": "memory", "parameters": "size"}
LIMITS = {
    "file": "bytes of the file",
    "gzip": "bytes of the file after gzip -9",
    "macs": "multiply-accumulates of one inference",
    "parameters": "parameters, zeros included",
    "ram": "peak activation bytes",
    "arena": "bytes of TFLM's tensor arena",
    "flash": "bytes of the network as C: constants counted, code estimated",
}


def parse_limits(texts: Sequence[str]) -> dict[str, int]:
    """`name=value` texts as numbers; bytes take units, counts take plain numbers.

    Raises:
        UsageError: an unknown name, or no size.
    """
    result = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in LIMITS:
            known = ", ".join(LIMITS)
            raise UsageError("--limit", f"{text!r}: write NAME=VALUE with one of {known}{nearest(name, list(LIMITS))}")
        result[name] = _parse_count(value) if name in ("macs", "parameters") else parse_size(value)
    return result


def judge(audit: ModelAudit, budget: int | None, named: dict[str, int]) -> tuple[Limit, ...]:
    """The verdicts on `audit`: its rules' own limits, `budget` in place of their bytes, and each named limit.

    What nobody counted cannot pass: a limit is not met where operators, shapes or parts of the file are not known.

    Raises:
        BadInput: a limit on a number that this file does not give.
    """
    limits = []
    for rule in audit.rules:
        for what, allowed in {**rule.allowed, **({"bytes": budget} if budget is not None else {})}.items():
            name = f"{rule.name} {what}"
            value = rule_value(rule, what)
            if value is None:
                raise BadInput("rule", f"{name}: weights alone do not tell the operations", audit.path)
            limits.append(_judged(audit, name, allowed, value, _OPERATIONS if what == "MACs" else _SIZE))
    values = {
        "file": audit.file_bytes,
        "gzip": audit.gzip_bytes,
        "macs": audit.macs if audit.has_operators else None,
        "parameters": audit.parameters.total,
        "ram": audit.peak_activation_bytes if audit.has_operators else None,
        "arena": audit.arena.bytes,
        "flash": audit.flash.bytes,
    }
    for name, allowed in named.items():
        value = values[name]
        if value is None:
            why = {"arena": audit.arena.why, "flash": audit.flash.why}.get(name, "weights alone do not tell it")
            raise BadInput("limit", f"{name} is not known: {why}", audit.path)
        limits.append(_judged(audit, name, allowed, value, _NEEDS.get(name, _FILE)))
    return tuple(limits)


def judge_together(models: Sequence[ModelAudit], budget: int | None) -> tuple[Limit, ...]:
    """The verdicts of those rules whose limits hold for a whole system, on all `models` as one system."""
    limits = []
    for rules in zip(*(model.rules for model in models), strict=True):
        rule = rules[0]
        allowed = {**rule.allowed, **({"bytes": budget} if budget is not None else {})}
        for what, limit in allowed.items() if rule.scope == "system" else ():
            found = [rule_value(each, what) or 0 for each in rules]
            value = max(found) if what == "weight bits" else sum(found)
            unknown = not all(_is_whole(model, _OPERATIONS if what == "MACs" else _SIZE) for model in models)
            limits.append(Limit(f"{rule.name} {what}, together", limit, value, value <= limit and not unknown))
    return tuple(limits)


def rule_value(rule: RuleSize, what: str) -> int | None:
    """The number under `rule` that its limit `what` is about; None where the file does not tell."""
    if what == "MACs":
        return None if rule.macs is None else rule.macs.value
    return {"bytes": rule.bytes, "parameters": rule.parameters, "weight bits": rule.weight_bits}[what]


def _judged(audit: ModelAudit, name: str, limit: int, value: int, needs: _Needs) -> Limit:
    return Limit(name, limit, value, value <= limit and _is_whole(audit, needs))


def _is_whole(audit: ModelAudit, needs: _Needs) -> bool:
    """Whether a number is more than a lower bound."""
    match needs:
        case "operations":
            return not (audit.unknown or audit.partial)
        case "memory":
            return not audit.partial
        case "size":
            return not audit.hidden
        case _:
            return True


def _parse_count(text: str) -> int:
    digits = text.replace("_", "").replace(",", "")
    scale = {"k": 1_000, "M": 1_000_000}.get(digits[-1:], 1)
    number = digits[:-1] if scale > 1 else digits
    if not (number.isascii() and number.isdecimal()) or int(number) == 0:
        raise UsageError("--limit", f"{text!r} is not a count; write a number like 30000000, 500k or 30M")
    return int(number) * scale
