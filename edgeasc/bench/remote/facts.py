"""What a device says of itself, taken apart: known keys, plain values, and text without control characters."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from edgeasc.runtime.catalogue import RUNTIMES

LONGEST_TEXT = 200
MOST_ENTRIES = 256
MOST_SIDES, MOST_VALUES = 8, 2**26  # of a model's input or output
DTYPES = ("float32", "int8", "uint8")
TEXTS = ("board", "cpu", "architecture", "governor", "system", "distribution", "python", "numpy")
NUMBERS = ("logical_cores", "usable_cores", "memory_bytes", "max_mhz", "pid")
_UNDER_VOLTAGE, _CAPPED, _THROTTLED, _SOFT_LIMIT = 1, 2, 4, 8  # of a Raspberry Pi's firmware, just now


def parse_facts(found: Any) -> dict[str, Any]:
    """The facts of a device as plain values; what it did not say is None.

    Raises:
        TypeError, ValueError: not what `device.py` sends.
    """
    told = _object(found)
    runtimes = {
        name: {"package": _text(entry.get("package")), "version": _text(entry.get("version"))}
        for name, entry in ((name, _object(value)) for name, value in _object(told.get("runtimes")).items())
        if name in RUNTIMES
    }
    texts = {name: _text(told.get(name)) for name in TEXTS}
    return texts | {name: _number(told.get(name)) for name in NUMBERS} | {"runtimes": runtimes}


def parse_conditions(found: Any) -> dict[str, Any]:
    """Temperatures, clocks, load and signs of throttling of a device as plain values.

    Raises:
        TypeError, ValueError: not what `device.py` sends.
    """
    told = _object(found)
    signs = _object(told.get("throttling"))
    throttling: dict[str, Any] = {name: int(_real(signs[name])) for name in ("firmware", "events") if name in signs}
    if "cooling" in signs:
        throttling["cooling"] = _numbers(signs["cooling"])
    return {
        "celsius": _numbers(told.get("celsius")),
        "mhz": [_real(value) for value in _list(told.get("mhz"))],
        "load_average": [_real(value) for value in _list(told.get("load_average"))],
        "throttling": throttling,
    }


def parse_info(found: Any) -> dict[str, Any]:
    """What a device tells of the model that it loaded: `input` and `output` ports, `version`, `notes`.

    Raises:
        TypeError, ValueError: not what `device.py` sends, or a port that no model of edgeasc has.
    """
    told = _object(found)
    notes = {str(_text(name)): _plain(value) for name, value in _object(told.get("notes")).items()}
    ports = {side: _port(told.get(side)) for side in ("input", "output")}
    return {**ports, "version": _text(told.get("version")) or "", "notes": notes}


def _port(found: Any) -> dict[str, Any]:
    told = _object(found)
    shape = [_whole(side) for side in _list(told.get("shape"))]
    if (
        told.get("dtype") not in DTYPES
        or len(shape) > MOST_SIDES
        or math.prod(max(side, 1) for side in shape) > MOST_VALUES
    ):
        raise ValueError(f"a port of {told.get('dtype')} {shape}")
    return {
        "shape": shape,
        "dtype": told["dtype"],
        "scale": float(_real(told.get("scale"))),
        "zero_point": int(_real(told.get("zero_point"))),
    }


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("not a size")
    return value


def _plain(value: Any) -> str | float | None:
    return _text(value) if value is None or isinstance(value, str) else _real(value)


def hottest(samples: Iterable[dict[str, Any]]) -> float | None:
    """The highest temperature of any sensor in degrees Celsius."""
    return max((value for sample in samples for value in sample["celsius"].values()), default=None)


def throttled(samples: list[dict[str, Any]]) -> bool | None:
    """Whether the device was slowed down between the first and the last sample; None where it cannot tell."""
    signs = [sample["throttling"] for sample in samples]
    if not any(signs):
        return None
    now = any(sign.get("firmware", 0) & (_UNDER_VOLTAGE | _CAPPED | _THROTTLED | _SOFT_LIMIT) for sign in signs)
    counts = [sign["events"] for sign in signs if "events" in sign]
    return now or any(sign.get("cooling") for sign in signs) or (bool(counts) and counts[-1] > counts[0])


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MOST_ENTRIES:
        raise TypeError("not an object")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value[:MOST_ENTRIES]


def _numbers(value: Any) -> dict[str, float]:
    return {str(_text(name)): _real(number) for name, number in _object(value).items()}


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value and "".join(c if c.isprintable() else "?" for c in value[:LONGEST_TEXT])


def _number(value: Any) -> float | None:
    return None if value is None else _real(value)


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError("not a number")
    return value
