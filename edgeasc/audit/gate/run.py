"""`check`: everything that a configuration lists, counted, judged and compared, as one report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from edgeasc.audit.gate.artefacts import Listed, find_artefacts
from edgeasc.audit.gate.baseline import Baseline, BaselineModel, layer_rows, read_baseline, values
from edgeasc.audit.gate.collect import Collected, collect
from edgeasc.audit.gate.config import Config, read_config
from edgeasc.audit.gate.difference import differences
from edgeasc.audit.gate.document import GateReport, ModelGate
from edgeasc.audit.gate.system import judge_systems
from edgeasc.audit.gate.verdict import judge_limits, judge_ratchet, wanted_limits
from edgeasc.errors import BadInput, EdgeascError, UsageError


def check(
    config: str | Path = "edgeasc.toml", baseline: str | Path | None = None, ratchet: bool | None = None
) -> GateReport:
    """Judge everything that `config` lists.

    Args:
        baseline: the file to compare with; by default the one that the configuration names, where it exists.
        ratchet: whether numbers may get worse than the baseline's; by default what the configuration says.

    Returns:
        The report; a file that cannot be read is in it and does not keep the others from being judged.

    Raises:
        UsageError: a wrong configuration, or a ratchet without a baseline. BadInput: a wrong baseline.
    """
    read = read_config(Path(config))
    return gate(read, find_baseline(read, baseline), ratchet)


def baseline_path(config: Config, given: str | Path | None) -> Path:
    """Where the baseline is, or would be."""
    return Path(given) if given is not None else config.root / config.spec.baseline


def find_baseline(config: Config, given: str | Path | None) -> tuple[Path, Baseline | None]:
    """The baseline's place and content; None where there is none yet and none was asked for.

    Raises:
        BadInput: the file asked for is missing, or no baseline.
    """
    path = baseline_path(config, given)
    if not path.exists():
        if given is not None:
            raise BadInput("baseline", "no such file; --update-baseline writes it", path)
        return path, None
    return path, read_baseline(path)


def gate(config: Config, baseline: tuple[Path, Baseline | None], ratchet: bool | None = None) -> GateReport:
    """The report on `config` against a baseline that was read.

    Raises:
        UsageError: a ratchet without a baseline, or a configuration that lists nothing.
    """
    path, before = baseline
    turning = config.spec.ratchet.enabled if ratchet is None else ratchet
    if turning and before is None:
        raise UsageError("ratchet", "there is no baseline to hold on to; write it with --update-baseline", path)
    pairs = [(item, _gate_one(item, config, before, turning)) for item in find_artefacts(config)]
    models = (*(model for _, model in pairs), *judge_systems(config, pairs))
    return GateReport(config.path, path if before else None, turning, models, _notes(models, before, path))


def _gate_one(listed: Listed, config: Config, before: Baseline | None, ratchet: bool) -> ModelGate:
    """One artefact; what is wrong with it is in its record."""
    old = before.models.get(listed.name) if before else None
    try:
        found = collect(listed, config, _wanted(listed, config, old, ratchet))
    except EdgeascError as error:
        return ModelGate(
            listed.name, listed.path, listed.place, None, {}, (), known=old is not None,
            error=f"{error.what}: {error.why}", error_code=max(error.exit_code, 1),
        )  # fmt: skip
    checks = judge_limits(listed, config, found)
    if ratchet and old is not None:
        checks += judge_ratchet(config.spec.ratchet, old.numbers, found)
    model = ModelGate(
        listed.name, listed.path, listed.place, found.audit, values(found.numbers), checks, known=old is not None
    )
    changed = differences(old, model.numbers, layer_rows(model), found.audit.peak_layer) if old else ()
    notes = _remarks(model, old, before, found)
    if ratchet and changed and not any(item.worse for item in changed):
        notes += ("better than the baseline; --update-baseline makes that the new mark",)
    return replace(model, differences=changed, notes=notes)


def _wanted(listed: Listed, config: Config, old: BaselineModel | None, ratchet: bool) -> set[str]:
    """Numbers that need more than counting: those with a limit, and those that the ratchet holds."""
    held = {name for name in config.spec.ratchet.numbers if old and name in old.numbers} if ratchet else set()
    return set(wanted_limits(listed, config)) | held


def _remarks(model: ModelGate, old: BaselineModel | None, before: Baseline | None, found: Collected) -> tuple[str, ...]:
    notes = list(found.notes)
    if not model.checks:
        notes.append("no limit: it passes whatever it weighs")
    if before is not None and old is None:
        notes.append("not in the baseline yet; --update-baseline puts it there")
    if found.audit.unknown:
        notes.append(f"unknown operators, their operations are not counted: {', '.join(found.audit.unknown)}")
    return tuple(notes)


def _notes(models: Iterable[ModelGate], before: Baseline | None, path: Path) -> tuple[str, ...]:
    if before is None:
        return (f"there is no baseline {path.name} yet: limits are judged, differences are not known",)
    names = {model.name for model in models}
    return tuple(f"{name} is in the baseline and no longer listed" for name in before.models if name not in names)
