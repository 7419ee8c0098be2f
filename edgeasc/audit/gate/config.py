"""`edgeasc.toml`: which artefacts have which limits, as frozen specifications.

A path is looked for beside the file that names it. In paths of evidence `{folder}` stands for the artefact's folder
and `{stem}` for its name without suffix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from edgeasc.audit.gate.quantities import FIXED, LATENCY, RULE_BYTES, TARGET, quantity
from edgeasc.errors import UsageError
from edgeasc.sizes import parse_size
from edgeasc.specs import Spec, nearest, parse_spec, read_toml

if TYPE_CHECKING:
    from edgeasc.audit.rules import Rule

NAME = "edgeasc.toml"
BASELINE = "edgeasc.baseline.json"
_TIMES = {"us": 1, "ms": 1_000, "s": 1_000_000}
MOST = 2**53  # beyond it a float is no longer exact; no limit, count or time is meant to be larger


def _size(value: Any) -> int:
    if not isinstance(value, str):
        return _whole(value)
    try:
        return parse_size(value)
    except UsageError as error:
        raise ValueError(error.why) from None


def _count(value: Any) -> int:
    if not isinstance(value, str):
        return _whole(value)
    match = re.fullmatch(r"\s*([\d_,]*\d(?:\.\d+)?)\s*([kM]?)\s*", value)
    number = float(re.sub("[_,]", "", match[1])) * {"": 1, "k": 1e3, "M": 1e6}[match[2]] if match else 0.0
    if not 0 < number <= MOST or number != round(number):
        raise ValueError(f"{value!r} is not a count; write a number like 30000000, 500k or 30M")
    return round(number)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MOST:
        raise ValueError("not a positive whole number, or larger than 2^53")
    return value


def _time(value: Any) -> int:
    """Microseconds; a bare number would leave its unit to guess, so that there is none."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(us|ms|s)\s*", value) if isinstance(value, str) else None
    number = float(match[1]) * _TIMES[match[2]] if match else 0.0
    if not 0.5 < number <= MOST:
        raise ValueError(f'{value!r} is not a time; write a number and a unit, like "80 ms", "900 us" or "1.5 s"')
    return round(number)


def _share(value: Any) -> float:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)
        number = float(match[1]) / 100 if match else -1.0
    else:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else -1.0
    if not 0.0 <= number <= 1.0:
        raise ValueError(f'{value!r} is not a share; write it from 0 to 1 or as "75 %"')
    return number


def _own_or_size(value: Any) -> Any:
    return "own" if value is True else _size(value)


Size = Annotated[int, BeforeValidator(_size)]
Count = Annotated[int, BeforeValidator(_count)]
Time = Annotated[int, BeforeValidator(_time)]
Share = Annotated[float, BeforeValidator(_share)]
RuleLimit = Annotated[Literal["own"] | int, BeforeValidator(_own_or_size)]  # "own": what the rule itself allows


class Limits(Spec):
    """What an artefact may cost at most, and must reach at least (accuracies). None: not asked."""

    rules: dict[str, RuleLimit] = {}
    file: Size | None = None
    gzip: Size | None = None
    parameters: Count | None = None
    nonzero: Count | None = None
    nonzero_bytes: Size | None = None
    macs: Count | None = None
    ram: Size | None = None
    arena: Size | None = None
    flash: Size | None = None
    latency: dict[str, Time] = {}  # by target, or target/runtime
    accuracy: Share | None = None
    macro_accuracy: Share | None = None
    worst_class_accuracy: Share | None = None
    worst_device_accuracy: Share | None = None
    targets: tuple[str, ...] = ()  # it must run there: operators known, flash and RAM enough
    parity: bool | tuple[str, ...] = False  # every rung that was climbed; or by name those that must have been

    def over(self, defaults: Limits) -> Limits:
        """These limits, with `defaults` where they say nothing; tables are joined."""
        own = {key: getattr(self, key) for key in self.model_fields_set}
        joined = {key: {**getattr(defaults, key), **getattr(self, key)} for key in ("rules", "latency")}
        return defaults.model_copy(update=own | joined)

    def named(self) -> dict[str, float]:
        """The limits on single numbers by the name of their quantity; rules' own limits apart."""
        found: dict[str, float] = {
            f"{name}{RULE_BYTES}": limit for name, limit in self.rules.items() if isinstance(limit, int)
        }
        for name in FIXED:
            limit = getattr(self, name)
            if name != "parity" and limit is not None:
                found[name] = limit
        found |= {f"{LATENCY}{target}": limit for target, limit in self.latency.items()}
        found |= {f"{TARGET}{target}": 0 for target in self.targets}
        return found | ({"parity": 0} if self.parity else {})


