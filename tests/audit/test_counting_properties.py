"""Laws that counting obeys on every graph: sums, names, order, and one weight more or less.

Graphs are random chains with side branches of convolutions and dense layers, written to real .tflite and .onnx files.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tflite_file import Op, T, tflite_file

from edgeasc.audit.stored_count import StoredCount, count_stored
from edgeasc.graph.onnx_stored import read_stored_onnx
from edgeasc.graph.stored import StoredModel
from edgeasc.graph.tflite_read import read_tflite


@dataclass(frozen=True)
class Layer:
    """A dense layer `name`: weights [n_out, n_in] and a bias, reading what layer number `reads` wrote (-1: input)."""

    name: str
    reads: int
    weights: np.ndarray
    bias: np.ndarray
    zero: int


@st.composite
def networks(draw: st.DrawFn, prefix: str = "l") -> list[Layer]:
    layers: list[Layer] = []
    for number in range(draw(st.integers(1, 6))):
        reads = draw(st.integers(-1, number - 1))
        n_in = 3 if reads < 0 else len(layers[reads].bias)
        n_out = draw(st.integers(1, 5))
        values = st.integers(-3, 3)
        weights = draw(st.lists(values, min_size=n_in * n_out, max_size=n_in * n_out))
        bias = draw(st.lists(values, min_size=n_out, max_size=n_out))
        zero = draw(st.integers(-2, 2))
        layers.append(Layer(f"{prefix}{number}", reads, np.array(weights).reshape(n_out, n_in), np.array(bias), zero))
    return layers


def tflite_of(networks: list[list[Layer]]) -> bytes:
    """All networks side by side in one file, each with its own input."""
    tensors, operators, inputs, outputs = [], [], [], []
    for layers in networks:
        source = f"{layers[0].name}.in"
        tensors.append(T(source, (1, 3), scale=0.1))
        inputs.append(source)
        for layer in layers:
            read = source if layer.reads < 0 else layers[layer.reads].name
            tensors += [
                T(f"{layer.name}.w", layer.weights.shape, "int8", layer.weights, 0.1, layer.zero),
                T(f"{layer.name}.b", layer.bias.shape, "int32", layer.bias, 0.1),
                T(layer.name, (1, len(layer.bias)), scale=0.1),
            ]
            names = [read, f"{layer.name}.w", f"{layer.name}.b"]
            operators.append(Op("FULLY_CONNECTED", names, [layer.name], "FullyConnectedOptions"))
            outputs.append(layer.name)
    return tflite_file(tensors, operators, inputs, outputs)


def counted_tflite(networks: list[list[Layer]]) -> StoredCount:
    return count_stored(read_tflite(tflite_of(networks)))


def counted_onnx(networks: list[list[Layer]]) -> StoredCount:
    """The same networks as quantised Gemms of an ONNX file, all shapes declared."""
    nodes, constants, inputs, known = [], [], [], []
    scalars = {"s": np.array(0.1, np.float32), "z": np.array(0, np.int8)}
    constants += [numpy_helper.from_array(value, name) for name, value in scalars.items()]
    for layers in networks:
        source = f"{layers[0].name}.in"
        inputs.append(helper.make_tensor_value_info(source, TensorProto.INT8, [1, 3]))
        for layer in layers:
            read = source if layer.reads < 0 else layers[layer.reads].name
            arrays = {
                "w": layer.weights.astype(np.int8),
                "b": layer.bias.astype(np.int32),
                "z": np.array(layer.zero, np.int8),
            }
            constants += [numpy_helper.from_array(value, f"{layer.name}.{key}") for key, value in arrays.items()]
            places = [read, "s", "z", f"{layer.name}.w", "s", f"{layer.name}.z", f"{layer.name}.b", "s", "z"]
            nodes.append(helper.make_node("QGemm", places, [layer.name], transB=1, domain="com.microsoft"))
            known.append(helper.make_tensor_value_info(layer.name, TensorProto.INT8, [1, len(layer.bias)]))
    graph = helper.make_graph(nodes, "g", inputs, known, constants)
    return count_stored(read_stored_onnx(helper.make_model(graph).SerializeToString(), shapes=False))


COUNTERS = [counted_tflite, counted_onnx]


def numbers(count: StoredCount) -> tuple[Any, ...]:
    """Everything that adds up."""
    apart = {item.what: item.elements for item in count.apart if item.what != "single constants"}
    return count.parameters, count.macs, count.torchinfo_macs, dict(count.operators), apart


@pytest.mark.parametrize("counter", COUNTERS)
@settings(max_examples=60, deadline=None)
@given(layers=networks())
def test_counts_are_the_sums_over_the_layers(counter: Any, layers: list[Layer]) -> None:
    count = counter([layers])
    weights = [layer.weights != layer.zero for layer in layers]
    biases = [layer.bias != 0 for layer in layers]
    assert count.parameters.total == sum(item.size for item in (*weights, *biases))
    assert count.parameters.nonzero == sum(int(item.sum()) for item in (*weights, *biases))
    assert count.parameters.nonzero_bytes == sum(
        int(w.sum()) + 4 * int(b.sum()) for w, b in zip(weights, biases, strict=True)
    )
    assert count.macs == sum(layer.weights.size for layer in layers)


@pytest.mark.parametrize("counter", COUNTERS)
@settings(max_examples=60, deadline=None)
@given(first=networks("a"), second=networks("b"))
def test_counts_add_up_over_graphs_side_by_side(counter: Any, first: list[Layer], second: list[Layer]) -> None:
    one, two, both = counter([first]), counter([second]), counter([first, second])
    for name in ("total", "nonzero", "nonzero_bytes", "bytes"):
        assert getattr(both.parameters, name) == getattr(one.parameters, name) + getattr(two.parameters, name)
    assert both.macs == one.macs + two.macs
    assert both.torchinfo_macs == one.torchinfo_macs + two.torchinfo_macs
    assert both.operators == one.operators + two.operators


@pytest.mark.parametrize("counter", COUNTERS)
@settings(max_examples=40, deadline=None)
@given(layers=networks())
def test_a_graph_beside_its_own_copy_counts_twice(counter: Any, layers: list[Layer]) -> None:
    copy = [replace(layer, name=f"copy of {layer.name}") for layer in layers]
    once, twice = counter([layers]), counter([layers, copy])
    assert twice.parameters.nonzero == 2 * once.parameters.nonzero
    assert twice.macs == 2 * once.macs


@pytest.mark.parametrize("counter", COUNTERS)
@settings(max_examples=60, deadline=None)
@given(layers=networks(), data=st.data())
def test_names_of_tensors_change_nothing(counter: Any, layers: list[Layer], data: st.DataObject) -> None:
    letters = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
    names = data.draw(st.lists(letters, min_size=len(layers), max_size=len(layers), unique=True))
    renamed = [replace(layer, name=f"n.{name}.{i}") for i, (layer, name) in enumerate(zip(layers, names, strict=True))]
    one, two = counter([layers]), counter([renamed])
    assert numbers(one) == numbers(two)
    assert one.memory.live == two.memory.live


def in_order(model: StoredModel, order: list[int]) -> StoredModel:
    return replace(model, operators=tuple(model.operators[number] for number in order))


@settings(max_examples=80, deadline=None)
@given(layers=networks(), data=st.data())
def test_the_order_of_operators_changes_no_count(layers: list[Layer], data: st.DataObject) -> None:
    model = read_tflite(tflite_of([layers]))
    order: list[int] = []
    while len(order) < len(layers):  # any order in which the layers can run
        ready = [i for i, layer in enumerate(layers) if i not in order and (layer.reads < 0 or layer.reads in order)]
        order.append(data.draw(st.sampled_from(ready)))
    stored, moved = count_stored(model), count_stored(in_order(model, order))
    assert numbers(stored) == numbers(moved)
    assert stored.memory.best_peak == moved.memory.best_peak


@pytest.mark.parametrize("counter", COUNTERS)
@settings(max_examples=80, deadline=None)
@given(layers=networks(), data=st.data())
def test_pruning_one_weight_lowers_nonzero_by_exactly_one(
    counter: Any, layers: list[Layer], data: st.DataObject
) -> None:
    alive = [(i, int(j)) for i, layer in enumerate(layers) for j in np.flatnonzero(layer.weights != layer.zero)]
    if not alive:
        return
    where, index = data.draw(st.sampled_from(alive))
    weights = layers[where].weights.copy()
    weights.ravel()[index] = layers[where].zero
    pruned = [*layers]
    pruned[where] = replace(layers[where], weights=weights)
    before, after = counter([layers]).parameters, counter([pruned]).parameters
    assert (after.total, after.nonzero, after.nonzero_bytes) == (
        before.total,
        before.nonzero - 1,
        before.nonzero_bytes - 1,
    )
