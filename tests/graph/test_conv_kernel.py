"""Convolutions alone: the numpy twin, TensorFlow Lite's reference kernels and TensorFlow Lite Micro agree."""

from dataclasses import replace

import numpy as np
import pytest
from judges import builtin_ref, litert, tflm
from one_op import conv_output_shape, graph_of, random_conv, random_int8, tensor

from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import reference, simulate
from edgeasc.graph.kernels.conv import accumulate, conv_parameters
from edgeasc.graph.model import Conv, IntegerGraph

CASES = {
    "pointwise": ((6, 5, 7), 9, (1, 1), {}),
    "pointwise relu": ((6, 5, 7), 9, (1, 1), {"activation": "relu"}),
    "3x3 same": ((3, 9, 11), 7, (3, 3), {"padding": (1, 1, 1, 1)}),
    "3x3 valid": ((3, 9, 11), 7, (3, 3), {}),
    "5x5 stride 2, both sides padded": ((1, 16, 13), 8, (5, 5), {"padding": (2, 2, 2, 2), "stride": (2, 2)}),
    "5x5 stride 2, odd input": ((1, 17, 15), 8, (5, 5), {"padding": (2, 2, 2, 2), "stride": (2, 2)}),
    "3x3 stride 2, padded as SAME": ((2, 8, 8), 5, (3, 3), {"padding": (0, 0, 1, 1), "stride": (2, 2)}),
    "lopsided padding": ((2, 8, 9), 5, (3, 2), {"padding": (2, 0, 0, 1)}),
    "dilated": ((2, 12, 14), 5, (3, 3), {"padding": (1, 2, 1, 2), "dilation": (1, 2)}),
    "dense bands": ((4, 8, 7), 5, (3, 3), {"padding": (1, 1, 1, 1), "bands": 4, "signs": True}),
    "depthwise over time": ((6, 1, 12), 6, (1, 3), {"padding": (0, 1, 0, 1), "depthwise": True}),
    "depthwise stride 2": ((6, 8, 9), 6, (3, 3), {"padding": (1, 1, 1, 1), "stride": (2, 2), "depthwise": True}),
    "bands": ((6, 16, 5), 6, (3, 1), {"padding": (1, 0, 1, 0), "depthwise": True, "bands": 4, "signs": True}),
    "one row a band": ((6, 4, 5), 6, (3, 1), {"padding": (1, 0, 1, 0), "depthwise": True, "bands": 4, "signs": True}),
    "bands, stride 2": (
        (6, 16, 5),
        6,
        (3, 1),
        {"padding": (1, 0, 1, 0), "depthwise": True, "bands": 2, "signs": True, "stride": (2, 1), "activation": "relu"},
    ),
    "bands of plain rows": ((6, 8, 5), 6, (1, 3), {"depthwise": True, "bands": 4, "signs": True}),
}


def case(name: str, seed: int) -> tuple[IntegerGraph, np.ndarray]:
    shape, channels, kernel, options = CASES[name]
    rng = np.random.default_rng([seed, list(CASES).index(name)])
    return random_conv(rng, shape, channels, kernel, **options), random_int8(rng, 2, *shape)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", CASES)
def test_conv_equals_both_runtimes(name: str, seed: int) -> None:
    graph, clips = case(name, seed)
    ours, model = reference.run(graph, clips)["output"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, clips), ours)
    np.testing.assert_array_equal(tflm(model, clips), ours)


@pytest.mark.parametrize("name", CASES)
def test_litert_equals_the_simulation(name: str) -> None:
    graph, clips = case(name, 0)
    np.testing.assert_array_equal(litert(tflite_bytes(graph), clips), simulate.run(graph, clips)["output"])


def test_the_cases_reach_every_kind_of_output() -> None:
    outputs = [reference.run(*case(name, seed))["output"] for name in CASES for seed in range(5)]
    spread = [len(np.unique(values)) for values in outputs]
    assert min(spread) > 1 and np.median(spread) > 60
    assert {-128, 127} <= set(np.concatenate([values.ravel() for values in outputs]))


