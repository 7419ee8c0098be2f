"""Chips that a model may go to, as data: `targets/<name>.toml` says what one offers and what its cycles cost.

A target stands for a core; its numbers are those of one representative chip, which it names with its sources.
`cortex-m4@80MHz` is the target `cortex-m4` at another clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import Field, model_validator

from edgeasc.errors import UsageError
from edgeasc.specs import Spec, nearest, parse_spec, read_toml

NOT_TARGETS = ("networks",)
_CLOCK = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(k|M|G)?Hz", re.IGNORECASE | re.ASCII)
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
SLOWEST, FASTEST = 1e6, 1e10  # Hz; what a clock may be

Kind = Literal["conv", "depthwise", "dense"]


class Band(Spec):
    """A number with what it may be at least and at most."""

    low: float = Field(ge=0)
    typical: float = Field(ge=0)
    high: float = Field(ge=0)

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return dict(zip(("low", "typical", "high"), value, strict=True)) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _ordered(self) -> Band:
        if not self.low <= self.typical <= self.high:
            raise ValueError(f"not in order: {self.low}, {self.typical}, {self.high}")
        return self


class Cycles(Spec):
    """Cycles of the core: per multiply-accumulate by kind, per element written, and per operator.

    `table` is for elements that need an exponential, a root or a division, `move` for those that are copied.
    """

    conv: Band
    depthwise: Band
    dense: Band
    float_conv: Band
    float_depthwise: Band
    float_dense: Band
    element: Band
    table: Band
    move: Band
    operator: Band


class Code(Spec):
    """Bytes of the runtime: its core, each kind of operator, and RAM beside the tensor arena."""

    core: Band
    per_operator: Band
    ram: Band


class Power(Spec):
    """Milliwatts while the chip computes at its own clock, and who says so."""

    milliwatts: Band
    source: str


class Published(Spec):
    """A latency that somebody published for a network of `networks.toml`."""

    network: str
    engine: str
    mhz: float = Field(gt=0)
    milliseconds: float = Field(gt=0)
    dtype: Literal["int8", "float32"] = "int8"
    source: str


class Network(Spec):
    """Multiply-accumulates of one inference by kind of operator."""

    conv: int = Field(0, ge=0)
    depthwise: int = Field(0, ge=0)
    dense: int = Field(0, ge=0)


class Target(Spec):
    """One core with its representative chip.

    Attributes:
        memory: which of the chip's memories the bytes are. runtimes: what runs a file there, by its format.
        accelerator: operator table of a unit beside the core. host: the target whose cycles price what it leaves.
        basis: the model behind an estimate and its error, in words.
    """

    name: str
    title: str
    chip: str
    flash_bytes: int = Field(gt=0)
    ram_bytes: int = Field(gt=0)
    memory: str
    clock_hz: int = Field(gt=0)
    runtimes: dict[Literal["tflite", "onnx"], str] = Field(min_length=1)
    accelerator: str = ""
    host: str = ""
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1)
    basis: str
    cycles: Cycles
    code: Code
    power: Power | None = None
    published: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Placed:
    """A target at the clock that was asked for; `label` is how it was asked."""

    target: Target
    clock_hz: float
    label: str

    @property
    def own_clock(self) -> bool:
        """Whether the clock is the target's own."""
        return self.clock_hz == self.target.clock_hz


def target_names() -> list[str]:
    """The names that `read_target` knows, sorted."""
    files = (item.name for item in _folder().iterdir() if item.name.endswith(".toml"))
    return sorted({name.removesuffix(".toml") for name in files} - set(NOT_TARGETS))


@cache
def read_target(name: str) -> Target:
    """The target called `name`.

    Raises:
        UsageError: no such target; the nearest is named.
    """
    known = target_names()
    if name not in known:
        raise UsageError("target", f"unknown target {name!r}{nearest(name, known)}; known: {', '.join(known)}")
    with resources.as_file(_folder() / f"{name}.toml") as path:
        return parse_spec(Target, read_toml(path, "target"), path, "target")


def place(text: str) -> Placed:
    """The target meant by `text`, such as `cortex-m4` or `cortex-m4@80MHz`.

    Raises:
        UsageError: an unknown target, or a clock that is none.
    """
    name, at, clock = text.strip().partition("@")
    target = read_target(name)
    if not at:
        return Placed(target, float(target.clock_hz), name)
    match = _CLOCK.fullmatch(clock.strip())
    if match is None:
        raise UsageError("target", f"{clock!r} is not a clock; write {name}@80MHz")
    hertz = float(match[1]) * _UNITS[(match[2] or "").lower()]
    if not SLOWEST <= hertz <= FASTEST:
        raise UsageError("target", f"a clock of {clock} is not between 1 MHz and 10 GHz")
    return Placed(target, hertz, f"{name}@{clock.strip()}")


@cache
def read_networks() -> dict[str, Network]:
    """The networks of which latencies are published, by name."""
    with resources.as_file(_folder() / "networks.toml") as path:
        document = read_toml(path, "networks")
    return {name: parse_spec(Network, counts, what="networks") for name, counts in document.items()}


def _folder() -> Any:
    return resources.files("edgeasc") / "targets"
