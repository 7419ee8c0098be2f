"""An audit as a gate's report, so that `edgeasc audit` speaks to the same platforms: JUnit, GitHub, SARIF."""

from __future__ import annotations

from pathlib import Path

from edgeasc.audit.document import AuditReport, Limit, ModelAudit
from edgeasc.audit.gate.document import Check, GateReport, ModelGate
from edgeasc.audit.gate.quantities import TARGET, Unit, quantity

TOGETHER = ", together"


def gate_report(report: AuditReport) -> GateReport:
    """The verdicts of `report`: its limits and its targets, one record per model and one for the system."""
    models = tuple(_model(model) for model in report.models)
    if report.system:
        checks = tuple(_check(limit) for limit in report.system)
        path = " + ".join(model.path for model in report.models)
        parts = tuple(model.path for model in report.models)
        models += (ModelGate("system", path, Path(), None, {}, checks, parts=parts),)
    return GateReport(Path(), None, False, models)


def _model(model: ModelAudit) -> ModelGate:
    targets = tuple(
        Check(
            name=f"{TARGET}{target.name}", kind="limit", unit="misses", best="least", limit=0,
            value=len(target.reasons), status="pass" if target.passed else "fail", detail="; ".join(target.reasons),
        )
        for target in model.targets
    )  # fmt: skip
    checks = (*(_check(limit) for limit in model.limits), *targets)
    return ModelGate(model.path, model.path, Path(model.path), model, {}, checks, notes=model.notes)


def _check(limit: Limit) -> Check:
    found = quantity(limit.name.removesuffix(TOGETHER))
    unit: Unit = found.unit if found else "count"
    status = "pass" if limit.passed else "fail" if limit.value > limit.limit else "unknown"
    why = "" if status != "unknown" else f"operators that nobody counted; the others come to {limit.value:,}"
    return Check(
        name=limit.name, kind="limit", unit=unit, best="least", limit=limit.limit,
        value=None if status == "unknown" else limit.value, status=status, why=why,  # type: ignore[arg-type]
    )  # fmt: skip
