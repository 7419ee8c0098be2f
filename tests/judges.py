"""The runtimes that judge our integers, called in process on models we wrote ourselves.

Inputs and outputs are logical, `[B, C, F, T]` or `[B, n]` int8; the files are NHWC with batch 1.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.onnx_write import onnx_bytes

Int8 = NDArray[np.int8]


def _clip_in(values: Int8) -> Int8:
    """One clip `[C, F, T]` as `[1, F, T, C]`."""
    return np.ascontiguousarray(values[None].transpose(0, 2, 3, 1)) if values.ndim == 3 else values[None]


def _clip_out(values: Int8) -> Int8:
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values


def _interpret(interpreter: Any, values: Int8) -> Int8:
    interpreter.allocate_tensors()
    source, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    results = []
    for clip in values:
        interpreter.set_tensor(source, _clip_in(clip))
        interpreter.invoke()
        results.append(_clip_out(interpreter.get_tensor(output).copy()))
    return np.concatenate(results)


def builtin_ref(model: bytes, values: Int8) -> Int8:
    """tflite-runtime 2.14, reference kernels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tflite_runtime.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_REF
    return _interpret(Interpreter(model_content=model, experimental_op_resolver_type=resolver), values)


def litert(model: bytes, values: Int8) -> Int8:
    """LiteRT with XNNPACK, as it comes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ai_edge_litert.interpreter import Interpreter
    return _interpret(Interpreter(model_content=model, num_threads=1), values)


def onnx_runtime(graph: IntegerGraph, values: Int8, optimised: bool) -> Int8:
    """ONNX Runtime on the graph's file, its logits back on the output's grid."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_bytes(graph), options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    output = graph[graph.output]
    real = np.concatenate([session.run(None, {source.name: clip[None]})[0] for clip in values])
    return (np.rint(real / output.scale) + output.zero_point).astype(np.int8)


def tflm(model: bytes, values: Int8, arena_size: int = 40_000_000) -> Int8:
    """TensorFlow Lite Micro, reference kernels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tflite_micro.python.tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena_size)
    results = []
    for clip in values:
        interpreter.set_input(_clip_in(clip), 0)
        interpreter.invoke()
        results.append(_clip_out(np.array(interpreter.get_output(0))))
    return np.concatenate(results)
