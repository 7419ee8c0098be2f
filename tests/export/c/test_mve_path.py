"""The Helium path gives the reference's integers on an emulated Cortex-M55, at rows of any length, both roundings."""

from dataclasses import replace

import numpy as np
import pytest
from one_op import graph_of, random_conv, random_int8, tensor

from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.sparse import store
from edgeasc.graph.model import Add, Mul, Sub
from edgeasc.graph.reference import run
from edgeasc.runtime.artefact import c_artefact

pytestmark = [pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm"), pytest.mark.slow]
CASES = {
    "dense, inputs by sixteen": {"source_shape": (32, 2, 8), "channels": 4, "kernel": (1, 1)},
    "dense, one input more, of bands": {
        "source_shape": (17, 4, 11), "channels": 5, "kernel": (1, 1), "bands": 4, "signs": True,
    },
    "dense with relu": {"source_shape": (6, 2, 25), "channels": 2, "kernel": (1, 1), "activation": "relu"},
    "stem 5x5 by two": {
        "source_shape": (1, 17, 41), "channels": 4, "kernel": (5, 5), "stride": (2, 2), "padding": (2, 2, 2, 2),
    },
    "3x3 of channels": {"source_shape": (3, 6, 30), "channels": 4, "kernel": (3, 3), "padding": (1, 1, 1, 1)},
    "depthwise 3x1 of bands": {
        "source_shape": (5, 16, 9), "channels": 5, "kernel": (3, 1), "padding": (1, 0, 1, 0), "bands": 4,
        "depthwise": True, "signs": True,
    },
    "depthwise 1x3": {"source_shape": (6, 1, 33), "channels": 6, "kernel": (1, 3), "padding": (0, 1, 0, 1),
                      "depthwise": True},
    "depthwise 3x3": {"source_shape": (4, 5, 7), "channels": 4, "kernel": (3, 3), "padding": (1, 1, 1, 1),
                      "depthwise": True},
}  # fmt: skip


def check(graph, values):
    row, found = bench_emulated(c_artefact(bundle(graph)), "cortex-m55", values)
    expected = run(graph, values)[graph.output].reshape(len(values), -1)
    assert len(np.unique(expected)) > 3 and np.array_equal(found, expected)
    return row


@pytest.mark.parametrize("name", CASES)
def test_convolutions_in_vectors_equal_the_reference(name):
    rng = np.random.default_rng(sum(name.encode()))
    graph = replace(random_conv(rng, **CASES[name]), form="island" if len(name) % 2 else "int8")
    check(graph, random_int8(rng, 4, *graph[graph.input].shape[1:]))


@pytest.mark.parametrize(("frames", "form"), [(33, "int8"), (16, "island"), (11, "int8")])
def test_sparse_rows_in_vectors_equal_the_reference(frames, form):
    rng = np.random.default_rng(frames)
    graph = replace(random_conv(rng, (40, 2, frames), 6, (1, 1), bands=2, signs=True), form=form)
    graph.nodes[0].weight[rng.random((6, 40, 1, 1)) >= 0.3] = 0
    check(graph, random_int8(rng, 4, 40, 2, frames))


@pytest.mark.parametrize("storage", ["dense", "delta8"])
def test_helium_takes_fewer_instructions_than_dsp(monkeypatch, storage):
    rng = np.random.default_rng(5)
    graph = random_conv(rng, (64, 4, 32), 64, (1, 1))
    graph.nodes[0].weight[rng.random((64, 64, 1, 1)) >= 0.2] = 0
    monkeypatch.setattr("edgeasc.export.c.lower.choose", lambda weights, *_: store(weights, storage))
    values = random_int8(rng, 1, 64, 4, 32)
    text = c_artefact(bundle(graph))
    on_dsp, _ = bench_emulated(text, "cortex-m7", values)
    assert 2 * check(graph, values)["instructions"] < on_dsp["instructions"]


@pytest.mark.parametrize(
    ("kind", "other", "form"),
    [
        (Add, (5, 3, 13), "int8"), (Add, (5, 1, 13), "island"), (Sub, (1, 3, 1), "int8"), (Mul, (5, 3, 13), "island"),
        (Mul, (1, 3, 1), "int8"), (Mul, (1, 1, 1), "int8"),
    ],
)  # fmt: skip
def test_sums_and_products_in_vectors_equal_the_reference(kind, other, form):
    rng = np.random.default_rng(21)
    second = tensor("b", (1, *other), 0.023, -17, random_int8(rng, *other))
    source, result = tensor("a", (1, 5, 3, 13), 0.11, 5), tensor("y", (1, 5, 3, 13), 0.07, 3)
    graph = graph_of(kind("node", ("a", "b"), "y"), source, second, result, form=form)
    check(graph, random_int8(rng, 12, 5, 3, 13))


def test_a_sparse_stem_in_vectors_equals_the_reference():
    rng = np.random.default_rng(8)
    graph = random_conv(rng, (1, 17, 41), 6, (5, 5), stride=(2, 2), padding=(2, 2, 2, 2))
    graph.nodes[0].weight[rng.random((6, 1, 5, 5)) >= 0.2] = 0
    text = bundle(graph)
    assert text.facts["layers"][0]["storage"] == "delta8"
    check(graph, random_int8(rng, 4, 1, 17, 41))