class ModelEntry(Spec):
    """Artefacts under the same limits, by one or more globs, and where evidence about them lies."""

    path: str | tuple[str, ...]
    name: str | None = None  # for a single artefact; otherwise its path
    limits: Limits = Limits()
    system: str | None = None  # artefacts of one system are judged together by rules that limit one
    forbid: tuple[str, ...] = ()  # findings that fail, such as W102
    evaluate: str = "{folder}/evaluate.json"
    parity: str = "{folder}/parity.json"
    bench: str = "{folder}/bench*.json"  # a glob


class RatchetSpec(Spec):
    """Numbers that must not get worse than the baseline's, and by which share each may."""

    enabled: bool = False
    numbers: tuple[str, ...] = ("parameters", "nonzero_bytes", "file", "macs", "ram")
    tolerance: dict[str, Share] = {}

    @field_validator("numbers", "tolerance")
    @classmethod
    def _known(cls, names: Any) -> Any:
        for name in names:
            if quantity(name) is None:
                raise ValueError(f"unknown number {name!r}{nearest(name, list(FIXED))}")
        return names


class GateConfig(Spec):
    """The whole file."""

    schema_: Literal[1] = Field(1, alias="schema")
    baseline: str = BASELINE
    headroom: Share = 0.05  # of a limit; a limit that has less left is warned of
    estimates: Literal["typical", "high"] = "typical"  # which end of an estimated time is judged
    limits: Limits = Limits()  # for every artefact
    ratchet: RatchetSpec = RatchetSpec()
    models: tuple[ModelEntry, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Config:
    """A configuration and the folder that its paths start from."""

    path: Path
    spec: GateConfig
    _rules: dict[str, Rule] = field(default_factory=dict, repr=False, compare=False)  # as they were first read

    @property
    def root(self) -> Path:
        """The folder of the file."""
        return self.path.parent

    def rule(self, name: str) -> Rule:
        """The rule called `name`; a file of the user's own lies beside the configuration.

        Raises:
            UsageError: no such rule, or none at all. BadInput: a file that cannot be read.
        """
        from edgeasc.audit.rules import read_rule

        if name not in self._rules:
            self._rules[name] = read_rule(str(self.root / name) if name.endswith(".toml") else name)
        return self._rules[name]


def read_config(path: Path) -> Config:
    """The configuration in `path`.

    Raises:
        UsageError: no such file, not TOML, an unknown key (the nearest is named) or a value that is no limit.
    """
    if not path.is_file():
        hint = 'no such file; it lists artefacts and limits: [[models]] path = "models/*.tflite" and [models.limits]'
        raise UsageError("config", hint, path)
    config = Config(path, parse_spec(GateConfig, read_toml(path, "config"), path, "config"))
    try:
        _check_names(config)
    except UsageError as error:
        raise UsageError("config", f"{error.what}: {error.why}", path) from None
    return config


def _check_names(config: Config) -> None:
    """Every rule, target and finding that is named exists, and a rule allows something where its own limits are meant.

    Raises:
        UsageError: one does not; the nearest is named.
    """
    from edgeasc.audit.findings import explain
    from edgeasc.audit.targets import place

    for limits in (config.spec.limits, *(entry.limits for entry in config.spec.models)):
        for name, limit in limits.rules.items():
            rule = config.rule(name)
            if limit == "own" and not rule.allowed:
                raise UsageError("rules", f'{name} states no limit of its own; write one, like {name} = "128kB"')
        for target in limits.targets:
            place(target)
    for entry in config.spec.models:
        for code in entry.forbid:
            explain(code)


__all__ = ["BASELINE", "NAME", "Config", "GateConfig", "Limits", "ModelEntry", "RatchetSpec", "read_config"]
