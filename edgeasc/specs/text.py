"""Specifications as TOML text: read, changed by settings, checked with a hint at what was meant, written."""

from __future__ import annotations

import difflib
import json
import tomllib
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from edgeasc.errors import BadInput, UsageError
from edgeasc.specs.base import Spec
from edgeasc.specs.front_end import FRONT_ENDS, FrontEndSpec, front_end_kind

S = TypeVar("S", bound=Spec)


def nearest(word: str, known: list[str]) -> str:
    """The hint `; did you mean 'x'?` for the closest known word (of equals, the one that ends alike), or nothing."""
    close = difflib.get_close_matches(word, known, n=max(1, len(known)), cutoff=0.5)
    if not close:
        return ""

    def likeness(candidate: str) -> tuple[float, int]:
        alike = (a == b for a, b in zip(reversed(word), reversed(candidate), strict=False))
        ratio = difflib.SequenceMatcher(None, candidate, word).ratio()
        return round(ratio, 6), sum(1 for _ in takewhile(bool, alike))

    return f"; did you mean {max(close, key=likeness)!r}?"


def parse_spec(kind: type[S], document: dict[str, Any], path: Path | None = None, what: str = "recipe") -> S:
    """Validate `document` as `kind`.

    Raises:
        UsageError: the first problem found, with its dotted key and, for an unknown key, the nearest known one.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        found = error.errors()  # a misspelt key is the cause of a missing one, and so is told first
        first = next((item for item in found if item["type"] == "extra_forbidden"), found[0])
        place = [str(part) for part in first["loc"]]
        key = ".".join(part for part in place if part not in FRONT_ENDS)
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "tuple_type":
            said = f"Input should be a list in brackets, such as [{_as_toml(first['input'])}]"
        why = f"{key}: {said}" if key else said
        if first["type"] == "extra_forbidden":
            *section, word = place
            why = f"unknown key {key!r}{nearest(word, _keys(kind, section))}"
        raise UsageError(what, why, path) from None


def _as_toml(value: Any) -> str:
    """A lone value as an item of a TOML list."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def parse_front_end(document: dict[str, Any], path: Path | None = None, what: str = "front end") -> FrontEndSpec:
    """Validate `document` as the front end that it is.

    Raises:
        UsageError: as `parse_spec`.
    """
    kind: type[FrontEndSpec] = FRONT_ENDS[front_end_kind(document)]
    return parse_spec(kind, document, path, what)


def _keys(kind: type[Spec], section: list[str]) -> list[str]:
    """Names allowed in the (nested) section of `kind`; items of lists are sections by their number."""
    fields = kind.model_fields
    for part in section:
        if part.isdecimal():
            continue
        if part in FRONT_ENDS:
            fields = FRONT_ENDS[part].model_fields
            continue
        inner = _section_kind(fields[part].annotation) if part in fields else None
        if inner is None:
            return []
        fields = inner.model_fields
    return list(fields)


def _section_kind(annotation: Any) -> type[BaseModel] | None:
    """The specification in `annotation`, which may be optional or a list of them."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((kind for kind in map(_section_kind, get_args(annotation)) if kind is not None), None)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The TOML document in `path`.

    Raises:
        BadInput: unreadable. UsageError: not TOML.
    """
    try:
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise BadInput(what, error.strerror or str(error), path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(what, f"not TOML ({error})", path) from error


def with_settings(document: dict[str, Any], settings: tuple[str, ...]) -> dict[str, Any]:
    """`document` with each `a.b=value` of `settings` put in; values are TOML, or else plain strings.

    Raises:
        UsageError: a setting without `=` or a key below something that is no section.
    """
    result = json.loads(json.dumps(document))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise UsageError("--set", f"{setting!r} is not of the form section.key=value")
        try:
            value: Any = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        *sections, last = key.strip().split(".")
        place = result
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise UsageError("--set", f"{key!r}: {section!r} is not a section")
        place[last] = value
    return result


def dump_toml(recipe: Spec) -> str:
    """`recipe` as TOML text that `read_toml` and `parse_spec` read back unchanged."""
    lines: list[str] = []
    for section, content in recipe.model_dump(mode="json").items():
        lines.append(f"[{section}]")
        nested = {key: value for key, value in content.items() if isinstance(value, dict)}
        lines += [f"{key} = {json.dumps(value)}" for key, value in content.items() if key not in nested]
        for key, table in nested.items():
            lines.append(f"[{section}.{key}]")
            lines += [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        lines.append("")
    return "\n".join(lines)
