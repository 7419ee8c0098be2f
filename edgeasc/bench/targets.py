"""What may stand behind `bench --target`: a kind, and for most kinds a name behind a colon."""

from __future__ import annotations

from collections.abc import Iterable

from edgeasc.bench.mcu.boards import BOARDS
from edgeasc.bench.remote.address import parse_address
from edgeasc.bench.vela import find_unit
from edgeasc.errors import UsageError
from edgeasc.specs import nearest

ALONE = ("host", "native-c", "tflm")
FREE = {"serial": "PORT"}  # kinds whose names are the user's own
EXAMPLES = (*ALONE, *(f"qemu:{name}" for name in BOARDS), "vela:ethos-u55-128", "ssh://user@host")


def parse_targets(targets: Iterable[str]) -> dict[str, list[str]]:
    """Names by kind, in the order given: `host` and `qemu:cortex-m4` are `{"host": [""], "qemu": ["cortex-m4"]}`.

    Nothing given is `host`.

    Raises:
        UsageError: a target that is not known.
    """
    found: dict[str, list[str]] = {}
    for target in tuple(targets) or ("host",):
        kind, _, name = target.partition(":")
        if kind == "ssh":
            parse_address(name := target)
        elif kind == "vela":
            find_unit(name)
        elif target not in EXAMPLES and not (kind in FREE and name):
            known = ", ".join((*EXAMPLES, *(f"{free}:{what}" for free, what in FREE.items())))
            raise UsageError("--target", f"{target!r} is not known{nearest(target, list(EXAMPLES))}; known: {known}")
        found.setdefault(kind, []).append(name)
    return found
