"""Every C kernel alone computes the integers of its numpy twin."""

from dataclasses import replace

import numpy as np
import pytest
from one_op import every_value, graph_of, random_conv, random_int8, tensor

from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.lower import lower
from edgeasc.export.c.sparse import store
from edgeasc.graph.model import Add, AvgPool, Logistic, MaxPool, Mean, Mul, ResNorm, Rsqrt, Silu, Sub
from edgeasc.graph.reference import run

pytestmark = [pytest.mark.needs("gcc"), pytest.mark.slow]  # a compilation each
FORMS = ["int8", "island"]
CONVOLUTIONS = {
    "pointwise": {"source_shape": (7, 4, 9), "channels": 5, "kernel": (1, 1)},
    "pointwise of bands": {"source_shape": (6, 8, 5), "channels": 4, "kernel": (1, 1), "bands": 4, "signs": True},
    "pointwise with relu": {"source_shape": (3, 1, 17), "channels": 6, "kernel": (1, 1), "activation": "relu"},
    "pointwise of one value": {"source_shape": (9, 1, 1), "channels": 3, "kernel": (1, 1)},
    "stem 5x5 by two": {
        "source_shape": (1, 17, 41), "channels": 4, "kernel": (5, 5), "stride": (2, 2), "padding": (2, 2, 2, 2),
    },
    "3x3 of channels": {"source_shape": (3, 6, 30), "channels": 4, "kernel": (3, 3), "padding": (1, 1, 1, 1)},
    "wider than the input": {"source_shape": (2, 3, 3), "channels": 2, "kernel": (5, 5), "padding": (2, 2, 2, 2)},
    "padding on one side": {"source_shape": (2, 7, 20), "channels": 3, "kernel": (2, 3), "padding": (0, 2, 1, 0)},
    "dilated": {"source_shape": (2, 9, 26), "channels": 3, "kernel": (3, 3), "dilation": (2, 3)},
    "bands of 3x1": {"source_shape": (2, 8, 11), "channels": 3, "kernel": (3, 1), "padding": (1, 0, 1, 0), "bands": 4,
                     "signs": True},
    "depthwise 3x1 of bands": {
        "source_shape": (5, 16, 9), "channels": 5, "kernel": (3, 1), "padding": (1, 0, 1, 0), "bands": 4,
        "depthwise": True, "signs": True,
    },
    "depthwise 3x1 by two": {
        "source_shape": (5, 16, 9), "channels": 5, "kernel": (3, 1), "padding": (1, 0, 1, 0), "stride": (2, 1),
        "depthwise": True,
    },
    "depthwise 1x3": {"source_shape": (6, 1, 33), "channels": 6, "kernel": (1, 3), "padding": (0, 1, 0, 1),
                      "depthwise": True},
    "depthwise 1x3 dilated": {
        "source_shape": (6, 1, 33), "channels": 6, "kernel": (1, 3), "padding": (0, 4, 0, 4), "dilation": (1, 4),
        "depthwise": True,
    },
    "1x7 of a waveform": {"source_shape": (1, 1, 61), "channels": 4, "kernel": (1, 7)},
    "1x5 of channels by four": {"source_shape": (4, 1, 62), "channels": 8, "kernel": (1, 5), "stride": (1, 4)},
    "long patch by two": {
        "source_shape": (1, 20, 14), "channels": 6, "kernel": (12, 4), "stride": (2, 2), "padding": (5, 1, 5, 1),
    },
    "depthwise 1x9 by four": {
        "source_shape": (5, 1, 66), "channels": 5, "kernel": (1, 9), "stride": (1, 4), "depthwise": True,
    },
    "depthwise 1x15 by nine": {
        "source_shape": (4, 1, 150), "channels": 4, "kernel": (1, 15), "dilation": (1, 9), "depthwise": True,
    },
    "depthwise wider than the input": {"source_shape": (4, 2, 2), "channels": 4, "kernel": (3, 3),
                                       "padding": (1, 1, 1, 1), "depthwise": True},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_equal_the_reference(compiled, name, form):
    rng = np.random.default_rng(sum(name.encode()))
    graph = replace(random_conv(rng, **CONVOLUTIONS[name]), form=form)
    values = random_int8(rng, 6, *graph[graph.input].shape[1:])
    expected = run(graph, values)[graph.output].reshape(6, -1)
    assert len(np.unique(expected)) > 3
    assert np.array_equal(compiled(graph, values), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("storage", ["dense", "delta8", "nibble", "bitmap"])
def test_a_pointwise_layer_equals_the_reference_in_every_storage(compiled, monkeypatch, storage, form):
    rng = np.random.default_rng(3)
    graph = replace(random_conv(rng, (300, 2, 13), 6, (1, 1), bands=2, signs=True), form=form)
    (node,) = graph.nodes
    most = 1.0 if storage in ("dense", "delta8") else 0.8  # the others unpack at most 256 in a row, as `choose` sees to
    kept = np.array([0.0, 0.01, 0.02, 0.3, 0.6, most]).reshape(6, 1, 1, 1)
    node.weight[rng.random(node.weight.shape) >= kept] = 0
    values = random_int8(rng, 5, 300, 2, 13)
    monkeypatch.setattr("edgeasc.export.c.lower.choose", lambda weights, *_: store(weights, storage))
    assert lower(graph).steps[0].storage == storage
    assert np.array_equal(compiled(graph, values), run(graph, values)[graph.output].reshape(5, -1))


@pytest.mark.parametrize("shape", [(20, 1, 7), (20, 3, 3)])
@pytest.mark.parametrize("storage", ["delta8", "nibble", "bitmap"])
def test_sparse_rows_of_any_length_equal_the_reference(compiled, monkeypatch, storage, shape):
    rng = np.random.default_rng(4)
    graph = random_conv(rng, shape, 5, (1, 1))
    graph.nodes[0].weight[rng.random((5, 20, 1, 1)) >= 0.4] = 0
    values = random_int8(rng, 5, *shape)
    monkeypatch.setattr("edgeasc.export.c.lower.choose", lambda weights, *_: store(weights, storage))
    assert np.array_equal(compiled(graph, values), run(graph, values)[graph.output].reshape(5, -1))


def shaped(rng, node, *shapes, scales, zeros, form="int8"):
    """A graph of `node` over tensors `a`, `b`, ... of these shapes, the last its output; all but the first constant."""
    names = [*node.inputs, node.output]
    tensors = []
    for index, (name, shape) in enumerate(zip(names, shapes, strict=True)):
        constant = random_int8(rng, *shape) if 0 < index < len(names) - 1 else None
        tensors.append(tensor(name, (1, *shape), scales[index], zeros[index], constant))
    return graph_of(node, *tensors, form=form)


BROADCASTS = [(4, 3, 5), (4, 1, 5), (1, 3, 1), (1, 1, 1)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("other", BROADCASTS)
@pytest.mark.parametrize("kind", [Add, Sub, Mul])
def test_sums_and_products_with_broadcasting_equal_the_reference(compiled, kind, other, form):
    rng = np.random.default_rng(7)
    node = kind("node", ("a", "b"), "y")
    graph = shaped(rng, node, (4, 3, 5), other, (4, 3, 5), scales=(0.11, 0.023, 0.07), zeros=(5, -17, 3), form=form)
    values = random_int8(rng, 40, 4, 3, 5)
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(40, -1))


def test_relu_of_a_sum_stops_at_the_zero_point(compiled):
    rng = np.random.default_rng(8)
    node = Add("node", ("a", "b"), "y", activation="relu")
    graph = shaped(rng, node, (2, 3, 5), (2, 3, 5), (2, 3, 5), scales=(0.05, 0.05, 0.04), zeros=(0, 9, -40))
    values = random_int8(rng, 20, 2, 3, 5)
    found = compiled(graph, values)
    assert found.min() == -40 and np.array_equal(found, run(graph, values)["y"].reshape(20, -1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("axes", "shape"), [("F", (4, 1, 7)), ("CT", (1, 6, 1)), ("FT", (4, 1, 1)), ("T", (4, 6, 1))])
def test_means_equal_the_reference(compiled, axes, shape, form):
    rng = np.random.default_rng(9)
    node = Mean("mean", ("a",), "y", axes=tuple(axes), keep=True)
    graph = graph_of(node, tensor("a", (1, 4, 6, 7), 0.1, 11), tensor("y", (1, *shape), 0.03, -5), form=form)
    values = random_int8(rng, 30, 4, 6, 7)
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(30, -1))


def test_a_mean_that_drops_its_axes_equals_the_reference(compiled):
    rng = np.random.default_rng(10)
    node = Mean("mean", ("a",), "y", axes=("F", "T"), keep=False)
    graph = graph_of(node, tensor("a", (1, 10, 3, 7), 0.1, 11), tensor("y", (1, 10), 0.03, -5))
    values = random_int8(rng, 30, 10, 3, 7)
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"])


@pytest.mark.parametrize("shape", [(3, 8, 10), (2, 7, 9)])
def test_max_pool_equals_the_reference(compiled, shape):
    rng = np.random.default_rng(11)
    small = (shape[0], shape[1] // 2, shape[2] // 2)
    graph = graph_of(MaxPool("pool", ("a",), "y"), tensor("a", (1, *shape), 0.1, 4), tensor("y", (1, *small), 0.1, 4))
    values = random_int8(rng, 10, *shape)
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(10, -1))


@pytest.mark.parametrize("activation", ["none", "relu"])
@pytest.mark.parametrize(("shape", "kernel", "stride"), [((3, 8, 10), (2, 2), (2, 2)), ((2, 7, 9), (3, 2), (1, 2))])
def test_average_pool_equals_the_reference(compiled, shape, kernel, stride, activation):
    rng = np.random.default_rng(12)
    small = [(side - k) // s + 1 for side, k, s in zip(shape[1:], kernel, stride, strict=True)]
    node = AvgPool("pool", ("a",), "y", kernel=kernel, stride=stride, activation=activation)
    graph = graph_of(node, tensor("a", (1, *shape), 0.1, -9), tensor("y", (1, shape[0], *small), 0.1, -9))
    values = random_int8(rng, 10, *shape)
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(10, -1))


@pytest.mark.parametrize("kind", [Logistic, Rsqrt, Silu])
def test_functions_of_one_value_equal_the_reference_for_every_value(compiled, kind):
    output = (1 / 256, -128) if kind is Logistic else (0.02, -128 if kind is Rsqrt else -20)
    source = tensor("a", (1, 2, 16, 8), 0.05, -128 if kind is Rsqrt else 7)
    form = "island" if kind is Silu else "int8"
    graph = graph_of(kind("f", ("a",), "y"), source, tensor("y", (1, 2, 16, 8), *output), form=form)
    values = every_value((2, 16, 8))
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(1, -1))


@pytest.mark.parametrize("frames", [11, 150])  # fewer values in a row than they differ by, and more: then by table
@pytest.mark.parametrize(("scale", "out"), [(0.05, 0.03), (1e-4, 0.1), (3.0, 0.002)])
def test_residual_normalisation_equals_the_reference_dead_bins_included(compiled, scale, out, frames):
    rng = np.random.default_rng(12)
    node = ResNorm("norm", ("a",), "y", lam=0.1 if scale < 1 else 1e-5, eps=1e-3)
    source, output = tensor("a", (1, 3, 6, frames), scale, -9), tensor("y", (1, 3, 6, frames), out, 2)
    graph = graph_of(node, source, output, form="island")
    values = random_int8(rng, 30, 3, 6, frames)
    values[:10, :, 2] = rng.integers(-128, 128, (10, 1, 1))  # nothing ever happens in this bin
    values[10:20] = np.clip(values[10:20] // 40 + 3, -128, 127)
    values[20] = -128
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(30, -1))


def test_strides_and_arenas_beyond_what_c_counts_are_refused():
    graph = random_conv(np.random.default_rng(0), (2, 5, 9), 2, (3, 3), padding=(1, 1, 1, 1), stride=(1, 2**30))
    with pytest.raises(BadInput, match=r"conv: a stride or padding of 2\^30 or more"):
        bundle(graph)
    shape = (1, 2, 2**15, 2**15)
    with pytest.raises(BadInput, match="an arena of 2,147,483,648 B"):
        bundle(graph_of(Silu("silu", ("x",), "y"), tensor("x", shape, 0.1), tensor("y", shape, 0.2), form="island"))


def test_constants_whose_names_differ_in_a_sign_stay_apart(compiled):
    names = ["k.1", "k/1", "k_1", "k_2e_1"]
    constants = [tensor(name, (1, 1, 1, 1), 0.1, data=np.array([20 * i])) for i, name in enumerate(names)]
    shape = (1, 2, 3, 4)
    sums = [tensor(f"x{i}", shape, 0.3) for i in range(len(names) + 1)]
    nodes = tuple(Add(f"add{i}", (f"x{i}", name), f"x{i + 1}") for i, name in enumerate(names))
    graph = graph_of(nodes[0], sums[0], *constants, *sums[1:])
    graph = replace(graph, nodes=nodes)
    values = random_int8(np.random.default_rng(0), 3, *shape[1:])
    assert np.array_equal(compiled(graph, values), run(graph, values)["x4"].reshape(3, -1))
