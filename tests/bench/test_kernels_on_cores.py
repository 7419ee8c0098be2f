"""The hand-scheduled DSP code gives the reference's integers on an emulated core, at every remainder of its blocks."""

from dataclasses import replace

import numpy as np
import pytest
from one_op import random_conv, random_int8, tensor

from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.export.c.bundle import bundle
from edgeasc.graph.model import IntegerGraph, LeakyRelu, Pad, PRelu, Regroup, Slice
from edgeasc.graph.reference import run
from edgeasc.graph.shapes import output_shape
from edgeasc.runtime.artefact import c_artefact

pytestmark = [pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm"), pytest.mark.slow]

WINDOW = {"kernel": (5, 5), "stride": (2, 2), "padding": (2, 2, 2, 2)}
DEPTHWISE = {"depthwise": True, "bands": 4, "signs": True}
LAYERS = {
    "dense, an odd number of fours": ("ea_pointwise", 1.0, {"source_shape": (11, 1, 17), "kernel": (1, 1)}),
    "dense, an even number of fours": ("ea_pointwise", 1.0, {"source_shape": (8, 2, 25), "kernel": (1, 1)}),
    "5x5 by two": ("ea_conv", 1.0, {"source_shape": (1, 17, 41), **WINDOW}),
    "5x5 by two, pruned": ("ea_conv_delta8", 0.2, {"source_shape": (1, 17, 41), **WINDOW}),
    "pruned, planes of six": ("ea_pointwise_delta8", 0.1, {"source_shape": (250, 1, 6), "kernel": (1, 1)}),
    "pruned, planes of four and three": ("ea_pointwise_delta8", 0.1, {"source_shape": (250, 1, 15), "kernel": (1, 1)}),
    "depthwise 3x1": (
        "ea_depthwise", 0.7, {"source_shape": (9, 8, 6), "kernel": (3, 1), "padding": (1, 0, 1, 0), **DEPTHWISE},
    ),
    "depthwise 1x3": (
        "ea_depthwise", 0.7, {"source_shape": (9, 4, 7), "kernel": (1, 3), "padding": (0, 1, 0, 1), **DEPTHWISE},
    ),
    "1x7 of a waveform": ("ea_conv", 1.0, {"source_shape": (1, 1, 61), "kernel": (1, 7)}),
    "1x5 by four": ("ea_conv", 1.0, {"source_shape": (4, 1, 62), "kernel": (1, 5), "stride": (1, 4)}),
    "long patch": (
        "ea_conv", 1.0, {"source_shape": (1, 20, 14), "kernel": (12, 4), "stride": (2, 2), "padding": (5, 1, 5, 1)},
    ),
    "depthwise 1x9 by four": (
        "ea_depthwise", 1.0, {"source_shape": (5, 1, 66), "kernel": (1, 9), "stride": (1, 4), "depthwise": True},
    ),
    "depthwise 1x15 by nine": (
        "ea_depthwise", 1.0, {"source_shape": (4, 1, 150), "kernel": (1, 15), "dilation": (1, 9), "depthwise": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_equals_the_reference_on_an_emulated_core(name):
    function, density, options = LAYERS[name]
    rng = np.random.default_rng(sum(name.encode()))
    channels = options["source_shape"][0] if options.get("depthwise") else 7
    graph = random_conv(rng, channels=channels, **options)
    graph = replace(graph, form="island" if len(name) % 2 else "int8")
    (node,) = graph.nodes
    node.weight[rng.random(node.weight.shape) >= density] = 0
    values = random_int8(rng, 5, *options["source_shape"])
    text = bundle(graph, optimise="speed")
    assert [layer["function"] for layer in text.facts["layers"]] == [function]
    _, found = bench_emulated(c_artefact(text), "cortex-m7" if len(name) % 3 else "cortex-m4", values)
    assert np.array_equal(found, run(graph, values)[graph.output].reshape(5, -1))


def test_slopes_and_moves_equal_the_reference_on_an_emulated_core():
    steps = (
        Pad("pad", ("x",), "pad", before=3, after=2),
        PRelu("prelu", ("pad",), "prelu", slope=np.array([-90, 30, 127], np.int8), slope_scale=np.float32(0.01)),
        Regroup("regroup", ("prelu",), "regroup", channels=6),
        Slice("slice", ("regroup",), "slice", axis="C", start=1, stop=5),
        LeakyRelu("leaky", ("slice",), "leaky", slope=0.2),
        Slice("late", ("leaky",), "late", axis="T", start=4, stop=19),
    )
    tensors = {"x": tensor("x", (1, 3, 4, 17), 0.05, -3)}
    for node in steps:
        shape = output_shape(node, [tensors[name].shape for name in node.inputs])
        rescaled = {"prelu": 0.06, "regroup": 0.06, "slice": 0.06, "leaky": 0.03, "late": 0.03}
        tensors[node.output] = tensor(node.output, shape, rescaled.get(node.output, 0.05), -3)
    graph = IntegerGraph("int8", "x", "late", tensors, steps)
    values = random_int8(np.random.default_rng(8), 5, 3, 4, 17)
    _, found = bench_emulated(c_artefact(bundle(graph)), "cortex-m4", values)
    assert np.array_equal(found, run(graph, values)["late"].reshape(5, -1))
