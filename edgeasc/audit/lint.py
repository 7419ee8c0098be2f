"""Everything in a model that costs its user something, as findings: one per kind, with its number and first place.

The checks lie in `lint_layout`, `lint_numbers` and `lint_storage`; what they mean is in `findings.toml`. Nothing here
changes a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from edgeasc.audit.document import ModelAudit
from edgeasc.audit.findings import SEVERITY, finding
from edgeasc.audit.lint_layout import LAYOUT
from edgeasc.audit.lint_numbers import NUMBERS
from edgeasc.audit.lint_storage import STORAGE, storage_of_file
from edgeasc.audit.target_document import Finding, TargetAudit
from edgeasc.audit.wiring import Wiring
from edgeasc.graph.stored import StoredModel

Check = Callable[[Wiring], Finding | None]
CHECKS: tuple[Check, ...] = (*LAYOUT, *NUMBERS, *STORAGE)
_ORDER = list(SEVERITY.values())


def lint(model: StoredModel, audit: ModelAudit, targets: Sequence[TargetAudit] = ()) -> tuple[Finding, ...]:
    """All findings in `model`, errors first."""
    wiring = Wiring(model)
    found = [result for check in CHECKS if (result := check(wiring)) is not None]
    found += [*storage_of_file(audit), *_on_targets(targets)]
    return tuple(sorted(found, key=lambda item: (_ORDER.index(item.severity), item.code)))


def _on_targets(targets: Iterable[TargetAudit]) -> Iterable[Finding]:
    for target in targets:
        for item in target.missing:
            code = "E101" if "no such operator" in item.why else "E102"
            yield finding(code, item.layer, f"{item.operator} (x{item.count}) on {target.name}: {item.why}")
        if target.on_core:
            count = sum(item.count for item in target.on_core)
            names = ", ".join(dict.fromkeys(item.operator for item in target.on_core))
            message = f"{count} operators on {target.name} stay on the core: {names}"
            worst = max(target.on_core, key=lambda item: item.count)
            cost = f"the core computes them; {worst.operator} (x{worst.count}): {worst.why}"
            yield finding("W501", target.on_core[0].layer, message, cost)
