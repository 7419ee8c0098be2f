"""Counts of graphs worked out by hand."""

import numpy as np
from graph_builder import GraphBuilder, bcresnet
from one_op import graph_of, tensor

from edgeasc.graph.count import count, live_bytes
from edgeasc.graph.model import Add, Conv, IntegerGraph, Mean, Mul


def banded_conv() -> IntegerGraph:
    """Depth-wise 3x1 on [2, 8, 5] in four bands; channel 1 vanishes in every band; two biases are zero."""
    weight = np.array([[3, 0, -1], [1, 1, 1]], dtype=np.int8).reshape(2, 1, 3, 1)
    sign = np.array([[1, 0], [-1, 0], [0, 0], [1, 0]], dtype=np.int8)
    bias = np.array([[1, 2], [0, 3], [4, 5], [6, 0]], dtype=np.int32)
    node = Conv(
        "dw",
        ("x",),
        "y",
        weight=weight,
        scale=np.ones((4, 2), dtype=np.float32),
        sign=sign,
        bias=bias,
        padding=(1, 0, 1, 0),
        groups=2,
    )
    return graph_of(node, tensor("x", (1, 2, 8, 5), 0.1), tensor("y", (1, 2, 8, 5), 0.1))


def test_a_banded_layer_counts_weights_once_and_a_bias_per_band_and_channel() -> None:
    (layer,) = count(banded_conv()).layers
    assert (layer.weights, layer.nonzero_weights) == (6, 2)
    assert (layer.parameters, layer.nonzero) == (6 + 8, 2 + 6)
    assert (layer.stored_bytes, layer.bytes) == (6 + 4 * 8, 2 + 4 * 6)
    assert layer.scales == 8


def test_macs_are_outputs_times_taps() -> None:
    assert count(banded_conv()).macs == 2 * 8 * 5 * 3
    net = GraphBuilder("int8", (3, 8, 6), 0)
    graph = net.graph(net.conv("conv", "input", 5, (3, 3), stride=(2, 1)))
    assert count(graph).macs == 5 * 4 * 6 * 3 * 3 * 3


def test_single_constants_are_no_parameters_and_arrays_are() -> None:
    x, y = tensor("x", (1, 3, 2, 2), 0.1), tensor("y", (1, 3, 2, 2), 0.1)
    one, vector = tensor("k", (1, 1, 1, 1), 0.1, 0, [7]), tensor("k", (1, 3, 1, 1), 0.1, 5, [7, 5, 0])
    node = Mul("op", ("x", "k"), "y")
    assert count(graph_of(node, x, one, y)).parameters == 0
    counted = count(graph_of(node, x, vector, y))
    assert (counted.parameters, counted.nonzero, counted.nonzero_bytes) == (3, 2, 2)


def test_an_array_that_two_nodes_use_counts_once() -> None:
    tensors = [tensor("x", (1, 3, 2, 2), 0.1), tensor("k", (1, 3, 1, 1), 0.1, 0, [7, 5, 0])]
    tensors += [tensor(name, (1, 3, 2, 2), 0.1) for name in ("y", "z")]
    nodes = Add("a", ("x", "k"), "y"), Add("b", ("y", "k"), "z")
    graph = IntegerGraph("int8", "x", "z", {t.name: t for t in tensors}, nodes)
    assert [layer.nonzero for layer in count(graph).layers] == [2, 0]


def test_live_bytes_hold_a_residual_until_its_sum() -> None:
    shapes = {"x": (1, 4, 8, 8), "m": (1, 4, 1, 8), "n": (1, 4, 1, 1), "y": (1, 4, 8, 8)}
    tensors = {name: tensor(name, shape, 0.1) for name, shape in shapes.items()}
    nodes = (
        Mean("mean f", ("x",), "m", axes=("F",)),
        Mean("mean t", ("m",), "n", axes=("T",)),
        Add("sum", ("x", "n"), "y"),
    )
    graph = IntegerGraph("int8", "x", "y", tensors, nodes)
    assert live_bytes(graph) == [256 + 32, 256 + 32 + 4, 256 + 4 + 256]
    assert (count(graph).peak_activation_bytes, count(graph).peak_layer) == (516, "sum")


def test_totals_are_the_sums_of_the_layers() -> None:
    counted = count(bcresnet("int8", seed=0))
    for name in ("parameters", "nonzero", "stored_bytes", "nonzero_weights", "scales", "macs"):
        assert getattr(counted, name) == sum(getattr(layer, name) for layer in counted.layers) > 0
    assert counted.nonzero_bytes == sum(layer.bytes for layer in counted.layers) < counted.stored_bytes


def test_both_forms_have_the_same_convolutions() -> None:
    int8, island = (count(bcresnet(form, seed=0)) for form in ("int8", "island"))
    assert (int8.macs, int8.nonzero_weights, int8.parameters) == (
        island.macs,
        island.nonzero_weights,
        island.parameters,
    )
