"""The NNCF library behind a late import: quiet, without a compiler, without telemetry.

Its import takes seconds, so that it happens only where the engine `nncf` runs. Written against nncf 3.4; what is used
beyond its public functions (hook storage, quantiser classes) is named here and in `nncf_grids`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import warnings
from collections.abc import Iterator
from types import ModuleType

from edgeasc.extras import missing


def require_nncf() -> None:
    """Refuse at once, before any work, where NNCF is not installed; nothing is imported.

    Raises:
        MissingDependency: nncf is not installed.
    """
    error = missing("nncf") if importlib.util.find_spec("nncf") is None else None
    if error is not None:
        raise error


def load_nncf() -> ModuleType:
    """The module `nncf`, ready for torch.

    Its quantisers run NNCF's own reference functions: the compiled ones need g++ and two minutes, and a compilation
    that is cut short leaves a lock behind on which every later process waits.

    Raises:
        MissingDependency: nncf is not installed.
    """
    try:
        with quiet(), _without_telemetry():
            import nncf
            import nncf.torch
            from nncf.torch.quantization import extensions
            from nncf.torch.quantization.reference import torch_executor
    except ModuleNotFoundError as error:
        raise missing(error.name) or error from None
    nncf.set_log_level(logging.ERROR)

    class Uncompiled:
        Quantize_forward = staticmethod(torch_executor.forward)
        Quantize_backward = staticmethod(torch_executor.backward)

    for functions in (extensions.QuantizedFunctionsCPU, extensions.QuantizedFunctionsCUDA):
        functions._loaded_namespace = Uncompiled
    return nncf


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and the warnings that NNCF writes (standard output belongs to our reports)."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """NNCF reports its use to a server unless this variable is set while it is imported."""
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["NNCF_CI"]
        else:
            os.environ["NNCF_CI"] = before
