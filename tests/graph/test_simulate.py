"""The float simulation against ONNX Runtime on the graph's own QDQ file, and against its definition."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from graph_builder import bcresnet, clips
from one_op import graph_of, tensor

from edgeasc.graph import simulate
from edgeasc.graph.model import Form, IntegerGraph, Rsqrt
from edgeasc.graph.onnx_write import onnx_bytes


def onnx_logits(graph: IntegerGraph, values: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(onnx_bytes(graph), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {graph.input: values})[0])


LAYERS: list[tuple[Form, str]] = [("int8", layer) for layer in ("norm0", "stem", "stage1.0.dw_f")]
LAYERS += [("island", layer) for layer in ("norm0", "stem", "stage1.0.dw_f", "stage1.0.silu", "stage1.0.sum")]


@pytest.mark.parametrize(("form", "layer"), LAYERS)
def test_layers_are_those_of_onnx_runtime(form: Form, layer: str) -> None:
    graph = bcresnet(form, seed=1)
    end = [node.name for node in graph.nodes].index(layer) + 1
    graph = replace(graph, nodes=graph.nodes[:end], output=graph.nodes[end - 1].output)
    inputs, output = clips(graph, 4, 3), graph[graph.output]
    ours = simulate.run(graph, inputs)[output.name]
    theirs = simulate.quantise(onnx_logits(graph, inputs), output)
    # Sums in float32 fall on the other side of a tie now and then, which later layers pass on.
    assert np.mean(theirs != ours) < 0.02 and np.abs(theirs.astype(int) - ours).max() <= 3


def test_half_steps_go_to_the_even_neighbour() -> None:
    steps = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 300.0, -300.0])
    grid = tensor("x", (1, 7), 0.25, 2)
    assert simulate.quantise(steps * 0.25, grid).tolist() == [2, 4, 4, 2, 0, 127, -128]


def test_integers_survive_dequantising_and_quantising() -> None:
    grid = tensor("x", (256,), 0.0371, -19)
    every = np.arange(-128, 128, dtype=np.int8)
    np.testing.assert_array_equal(simulate.quantise(simulate.dequantise(every, grid), grid), every)


def test_the_inverse_root_of_zero_is_the_largest_output() -> None:
    ends = tensor("x", (1, 1, 1, 2), 0.1, -128), tensor("y", (1, 1, 1, 2), 0.1, -128)
    zeros = np.array([-128, -127], dtype=np.int8).reshape(1, 1, 1, 2)
    result = simulate.run(graph_of(Rsqrt("op", ("x",), "y"), *ends), zeros)["y"].ravel()
    assert result.tolist() == [127, round(1 / np.sqrt(0.1) / 0.1) - 128]
