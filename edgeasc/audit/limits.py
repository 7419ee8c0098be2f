"""Limits: the budget under a rule, and single numbers by name (`--limit file=64KiB`)."""

from __future__ import annotations

from collections.abc import Sequence

from edgeasc.audit.document import Limit, ModelAudit
from edgeasc.errors import BadInput, UsageError
from edgeasc.sizes import parse_size
from edgeasc.specs import nearest

LIMITS = {
    "file": "bytes of the file",
    "gzip": "bytes of the file after gzip -9",
    "macs": "multiply-accumulates of one inference",
    "parameters": "parameters, zeros included",
    "ram": "peak activation bytes",
    "arena": "bytes of TFLM's tensor arena",
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
    """The verdicts on `audit`: the budget under each of its rules, and each named limit.

    Raises:
        BadInput: a limit on a number that this file does not give.
    """
    limits = []
    if budget is not None:
        limits += [_limit(f"{rule.name} bytes", budget, rule.bytes) for rule in audit.rules]
    values = {
        "file": audit.file_bytes,
        "gzip": audit.gzip_bytes,
        "macs": audit.macs,
        "parameters": audit.parameters.total,
        "ram": audit.peak_activation_bytes,
        "arena": audit.arena.bytes,
    }
    for name, limit in named.items():
        value = values[name]
        if value is None:
            raise BadInput("limit", f"{name} is not known: {audit.arena.why}", audit.path)
        limits.append(_limit(name, limit, value))
    return tuple(limits)


def _limit(name: str, limit: int, value: int) -> Limit:
    return Limit(name, limit, value, value <= limit)


def _parse_count(text: str) -> int:
    digits = text.replace("_", "").replace(",", "")
    scale = {"k": 1_000, "M": 1_000_000}.get(digits[-1:], 1)
    number = digits[:-1] if scale > 1 else digits
    if not number.isdecimal() or int(number) == 0:
        raise UsageError("--limit", f"{text!r} is not a count; write a number like 30000000, 500k or 30M")
    return int(number) * scale