@pytest.mark.parametrize("name", ["3x3 same", "5x5 stride 2, odd input", "dilated", "depthwise stride 2"])
def test_accumulators_are_the_sums_of_their_definition(name: str) -> None:
    graph, clips = case(name, 0)
    (node,) = graph.convs()
    zero_point = graph["input"].zero_point
    channels, frequencies, frames = conv_output_shape(node, clips.shape[1:])
    padded = np.full([clips.shape[1], *(s + 8 for s in clips.shape[2:])], 0, dtype=np.int64)
    before_f, before_t = node.padding[:2]
    padded[:, before_f : before_f + clips.shape[2], before_t : before_t + clips.shape[3]] = (
        clips[1].astype(np.int64) - zero_point
    )
    expected = np.zeros((channels, frequencies, frames), dtype=np.int64)
    for c, f, t in np.ndindex(*expected.shape):
        rows = f * node.stride[0] + np.arange(node.weight.shape[2]) * node.dilation[0]
        columns = t * node.stride[1] + np.arange(node.weight.shape[3]) * node.dilation[1]
        seen = padded[c : c + 1] if node.depthwise else padded
        expected[c, f, t] = (seen[:, rows][:, :, columns] * node.weight[c].astype(np.int64)).sum()
    np.testing.assert_array_equal(accumulate(clips, node, zero_point)[1], expected)


def test_grouped_accumulators_are_those_of_their_groups() -> None:
    rng = np.random.default_rng(3)
    weight = random_int8(rng, 6, 2, 3, 1)
    clips = random_int8(rng, 2, 4, 9, 5)
    ones, zeros = np.ones((1, 6)), np.zeros((1, 6), dtype=np.int32)
    node = Conv(
        "conv",
        ("x",),
        "y",
        weight=weight,
        scale=ones.astype(np.float32),
        sign=ones.astype(np.int8),
        bias=zeros,
        groups=2,
    )
    halves = [replace(node, weight=weight[part], groups=1) for part in (slice(3), slice(3, 6))]
    apart = [accumulate(clips[:, 2 * i : 2 * i + 2], half, 5) for i, half in enumerate(halves)]
    np.testing.assert_array_equal(accumulate(clips, node, 5), np.concatenate(apart, axis=1))


def test_sums_beyond_float32_stay_exact() -> None:
    taps = 3000  # 3000 * 127 * 255 > 2^24
    weight = np.full((1, taps, 1, 1), 127, dtype=np.int8)
    weight[0, 0] = 126
    one, zero = np.ones((1, 1)), np.zeros((1, 1), dtype=np.int32)
    node = Conv("conv", ("x",), "y", weight=weight, scale=one.astype(np.float32), sign=one.astype(np.int8), bias=zero)
    clips = np.full((1, taps, 1, 1), 127, dtype=np.int8)
    assert accumulate(clips, node, -128).item() == 255 * (127 * taps - 1)


def test_a_bias_that_may_overflow_int32_is_refused_by_name() -> None:
    graph, _ = case("pointwise", 0)
    (node,) = graph.convs()
    node = replace(node, bias=np.full_like(node.bias, 2**31 - 1000))
    with pytest.raises(BadInput, match="conv may overflow int32"):
        conv_parameters(node, graph["input"], graph["output"], "int8")


@pytest.mark.parametrize("scale", [2.0**20, 2.0**40, 2.0**70])
def test_a_weight_scale_that_may_overflow_int32_is_refused_by_name(scale: float) -> None:
    graph, _ = case("pointwise", 0)
    (node,) = graph.convs()
    node = replace(node, scale=np.full_like(node.scale, scale * graph["output"].scale / graph["input"].scale))
    with pytest.raises(BadInput, match="conv may overflow int32"):
        conv_parameters(node, graph["input"], graph["output"], "int8")


def test_identical_bands_equal_one_band() -> None:
    graph, clips = case("3x3 valid", 1)
    (node,) = graph.convs()
    bands = {part: np.repeat(getattr(node, part), 7, axis=0) for part in ("scale", "sign", "bias")}
    cut = graph_of(replace(node, **bands), graph["input"], tensor("output", graph["output"].shape, 0.1))
    whole = graph_of(node, graph["input"], tensor("output", graph["output"].shape, 0.1))
    assert tflite_bytes(cut) == tflite_bytes(whole)
    np.testing.assert_array_equal(reference.run(cut, clips)["output"], reference.run(whole, clips)["output"])
