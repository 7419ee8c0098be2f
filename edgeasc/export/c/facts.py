"""Whether the facts in a C folder's `model.json` can be true: asked before anything is sized or run by them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from edgeasc.errors import BadInput
from edgeasc.graph.model import Form

MOST = 2**31 - 1  # bytes, elements, multiply-accumulates of a layer
_ARENA = re.compile(r"^#define SCENE_ARENA_BYTES (\d+)$", re.MULTILINE)


def check_facts(facts: Mapping[str, Any], header: str, path: Path | None = None) -> None:
    """Refuse facts that cannot be, or that the header `scene.h` contradicts.

    Raises:
        BadInput: a shape, a layer, the form or a size, in one line.
    """
    wrong = next((what for what, holds in _claims(facts, header) if not holds), None)
    if wrong:
        raise BadInput("C folder", f"model.json is malformed: {wrong}", path)


def _claims(facts: Mapping[str, Any], header: str) -> list[tuple[str, bool]]:
    layers, arena = facts.get("layers"), _ARENA.search(header)
    whole = isinstance(layers, list) and bool(layers)
    return [
        ("the shape of an input or output", all(_is_port(facts.get(name)) for name in ("input", "output"))),
        ("its form", facts.get("form") in get_args(Form)),
        ("its layers", whole and all(_is_layer(layer) for layer in layers or ())),
        ("its constants", _is_count(facts.get("constant_bytes"), 0)),
        ("its arena", arena is not None and facts.get("arena_bytes") == int(arena[1]) and int(arena[1]) <= MOST),
    ]


def _is_count(value: object, least: int) -> bool:
    return type(value) is int and least <= value <= MOST


def _is_port(port: object) -> bool:
    shape = port.get("shape") if isinstance(port, dict) else None
    return isinstance(shape, list) and bool(shape) and all(_is_count(side, 1) for side in shape) and (
        math.prod(shape) <= MOST
    )  # fmt: skip


def _is_layer(layer: object) -> bool:
    if not isinstance(layer, dict):
        return False
    name = layer.get("name")
    return isinstance(name, str) and name.isprintable() and _is_count(layer.get("macs"), 0)
