"""The path for cores with DSP instructions gives the reference's integers, inside its arrays, at every length of a row.

Here it runs with each instruction written in C, under the sanitisers; the emulated cores run the instructions.
"""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from one_op import graph_of, random_conv, random_int8, tensor

from edgeasc.export.c.bundle import bundle
from edgeasc.graph.model import Add, MaxPool, Mean, Mul, Sub
from edgeasc.graph.reference import run
from edgeasc.runtime.native_c import build_host

pytestmark = [pytest.mark.needs("gcc"), pytest.mark.slow]


@pytest.fixture
def on_dsp(tmp_path):
    """Builds a graph's C for the DSP path, runs it, and gives the kernels that were used with the outputs."""

    def execute(graph, values):
        text = bundle(graph)
        modelled = text.files["ea_dsp.h"].replace("#define EA_DSP_H\n", "#define EA_DSP_H\n#define EA_DSP_IN_C\n")
        assert modelled != text.files["ea_dsp.h"]
        program, _, sanitised = build_host(replace(text, files={**text.files, "ea_dsp.h": modelled}), tmp_path, True)
        assert sanitised
        done = subprocess.run([program], input=values.tobytes(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()[:2000]
        functions = {layer["function"] for layer in text.facts["layers"]}
        return functions, np.frombuffer(done.stdout, np.int8).reshape(len(values), -1)

    return execute


def check(on_dsp, graph, values, function):
    functions, found = on_dsp(graph, values)
    assert functions == {function}
    assert np.array_equal(found, run(graph, values)[graph.output].reshape(len(values), -1))


def elementwise(kind, other, out, form):
    rng = np.random.default_rng(21)
    second = tensor("b", (1, *other), 0.023, -17, random_int8(rng, *other))
    node = kind("node", ("a", "b"), "y")
    return graph_of(node, tensor("a", (1, *out), 0.11, 5), second, tensor("y", (1, *out), 0.07, 3), form=form)


@pytest.mark.parametrize("shape", [(5, 3, 26), (4, 7, 6), (2, 3, 13), (6, 2, 3)])
@pytest.mark.parametrize("kind", [Add, Sub, Mul])
def test_sums_and_products_at_every_broadcast(on_dsp, kind, shape):
    form = "int8" if shape[2] % 2 else "island"
    c, f, t = shape
    values = random_int8(np.random.default_rng(1), 4, *shape)
    for index, other in enumerate([shape, (c, 1, t), (1, f, 1), (1, 1, 1)]):
        graph = elementwise(kind, other, shape, form if index % 2 else "int8")
        expected = run(graph, values)["y"].reshape(4, -1)
        assert np.array_equal(on_dsp(graph, values)[1], expected), other


def test_a_square_needs_no_other_kernel(on_dsp):
    rng = np.random.default_rng(2)
    graph = graph_of(
        Mul("square", ("a", "a"), "y"), tensor("a", (1, 3, 2, 7), 0.1, -9), tensor("y", (1, 3, 2, 7), 0.9, -128)
    )
    check(on_dsp, graph, random_int8(rng, 9, 3, 2, 7), "ea_square")


CONVOLUTIONS = {
    "inputs by fours, pixels by sixes": {"source_shape": (8, 3, 6), "channels": 4, "kernel": (1, 1)},
    "one input more, one pixel less": {"source_shape": (9, 1, 17), "channels": 3, "kernel": (1, 1)},
    "two more": {"source_shape": (6, 2, 25), "channels": 2, "kernel": (1, 1), "activation": "relu"},
    "three more, of bands": {"source_shape": (7, 8, 5), "channels": 3, "kernel": (1, 1), "bands": 4, "signs": True},
    "one input, rows shorter than words": {"source_shape": (1, 2, 13), "channels": 5, "kernel": (1, 1)},
    "one pixel": {"source_shape": (9, 1, 1), "channels": 3, "kernel": (1, 1)},
    "columns too long for the stack": {"source_shape": (349, 1, 8), "channels": 2, "kernel": (1, 1)},
    "stem 5x5 by two": {
        "source_shape": (1, 17, 41), "channels": 4, "kernel": (5, 5), "stride": (2, 2), "padding": (2, 2, 2, 2),
    },
    "3x3 of channels, dilated": {
        "source_shape": (3, 9, 13), "channels": 3, "kernel": (3, 3), "padding": (1, 1, 1, 1), "dilation": (1, 2),
    },
    "3x1 of bands": {"source_shape": (2, 8, 11), "channels": 3, "kernel": (3, 1), "padding": (1, 0, 1, 0), "bands": 4,
                     "signs": True},
    "depthwise 3x1 of bands": {
        "source_shape": (5, 16, 9), "channels": 5, "kernel": (3, 1), "padding": (1, 0, 1, 0), "bands": 4,
        "depthwise": True, "signs": True,
    },
    "depthwise 3x1 by two": {
        "source_shape": (3, 17, 6), "channels": 3, "kernel": (3, 1), "padding": (1, 0, 1, 0), "stride": (2, 1),
        "depthwise": True,
    },
    "depthwise 1x3 dilated": {
        "source_shape": (6, 2, 33), "channels": 6, "kernel": (1, 3), "padding": (0, 4, 0, 4), "dilation": (1, 4),
        "depthwise": True,
    },
    "depthwise 3x3, all taps": {
        "source_shape": (3, 5, 14), "channels": 3, "kernel": (3, 3), "padding": (1, 1, 1, 1), "depthwise": True,
    },
    "depthwise in pieces": {"source_shape": (2, 40, 101), "channels": 2, "kernel": (3, 1), "padding": (1, 0, 1, 0),
                            "bands": 2, "depthwise": True},
    "depthwise rows too long to copy": {"source_shape": (1, 2, 1300), "channels": 1, "kernel": (2, 1),
                                        "padding": (1, 0, 0, 0), "depthwise": True},
    "depthwise of three frames": {"source_shape": (4, 4, 3), "channels": 4, "kernel": (1, 3),
                                  "padding": (0, 1, 0, 1), "depthwise": True, "activation": "relu"},
    "a kernel wider than few pixels": {"source_shape": (2, 1, 3), "channels": 2, "kernel": (5, 5),
                                       "padding": (2, 2, 2, 2)},
}  # fmt: skip


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_at_every_remainder(on_dsp, name):
    rng = np.random.default_rng(sum(name.encode()))
    graph = replace(random_conv(rng, **CONVOLUTIONS[name]), form="island" if len(name) % 2 else "int8")
    values = random_int8(rng, 4, *graph[graph.input].shape[1:])
    (node,) = graph.nodes
    if name.startswith("depthwise"):
        node.weight[rng.random(node.weight.shape) < 0.3] = 0  # rows of fewer taps, and of none
    pointwise = CONVOLUTIONS[name]["kernel"] == (1, 1)
    check(on_dsp, graph, values, "ea_depthwise" if node.depthwise else "ea_pointwise" if pointwise else "ea_conv")


@pytest.mark.parametrize("shape", [(3, 8, 10), (2, 7, 9), (1, 300, 3)])
@pytest.mark.parametrize(("axes", "kept"), [("F", "CT"), ("CT", "F"), ("FT", "C"), ("C", "FT")])
def test_means_whatever_the_remainder(on_dsp, axes, kept, shape):
    rng = np.random.default_rng(3)
    out = tuple(side if axis in kept else 1 for axis, side in zip("CFT", shape, strict=True))
    node = Mean("mean", ("a",), "y", axes=tuple(axes), keep=True)
    graph = graph_of(node, tensor("a", (1, *shape), 0.1, 11), tensor("y", (1, *out), 0.03, -5))
    values = random_int8(rng, 6, *shape)
    values[:2] = [[[[-128]]], [[[127]]]]  # what fills the halves of a word fastest
    check(on_dsp, graph, values, "ea_mean")


@pytest.mark.parametrize("shape", [(3, 8, 10), (2, 7, 13), (2, 2, 3)])
def test_max_pool_whatever_the_remainder(on_dsp, shape):
    small = (shape[0], shape[1] // 2, shape[2] // 2)
    graph = graph_of(MaxPool("pool", ("a",), "y"), tensor("a", (1, *shape), 0.1, 4), tensor("y", (1, *small), 0.1, 4))
    check(on_dsp, graph, random_int8(np.random.default_rng(4), 6, *shape), "ea_max_pool")


PRUNED = [(64, 2, 13), (64, 1, 6), (300, 1, 3), (40, 3, 8)]


@pytest.mark.parametrize("shape", PRUNED)
def test_pruned_rows_at_every_remainder(on_dsp, shape):
    rng = np.random.default_rng(shape[0] + shape[2])
    graph = random_conv(rng, shape, 9, (1, 1), signs=True)
    (node,) = graph.nodes
    node.weight[rng.random(node.weight.shape) < 0.88] = 0
    node.weight[0] = 0
    values = random_int8(rng, 4, *shape)
    functions, found = on_dsp(graph, values)
    assert functions < {"ea_pointwise_delta8", "ea_pointwise_nibble", "ea_pointwise_bitmap"}
    assert np.array_equal(found, run(graph, values)[graph.output].reshape(4, -1))


@pytest.mark.parametrize("shape", [(1, 17, 41), (3, 5, 9), (2, 2, 3)])
def test_pruned_windows_at_every_remainder(on_dsp, shape):
    rng = np.random.default_rng(shape[2])
    graph = random_conv(rng, shape, 5, (5, 5), stride=(2, 2), padding=(2, 2, 2, 2))
    (node,) = graph.nodes
    node.weight[rng.random(node.weight.shape) < 0.8] = 0
    check(on_dsp, graph, random_int8(rng, 4, *shape), "ea_conv_delta8")
