"""Counting rules, budgets and reports: what a model weighs, by whose rule, and whether it fits.

`edgeasc.audit("model.tflite", budget="128KiB")` is this room's one function; the room itself can be called.
Counting (`stored_count`, `sharing`, `memory`, `rules`) knows nothing of rendering (`report`); neither torch,
TensorFlow nor a runtime is imported. The arena is measured by TFLM in a child process.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeasc.audit.document import AuditReport

__all__ = ["audit"]
DEFAULT_RULE = "deployed"


def audit(
    path: str | Path | Sequence[str | Path],
    budget: int | str | None = None,
    rules: Sequence[str] | None = None,
    *,
    limits: Mapping[str, int] | None = None,
    arena: bool = True,
    system: bool = False,
    targets: Sequence[str] = (),
    bench: Sequence[str | Path] = (),
) -> AuditReport:
    """Count run folders, exported folders, .onnx, .tflite and .safetensors files, and judge them.

    Args:
        path: one artefact, or several.
        budget: the most bytes under every rule of `rules`, a number or text like `128KiB`; by default each rule's own.
        rules: names of `edgeasc rules` or paths of rule files; by default `deployed`, the non-zero weights and biases.
        limits: further limits by name, see `audit.limits.LIMITS`.
        arena: whether TFLM measures its arena (about half a second in a child process).
        system: the models are one system, such as an ensemble: rules whose limits hold for a system judge the sum.
        targets: chips of `edgeasc targets`, at another clock where written as `cortex-m4@80MHz`.
        bench: files of measured latencies, which take the place of estimates.

    Raises:
        BadInput: a file that cannot be read, or a rule that cannot be computed from it.
        UsageError: an unknown rule or target, or a budget that is no size.
    """
    from edgeasc.audit.document import AuditReport
    from edgeasc.audit.inspect import inspect
    from edgeasc.audit.limits import judge_together
    from edgeasc.audit.measured import check_used, read_measurements
    from edgeasc.audit.rules import read_rule
    from edgeasc.audit.targets import place
    from edgeasc.sizes import parse_size

    paths = [path] if isinstance(path, (str, Path)) else list(path)
    chosen = [read_rule(name) for name in rules or [DEFAULT_RULE]]
    size = parse_size(budget) if isinstance(budget, str) else budget
    placed, measured = [place(name) for name in dict.fromkeys(targets)], read_measurements(bench)
    models = tuple(inspect(Path(item), chosen, size, limits, arena, placed, measured) for item in paths)
    check_used(measured, [model.sha256 for model in models], [item.label for item in placed])
    return AuditReport(models, judge_together(models, size) if system else ())


class _Room(types.ModuleType):
    """Lets `edgeasc.audit(path)` work although `edgeasc.audit` is also the name of this package."""

    def __call__(self, *args: Any, **kwargs: Any) -> AuditReport:
        return audit(*args, **kwargs)


sys.modules[__name__].__class__ = _Room
