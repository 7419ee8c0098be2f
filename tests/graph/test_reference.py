"""A whole seeded network: the numpy reference against every runtime."""

from dataclasses import replace

import numpy as np
import pytest
from graph_builder import bcresnet, clips
from judges import builtin_ref, litert, tflm

from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import reference, simulate
from edgeasc.graph.model import IntegerGraph, MaxPool, Node


def upto(graph: IntegerGraph, name: str) -> IntegerGraph:
    """The graph cut off after the node `name`."""
    end = [node.name for node in graph.nodes].index(name) + 1
    return replace(graph, nodes=graph.nodes[:end], output=graph.nodes[end - 1].output)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("layer", ["norm0", "stem", "stage1.0.dw_f", "stage1.norm", "stage2.1.sum", "head", "logits"])
def test_int8_form_equals_both_runtimes(layer: str, seed: int) -> None:
    graph = upto(bcresnet("int8", seed=seed), layer)
    inputs = clips(graph, 6, seed)
    ours, model = reference.run(graph, inputs)[graph.output], tflite_bytes(graph)
    assert len(np.unique(ours)) > (8 if layer == "logits" else 60)
    np.testing.assert_array_equal(builtin_ref(model, inputs), ours)
    np.testing.assert_array_equal(tflm(model, inputs), ours)


@pytest.mark.parametrize("layer", ["norm0", "stem", "stage1.0.dw_f"])
def test_litert_rounds_once_as_the_simulation_does(layer: str) -> None:
    graph = upto(bcresnet("int8", seed=1), layer)
    inputs = clips(graph, 6, 5)
    steps = litert(tflite_bytes(graph), inputs).astype(int) - simulate.run(graph, inputs)[graph.output]
    assert np.abs(steps).max() <= 2 and np.mean(steps != 0) <= 0.02  # ties in float32


@pytest.mark.parametrize("seed", range(3))
def test_litert_computes_islands_as_the_simulation_does(seed: int) -> None:
    graph = bcresnet("island", seed=seed)
    inputs = clips(graph, 8, 5)
    steps = litert(tflite_bytes(graph), inputs).astype(int) - simulate.run(graph, inputs)[graph.output]
    assert np.abs(steps).max() <= 3 and np.mean(np.abs(steps)) <= 0.5


def test_island_form_is_nearer_to_the_simulation_than_double_rounding() -> None:
    def wrong(form: str) -> float:
        graph = bcresnet(form, seed=2)  # type: ignore[arg-type]
        inputs = clips(graph, 8, 5)
        ours, theirs = reference.run(graph, inputs), simulate.run(graph, inputs)
        return float(np.mean([np.mean(ours[node.output] != theirs[node.output]) for node in graph.nodes]))

    assert wrong("island") < 0.1 * wrong("int8")


def test_clips_of_a_batch_do_not_meet() -> None:
    graph = bcresnet("island", seed=3)
    inputs = clips(graph, 5)
    together = reference.run(graph, inputs)
    for i in range(5):
        alone = reference.run(graph, inputs[i : i + 1])
        for node in graph.nodes:
            np.testing.assert_array_equal(alone[node.output][0], together[node.output][i])


def test_logits_are_the_dequantised_output() -> None:
    graph = bcresnet("int8", seed=0)
    inputs, output = clips(graph, 3), graph[graph.output]
    integers = reference.run(graph, inputs)[graph.output].astype(np.float32)
    logits = reference.logits(graph, inputs)
    assert logits.dtype == np.float32 and logits.shape == (3, 3)
    np.testing.assert_array_equal(logits, (integers - output.zero_point) * output.scale)


def test_logits_do_not_depend_on_batching(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = bcresnet("int8", seed=0)
    inputs = clips(graph, 5)
    whole = reference.logits(graph, inputs)
    monkeypatch.setattr(reference, "CACHED_VALUES", 1)
    np.testing.assert_array_equal(reference.logits(graph, inputs), whole)
    assert reference.logits(graph, inputs[:0]).shape == (0, 3)


def test_every_tensor_is_returned() -> None:
    graph = bcresnet("int8", seed=0)
    tensors = reference.run(graph, clips(graph, 2))
    assert set(tensors) == set(graph.tensors)
    assert all(values.dtype == np.int8 for values in tensors.values())
    assert all(tensors[node.output].shape[1:] == graph[node.output].shape[1:] for node in graph.nodes)


@pytest.mark.parametrize("values", [np.zeros((1, 1, 32, 20), np.float32), np.zeros((1, 1, 32, 21), np.int8)])
def test_a_wrong_input_is_refused(values: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"int8 \[B, 1, 32, 20\] expected"):
        reference.run(bcresnet("int8"), values)


def test_an_unknown_operator_is_refused_by_name() -> None:
    class Softmax(Node):
        op_name = "softmax"

    graph = bcresnet("int8")
    strange = IntegerGraph("int8", "input", "out", graph.tensors, (Softmax("head.softmax", ("input",), "out"),))
    for refuse in (reference.Reference, tflite_bytes):
        with pytest.raises(BadInput, match=r"head\.softmax"):
            refuse(strange)


def test_max_pool_keeps_scale_in_the_simulation() -> None:
    graph = bcresnet("int8", seed=0)
    inputs = clips(graph, 2)
    ours, theirs = reference.run(graph, inputs), simulate.run(graph, inputs)
    (pool,) = (node for node in graph.nodes if isinstance(node, MaxPool))
    source = theirs[pool.inputs[0]]
    windows = source[:, :, :16, :10].reshape(2, source.shape[1], 8, 2, 5, 2)
    assert ours[pool.output].shape == theirs[pool.output].shape
    np.testing.assert_array_equal(theirs[pool.output], windows.max(axis=(3, 5)))
