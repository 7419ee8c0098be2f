"""Load an artefact and give `predict(features) -> logits`; native runtimes run in a child process.

`runner` is what callers use, `artefact` what a file says about itself, `catalogue` which runtimes there are.
`child` and `frames` are this side of the pipe, `worker`, `backends`, `tflite` and `tflm` the other. The worker imports
this package, so that nothing is imported here before it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {"load_runner": "runner", "Runner": "runner", "predict_files": "predict"}
__all__ = ["Runner", "load_runner", "predict_files"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
