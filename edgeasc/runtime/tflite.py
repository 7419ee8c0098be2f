"""LiteRT and tflite-runtime behind the worker's `Backend`: optimised kernels with XNNPACK, or the reference kernels."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

import numpy as np

from edgeasc.runtime.backends import Array, Info, Port

MODULES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}


class TFLiteBackend:
    """A TFLite interpreter with static shapes and one input.

    Args:
        runtime: `litert`, `tflite-runtime` or `tflite-reference`; the last takes the reference kernels.
        package: `ai-edge-litert` or `tflite-runtime`.
        payload: the flatbuffer. threads: of XNNPACK and the optimised kernels.
    """

    def __init__(self, runtime: str, package: str, payload: bytes, threads: int) -> None:
        module = importlib.import_module(MODULES[package])
        resolver = module.OpResolverType
        kind = resolver.BUILTIN_REF if runtime == "tflite-reference" else resolver.AUTO
        self._interpreter = module.Interpreter(
            model_content=payload, num_threads=threads, experimental_op_resolver_type=kind
        )
        self._interpreter.allocate_tensors()
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or not outputs:
            raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs; edgeasc takes one input")
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        kernels = "reference" if runtime == "tflite-reference" else "optimised"
        self.info = Info(
            tflite_port(inputs[0]),
            tflite_port(outputs[0]),
            metadata.version(package),
            {"kernels": kernels, "package": package},
        )

    def run(self, item: Array) -> Array:
        self._interpreter.set_tensor(self._input, item)
        self._interpreter.invoke()
        result: Array = self._interpreter.get_tensor(self._output)
        return result


def tflite_port(details: dict[str, Any]) -> Port:
    """A `Port` from the details dictionary that all three TFLite interpreters share."""
    dtype = np.dtype(details["dtype"]).name
    if dtype not in ("float32", "int8", "uint8"):
        raise ValueError(f"a tensor of type {dtype}; edgeasc takes float32, int8 and uint8")
    scales = np.atleast_1d(details["quantization_parameters"]["scales"])
    zeros = np.atleast_1d(details["quantization_parameters"]["zero_points"])
    shape = tuple(int(d) for d in details["shape"])
    if len(scales) == 0 or dtype == "float32":
        return Port(shape, dtype)
    return Port(shape, dtype, float(scales[0]), int(zeros[0]))
