"""Numbers against limits: one `Check` per limit, failed where the number is not known."""

from __future__ import annotations

from edgeasc.audit.gate.artefacts import Listed
from edgeasc.audit.gate.collect import Collected
from edgeasc.audit.gate.config import Config, RatchetSpec
from edgeasc.audit.gate.document import Check, Measured, Status, Unknown
from edgeasc.audit.gate.evidence import Number
from edgeasc.audit.gate.quantities import Quantity, known, show

_GONE = Unknown("the baseline has it, and no rule or target that is listed gives it any more")
EPSILON = 1e-9  # accuracies are quotients of whole numbers


def judge_limits(listed: Listed, config: Config, found: Collected) -> tuple[Check, ...]:
    """The configured limits, and what rules allow by themselves where no size replaces it."""
    checks = [
        judge(name, limit, found.numbers[name], config.spec.headroom)
        for name, limit in wanted_limits(listed, config).items()
    ]
    for name, limit in listed.limits.rules.items():
        rule = config.rule(name)
        for what, allowed in rule.allowed.items():
            if limit == "own" or what != "bytes":
                full = f"{rule.name} {what}"
                checks.append(judge(full, allowed, found.numbers[full], config.spec.headroom, "rule"))
    return tuple(checks) + _findings(listed, found)


def wanted_limits(listed: Listed, config: Config) -> dict[str, float]:
    """The limits on single numbers, rules by the name that they give themselves."""
    own = {f"{name} bytes": f"{config.rule(name).name} bytes" for name in listed.limits.rules}
    return {own.get(name, name): limit for name, limit in listed.limits.named().items()}


def judge(name: str, limit: float, number: Number, headroom: float | None, kind: str = "limit") -> Check:
    """One verdict; `tight` where less than `headroom` of the limit is left, or chance alone could break it.

    A `headroom` of None asks for no such warning.
    """
    kind_of = known(name)
    if not isinstance(number, Measured):
        return Check(
            name, kind, kind_of.unit, kind_of.best, limit, None, "unknown",  # type: ignore[arg-type]
            why=number.why, exit_code=number.exit_code,
        )  # fmt: skip
    return Check(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        unit=kind_of.unit,
        best=kind_of.best,
        limit=limit,
        value=number.value,
        status=_status(kind_of, limit, number, headroom),
        origin=number.origin,
        detail=number.detail,
    )


def _status(kind: Quantity, limit: float, number: Measured, headroom: float | None) -> Status:
    if kind.best == "most":
        if number.value < limit - EPSILON:
            return "fail"
        return "tight" if number.surely is not None and headroom is not None and number.surely < limit else "pass"
    if number.value > limit:
        return "fail"
    if headroom is not None and number.surely is not None and number.surely > limit:
        return "tight"
    narrows = kind.unit not in ("misses", "bits")  # these are reached exactly or not at all
    return "tight" if headroom and narrows and limit - number.value < headroom * limit else "pass"


def judge_ratchet(ratchet: RatchetSpec, before: dict[str, float], found: Collected) -> tuple[Check, ...]:
    """No number of the ratchet is worse than `before` by more than its tolerance."""
    checks = []
    for name in ratchet.numbers:
        if name in before:
            kind, tolerance = known(name), ratchet.tolerance.get(name, 0.0)
            allowed = before[name] * (1 + tolerance if kind.best == "least" else 1 - tolerance)
            allowed = allowed if kind.unit == "share" else int(allowed)
            checks.append(judge(name, allowed, found.numbers.get(name, _GONE), None, "ratchet"))
    return tuple(checks)


def _findings(listed: Listed, found: Collected) -> tuple[Check, ...]:
    """One check per finding that the configuration forbids."""
    checks = []
    for code in listed.entry.forbid:
        met = [item for item in found.audit.findings if item.code == code]
        said = "; ".join(f"{item.message}, costs {item.cost}" for item in met[:3])
        where = f" at {met[0].layer}" if met and met[0].layer else ""
        checks.append(
            Check(
                name=code, kind="finding", unit="misses", best="least", limit=0, value=len(met),
                status="fail" if met else "pass", detail=f"{where.removeprefix(' ')}: {said}" if where else said,
                layer=met[0].layer if met else "",
            )
        )  # fmt: skip
    return tuple(checks)


def found_words(check: Check) -> str:
    """The value for people, or why there is none."""
    if check.value is None:
        return "not known"
    return show(check.value, check.unit)


def allowed_words(check: Check) -> str:
    """The limit for people."""
    return ("at least " if check.best == "most" else "") + show(check.limit, check.unit)
