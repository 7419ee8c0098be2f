"""edgeasc: from a folder of recordings to an acoustic scene classifier that provably fits the chip.

The rooms, in the order of the data: `data` (clips), `features` (log-mel), `nn` (architectures), `train`, `compress`
(prune, quantise), `graph` (the integer graph: the waist), `export` (TFLite), `runtime` (predict with any artefact),
`audit` (counts and budgets), `bench` (clocks), `cli`. What is named here is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "audit": "edgeasc.audit",  # a room that can be called: edgeasc.audit(path, ...)
    "check": "edgeasc.audit.gate.run",
    "create_model": "edgeasc.nn",
    "list_models": "edgeasc.nn",
    "load_runner": "edgeasc.runtime",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'edgeasc' has no attribute {name!r}")
    room = importlib.import_module(_PUBLIC[name])
    return room if _PUBLIC[name] == f"edgeasc.{name}" else getattr(room, name)
