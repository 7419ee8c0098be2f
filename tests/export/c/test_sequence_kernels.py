"""C kernels of networks on sequences, each alone: the integers of their numpy twins."""

import numpy as np
import pytest
from one_op import every_value, graph_of, random_int8, tensor

from edgeasc.export.c.bundle import bundle
from edgeasc.graph.model import Add, Gelu, IntegerGraph, LeakyRelu, Pad, PRelu, Regroup, Slice, ZeroPad
from edgeasc.graph.reference import run
from edgeasc.graph.shapes import output_shape

pytestmark = [pytest.mark.needs("gcc"), pytest.mark.slow]
SHAPE = (4, 6, 9)
MOVES = {
    "pad": Pad("op", ("x",), "y", before=3, after=2),
    "pad by all but one": Pad("op", ("x",), "y", before=8, after=8),
    "zeros": ZeroPad("op", ("x",), "y", padding=(2, 1)),
    "last channels": Slice("op", ("x",), "y", axis="C", start=1, stop=4),
    "first token": Slice("op", ("x",), "y", axis="T", start=0, stop=1),
    "later frames": Slice("op", ("x",), "y", axis="T", start=1, stop=8),
    "regroup": Regroup("op", ("x",), "y", channels=8),
}


@pytest.mark.parametrize("name", MOVES)
def test_moved_values_equal_the_reference(compiled, name):
    node = MOVES[name]
    source = tensor("x", (1, *SHAPE), 0.05, 7)
    graph = graph_of(node, source, tensor("y", output_shape(node, [source.shape]), 0.05, 7))
    values = random_int8(np.random.default_rng(2), 5, *SHAPE)
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(5, -1))


@pytest.mark.parametrize("form", ["int8", "island"])
@pytest.mark.parametrize("slopes", [1, 5])
@pytest.mark.parametrize("scale", [0.02, 0.2])
def test_prelu_equals_the_reference_over_all_inputs(compiled, form, slopes, scale):
    shape = (1, 5, 16, 16)
    slope = np.array([-127, -5, 0, 40, 127], np.int8)[-slopes:]
    node = PRelu("op", ("x",), "y", slope=slope, slope_scale=np.float32(0.01))
    graph = graph_of(node, tensor("x", shape, 0.05, -9), tensor("y", shape, scale, 11), form=form)
    values = np.concatenate([every_value(shape[1:]), every_value(shape[1:])[..., ::-1]])
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(2, -1))


def test_gelu_is_a_table(compiled):
    shape = (1, 1, 16, 16)
    graph = graph_of(
        Gelu("op", ("x",), "y"), tensor("x", shape, 0.03, -9), tensor("y", shape, 0.02, -100), form="island"
    )
    values = every_value(shape[1:])
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(1, -1))


@pytest.mark.parametrize("form", ["int8", "island"])
def test_leaky_relu_equals_the_reference_over_all_inputs(compiled, form):
    shape = (1, 1, 16, 16)
    node = LeakyRelu("op", ("x",), "y", slope=0.2)
    graph = graph_of(node, tensor("x", shape, 0.05, -9), tensor("y", shape, 0.04, 11), form=form)
    values = every_value(shape[1:])
    assert np.array_equal(compiled(graph, values), run(graph, values)["y"].reshape(1, -1))


def chain(*nodes) -> IntegerGraph:
    """A graph of nodes that keep the scale 0.05 and zero point 7, from `x` of SHAPE to the last one's output."""
    tensors = {"x": tensor("x", (1, *SHAPE), 0.05, 7)}
    for node in nodes:
        shape = output_shape(node, [tensors[name].shape for name in node.inputs])
        tensors[node.output] = tensor(node.output, shape, 0.05, 7)
    return IntegerGraph("int8", "x", nodes[-1].output, tensors, tuple(nodes))


def test_regrouping_in_place_moves_nothing():
    graph = chain(Regroup("a", ("x",), "a", channels=1), Regroup("b", ("a",), "b", channels=24))
    text = bundle(graph)
    assert "ea_copy(" not in text.files["scene.c"]
    assert text.facts["arena_bytes"] == 216  # one tensor of 4 x 6 x 9


def test_regrouping_what_is_read_later_moves_it(compiled):
    graph = chain(
        Regroup("a", ("x",), "a", channels=1),
        LeakyRelu("b", ("a",), "b", slope=0.5),
        Slice("c", ("x",), "c", axis="C", start=0, stop=1),
        Regroup("d", ("b",), "d", channels=4),
        Slice("e", ("d",), "e", axis="C", start=3, stop=4),
        PRelu("f", ("c",), "f", slope=np.array([64], np.int8), slope_scale=np.float32(0.01)),
    )
    nodes = (*graph.nodes, LeakyRelu("g", ("e",), "g", slope=0.0))
    nodes = (*nodes, Add("sum", ("f", "g"), "sum"))
    tensors = graph.tensors | {name: tensor(name, (1, 1, 6, 9), 0.05, 7) for name in ("g", "sum")}
    graph = IntegerGraph("int8", "x", "sum", tensors, nodes)
    values = random_int8(np.random.default_rng(2), 5, *SHAPE)
    assert np.array_equal(compiled(graph, values), run(graph, values)["sum"].reshape(5, -1))
