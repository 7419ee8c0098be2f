"""One native runtime each, with one model loaded: what the worker process calls.

Arrays are in the artefact's own layout and type, one item at a time. Only the worker imports this module's functions'
packages; a refusal by a runtime is any exception that it raises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
OPTIMISATIONS = ("disable", "basic", "extended", "all")
_ONNX_TYPES = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}


@dataclass(frozen=True)
class Port:
    """Input or output of a loaded model; `scale` 0 where the runtime knows of no quantisation."""

    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Info:
    """What a backend tells about the model it loaded."""

    input: Port
    output: Port
    version: str = ""
    notes: dict[str, Any] = field(default_factory=dict)


class Backend(Protocol):
    """A loaded model."""

    info: Info

    def run(self, item: Array) -> Array:
        """The output for one input, both in the artefact's own layout."""


class OnnxRuntimeBackend:
    """ONNX Runtime on the CPU, with a fixed thread count."""

    def __init__(self, payload: bytes, threads: int, options: dict[str, Any]) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        settings.log_severity_level = 3
        # Else it computes most quantised layers of a file like ours in float: on x86 it wants uint8 activations.
        settings.add_session_config_entry("session.qdqisint8allowed", "1")
        level = str(options.get("optimisation", "all"))
        settings.graph_optimization_level = getattr(
            onnxruntime.GraphOptimizationLevel, f"ORT_{'DISABLE' if level == 'disable' else 'ENABLE'}_{_level(level)}"
        )
        self._session = onnxruntime.InferenceSession(payload, settings, providers=["CPUExecutionProvider"])
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or not outputs:
            raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs; edgeasc takes one input")
        self._input, self._output = inputs[0].name, outputs[0].name
        self.info = Info(
            _onnx_port(inputs[0]), _onnx_port(outputs[0]), onnxruntime.__version__, {"optimisation": level}
        )

    def run(self, item: Array) -> Array:
        result: Array = self._session.run([self._output], {self._input: item})[0]
        return result


class TorchBackend:
    """The float network of a run folder in torch, eager."""

    def __init__(self, path: Path, threads: int) -> None:
        import torch

        from edgeasc.train.run import load_network

        torch.set_num_threads(threads)
        self._torch = torch
        self._network = load_network(path)[0]
        self.info = Info(Port((), "float32"), Port((), "float32"), torch.__version__)

    def run(self, item: Array) -> Array:
        with self._torch.inference_mode():
            result: Array = self._network(self._torch.from_numpy(np.ascontiguousarray(item))).numpy()
        return result


def load(runtime: str, package: str, payload: bytes, path: str, threads: int, options: dict[str, Any]) -> Backend:
    """Load a model, given as bytes or (torch) as a run folder, into `runtime` from `package`.

    Raises:
        ImportError: the package is absent. Anything else: the runtime refuses the model.
    """
    if runtime == "onnxruntime":
        return OnnxRuntimeBackend(payload, threads, options)
    if runtime == "torch":
        return TorchBackend(Path(path), threads)
    if runtime == "tflm":
        from edgeasc.runtime.tflm import MicroBackend

        return MicroBackend(payload)
    if runtime == "native-c":
        from edgeasc.runtime.native_c import NativeCBackend

        return NativeCBackend(payload, bool(options.get("sanitise", True)))
    from edgeasc.runtime.tflite import TFLiteBackend

    return TFLiteBackend(runtime, package, payload, threads)


def _level(level: str) -> str:
    if level not in OPTIMISATIONS:
        raise ValueError(f"optimisation level {level!r} is none of {', '.join(OPTIMISATIONS)}")
    return "ALL" if level == "disable" else level.upper()


def _onnx_port(value: Any) -> Port:
    if value.type not in _ONNX_TYPES:
        raise ValueError(f"{value.name!r} is of type {value.type}; edgeasc takes float32, int8 and uint8")
    # A dimension without a number is the batch, or one that the caller's input decides.
    return Port(tuple(d if isinstance(d, int) else 0 for d in value.shape), _ONNX_TYPES[value.type])
