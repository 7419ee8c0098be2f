"""The committed baseline: numbers and layers of every artefact as they were when somebody agreed to them.

JSON of schema 1, one line per layer and no time in it, so that a pull request shows what changed and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

import edgeasc
from edgeasc.audit.gate.config import MOST
from edgeasc.audit.gate.document import GateReport, Measured, ModelGate
from edgeasc.audit.gate.quantities import known, quantity
from edgeasc.errors import BadInput, CheckFailed, UsageError
from edgeasc.files import read_json, write_text
from edgeasc.specs import Spec, parse_spec

SCHEMA = 1
KIND = "edgeasc baseline"
MAX_BYTES = 64 * 2**20
_Count = Annotated[int, Field(ge=0, le=MOST, strict=True)]
_Number = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]


class LayerRow(Spec):
    """One layer as it was; names that occur twice are one row."""

    name: str
    op: str
    parameters: _Count
    nonzero: _Count
    bytes: _Count
    macs: _Count
    activation_bytes: _Count


class BaselineModel(Spec):
    """One artefact as it was."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    numbers: dict[str, _Number]
    peak_layer: str = ""
    layers: tuple[LayerRow, ...] = ()


class Baseline(Spec):
    """The document; unknown keys are refused."""

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["edgeasc baseline"]
    edgeasc: str
    models: dict[str, BaselineModel]


def read_baseline(path: Path) -> Baseline:
    """The baseline in `path`.

    Raises:
        BadInput: unreadable, no baseline, or one of another schema.
    """
    if path.is_file() and path.stat().st_size > MAX_BYTES:
        raise BadInput("baseline", f"more than {MAX_BYTES // 2**20} MiB", path)
    document = read_json(path, "baseline")
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise BadInput("baseline", f"not a baseline: it says no kind {KIND!r}", path)
    if type(document.get("schema")) is not int or document["schema"] != SCHEMA:
        why = f"schema {document.get('schema')!r}, this edgeasc {edgeasc.__version__} reads {SCHEMA}"
        raise BadInput("baseline", f"{why}; remove the file and write it with --update-baseline", path)
    try:
        baseline = parse_spec(Baseline, document, path, "baseline")
    except UsageError as error:
        raise BadInput("baseline", error.why, path) from None
    for name, model in baseline.models.items():
        strange = [number for number in model.numbers if quantity(number) is None]
        if strange:
            raise BadInput("baseline", f"models.{name}: unknown number {strange[0]!r}", path)
    return baseline


def describe(model: ModelGate, before: BaselineModel | None, ratchet: bool) -> BaselineModel:
    """`model` as a baseline keeps it; under the ratchet every number stays at the better of before and now."""
    if model.audit is None:
        raise CheckFailed("baseline", f"{model.name}: {model.error}")
    numbers = {name: number.value for name, number in model.numbers.items()}
    for name, old in (before.numbers if before and ratchet else {}).items():
        if name in numbers:
            numbers[name] = min(numbers[name], old) if known(name).best == "least" else max(numbers[name], old)
    return BaselineModel(
        sha256=model.audit.sha256, numbers=numbers, peak_layer=model.audit.peak_layer, layers=layer_rows(model)
    )


def layer_rows(model: ModelGate) -> tuple[LayerRow, ...]:
    """The layers of `model` that hold or compute something, in their order, those of one name together."""
    rows: dict[str, dict[str, Any]] = {}
    for layer in model.audit.layers if model.audit else ():
        row = rows.setdefault(layer.name, {"op": layer.op, **dict.fromkeys(_SUMMED, 0), "activation_bytes": 0})
        for key in _SUMMED:
            row[key] += getattr(layer, key)
        row["activation_bytes"] = max(row["activation_bytes"], layer.activation_bytes)
    kept = {name: row for name, row in rows.items() if row["parameters"] or row["macs"]}
    return tuple(LayerRow(name=name, **row) for name, row in kept.items())


_SUMMED = ("parameters", "nonzero", "bytes", "macs")


def write_baseline(path: Path, report: GateReport, before: Baseline | None) -> None:
    """Write what `report` found, in the order of names; what is no longer listed is left out.

    Raises:
        CheckFailed: something in the report does not hold, which no baseline may bless.
    """
    broken = [model.name for model in report.models if not model.passed]
    if broken:
        raise CheckFailed("baseline", f"not written: {', '.join(broken)} must pass first", path)
    old: Mapping[str, BaselineModel] = before.models if before else {}
    models = {
        model.name: describe(model, old.get(model.name), report.ratchet)
        for model in sorted(report.models, key=lambda model: model.name)
        if not model.parts
    }
    write_text(path, dump_baseline(models))


def dump_baseline(models: Mapping[str, BaselineModel]) -> str:
    """The document as text, one line per number and per layer."""
    head = {"schema": SCHEMA, "kind": KIND, "edgeasc": edgeasc.__version__}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    body = ",\n".join(_model_text(name, model) for name, model in models.items())
    return "\n".join(["{", *lines, f' "models": {{\n{body}\n }}', "}"]) + "\n"


def _model_text(name: str, model: BaselineModel) -> str:
    numbers = ",\n".join(f"    {_text(key)}: {_number(value)}" for key, value in sorted(model.numbers.items()))
    layers = ",\n".join(f"    {_text(layer.model_dump())}" for layer in model.layers)
    return (
        f'  {_text(name)}: {{\n   "sha256": {_text(model.sha256)},\n   "peak_layer": {_text(model.peak_layer)},\n'
        f'   "numbers": {{\n{numbers}\n   }},\n   "layers": [\n{layers}\n   ]\n  }}'
    )


def _text(value: Any) -> str:
    return json.dumps(value)  # a path may hold bytes that are no text


def _number(value: float) -> str:
    """Whole numbers without a point."""
    return str(int(value)) if value == int(value) else repr(float(value))


def values(numbers: Mapping[str, object]) -> dict[str, Measured]:
    """The numbers that are known."""
    return {name: number for name, number in numbers.items() if isinstance(number, Measured)}
