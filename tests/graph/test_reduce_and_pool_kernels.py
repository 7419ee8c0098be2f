"""MEAN, MAX_POOL_2D and AVERAGE_POOL_2D alone."""

from dataclasses import replace

import numpy as np
import pytest
from judges import builtin_ref, litert, onnx_runtime, tflm
from one_op import graph_of, random_int8, random_scale, random_zero_point, tensor

from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import reference, simulate
from edgeasc.graph.model import Activation, AvgPool, Axis, IntegerGraph, MaxPool, Mean
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.shapes import output_shape

MEANS: list[tuple[tuple[Axis, ...], bool]] = [
    (("F",), True),
    (("T",), True),
    (("C",), True),
    (("C", "T"), True),
    (("F", "T"), True),
    (("F", "T"), False),
]


def random_mean(axes: tuple[Axis, ...], keep: bool, seed: int) -> tuple[IntegerGraph, np.ndarray]:
    """Inputs whose means spread over the output range: a level per clip, frequency and channel, plus noise."""
    rng = np.random.default_rng(seed)
    channels, frequencies, frames = (int(size) for size in rng.integers(1, [17, 65, 65]))
    source = tensor("x", (1, channels, frequencies, frames), random_scale(rng), random_zero_point(rng))
    node = Mean("mean", ("x",), "y", axes=axes, keep=keep)
    scale = float(source.scale) * rng.uniform(0.2, 1.3)
    output = tensor("y", output_shape(node, [source.shape]), scale, random_zero_point(rng))
    level = rng.integers(-80, 80, size=(3, channels, frequencies, 1))
    noise = rng.integers(-40, 40, size=(3, *source.shape[1:]))
    return graph_of(node, source, output), (level + noise).clip(-128, 127).astype(np.int8)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("axes", "keep"), MEANS)
def test_mean_equals_both_runtimes(axes: tuple[Axis, ...], keep: bool, seed: int) -> None:
    graph, clips = random_mean(axes, keep, seed)
    ours, model = reference.run(graph, clips)["y"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, clips), ours)
    np.testing.assert_array_equal(tflm(model, clips), ours)


@pytest.mark.parametrize(("axes", "keep"), MEANS)
def test_mean_is_within_one_step_of_the_real_one(axes: tuple[Axis, ...], keep: bool) -> None:
    for seed in range(12):
        graph, clips = random_mean(axes, keep, seed)
        steps = reference.run(graph, clips)["y"].astype(int) - simulate.run(graph, clips)["y"]
        assert np.abs(steps).max() <= 1


@pytest.mark.parametrize(("axes", "keep"), MEANS)
def test_litert_equals_the_simulation(axes: tuple[Axis, ...], keep: bool) -> None:
    for seed in range(4):
        graph, clips = random_mean(axes, keep, seed)
        np.testing.assert_array_equal(litert(tflite_bytes(graph), clips), simulate.run(graph, clips)["y"])


def test_mean_over_a_long_clip_equals_both_runtimes() -> None:
    rng = np.random.default_rng(5)
    source, output = tensor("x", (1, 40, 8, 334), 0.07, -128), tensor("y", (1, 1, 8, 1), 0.03, -128)
    graph = graph_of(Mean("mean", ("x",), "y", axes=("C", "T")), source, output)
    clips = (random_int8(rng, 1, 40, 8, 334) // 8 - 100).astype(np.int8)
    ours, model = reference.run(graph, clips)["y"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, clips), ours)
    np.testing.assert_array_equal(tflm(model, clips), ours)


def test_a_mean_that_drops_other_axes_is_refused_by_name() -> None:
    node = Mean("stage.mean", ("x",), "y", axes=("F",), keep=False)
    graph = graph_of(node, tensor("x", (1, 2, 3, 4), 0.1), tensor("y", (1, 2, 4), 0.1))
    with pytest.raises(BadInput, match=r"stage\.mean"):
        tflite_bytes(graph)


WINDOWS = pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [
        ((5, 8, 6), (2, 2), (2, 2)),
        ((5, 13, 17), (2, 2), (2, 2)),
        ((3, 9, 9), (3, 2), (1, 2)),
        ((2, 4, 1), (2, 1), (2, 1)),
        ((2, 3, 40), (1, 40), (1, 1)),
    ],
)


@WINDOWS
def test_max_pool_equals_both_runtimes(
    shape: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int]
) -> None:
    node = MaxPool("pool", ("x",), "y", kernel=kernel, stride=stride)
    source = tensor("x", (1, *shape), 0.1, 3)
    graph = graph_of(node, source, tensor("y", output_shape(node, [source.shape]), 0.1, 3))
    clips = random_int8(np.random.default_rng(2), 2, *shape)
    ours, model = reference.run(graph, clips)["y"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, clips), ours)
    np.testing.assert_array_equal(tflm(model, clips), ours)


@WINDOWS
@pytest.mark.parametrize(("zero_point", "activation"), [(3, "none"), (-128, "relu"), (-7, "relu"), (100, "none")])
def test_average_pool_equals_both_runtimes(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    zero_point: int,
    activation: Activation,
) -> None:
    node = AvgPool("pool", ("x",), "y", kernel=kernel, stride=stride, activation=activation)
    source = tensor("x", (1, *shape), 0.1, zero_point)
    graph = graph_of(node, source, tensor("y", output_shape(node, [source.shape]), 0.1, zero_point))
    clips = random_int8(np.random.default_rng(2), 4, *shape)
    ours, model = reference.run(graph, clips)["y"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, clips), ours)
    np.testing.assert_array_equal(tflm(model, clips), ours)
    np.testing.assert_array_equal(simulate.run(graph, clips)["y"], ours)


@WINDOWS
@pytest.mark.parametrize(("zero_point", "activation"), [(3, "none"), (-128, "relu"), (-7, "relu"), (100, "none")])
def test_average_pool_equals_litert_and_onnx_runtime_in_every_half(
    shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    zero_point: int,
    activation: Activation,
) -> None:
    node = AvgPool("pool", ("x",), "y", kernel=kernel, stride=stride, activation=activation)
    source = tensor("x", (1, *shape), 0.0273, zero_point)
    graph = graph_of(node, source, tensor("y", output_shape(node, [source.shape]), 0.0273, zero_point))
    clips = random_int8(np.random.default_rng(3), 40, *shape)
    ours = reference.run(graph, clips)["y"]
    np.testing.assert_array_equal(litert(tflite_bytes(graph), clips), ours)
    for optimised in (False, True):
        np.testing.assert_array_equal(onnx_runtime(graph, clips, optimised), ours)


def test_average_pool_comes_back_from_its_onnx_file_with_grid_and_activation() -> None:
    for zero_point, activation in ((3, "none"), (-7, "relu")):
        node = AvgPool("pool", ("x",), "y", kernel=(3, 2), stride=(1, 2), activation=activation)
        ends = [tensor(name, (1, 2, side, 8), 0.1, zero_point) for name, side in (("x", 6), ("y", 4))]
        graph = graph_of(node, ends[0], replace(ends[1], shape=(1, 2, 4, 4)))
        read = read_onnx(onnx_bytes(graph))
        assert read.nodes == graph.nodes
        assert (read["y"].scale, read["y"].zero_point) == (graph["y"].scale, zero_point)


def test_average_pool_of_another_tool_on_the_tensor_s_own_grid_is_read() -> None:
    """DequantizeLinear, AveragePool, QuantizeLinear with one scale and zero point, as other tools write it."""
    import onnx

    node = AvgPool("pool", ("x",), "y", kernel=(2, 2), stride=(2, 2))
    graph = graph_of(node, tensor("x", (1, 2, 6, 8), 0.1, 5), tensor("y", (1, 2, 3, 4), 0.1, 5))
    model = onnx.load_from_string(onnx_bytes(graph))
    own = next(n for n in model.graph.node if n.op_type == "DequantizeLinear").input[1:]
    for changed in (n for n in model.graph.node if "integers/zero_point" in n.input):
        del changed.input[1:]
        changed.input.extend(own)
    read = read_onnx(model.SerializeToString())
    assert read.nodes == graph.nodes and read["y"].zero_point == 5


def test_average_pool_rounds_halves_away_from_zero() -> None:
    """All sums of two: the integers are averaged, not what they stand for."""
    node = AvgPool("pool", ("x",), "y", kernel=(1, 2), stride=(1, 2))
    pairs = np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-128, 128), indexing="ij"), -1).reshape(1, 1, 256, 512)
    source, output = tensor("x", (1, 1, 256, 512), 0.1, 17), tensor("y", (1, 1, 256, 256), 0.1, 17)
    graph, clips = graph_of(node, source, output), pairs.astype(np.int8)
    total = pairs.reshape(-1, 2).sum(1)
    expected = np.trunc(total / 2 + np.sign(total) * 0.5).reshape(1, 1, 256, 256)
    ours = reference.run(graph, clips)["y"]
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(builtin_ref(tflite_bytes(graph), clips), ours)


def test_max_pool_that_changes_the_scale_is_refused() -> None:
    graph = graph_of(MaxPool("pool", ("x",), "y"), tensor("x", (1, 1, 2, 2), 0.1), tensor("y", (1, 1, 1, 1), 0.2))
    with pytest.raises(BadInput, match="cannot change the scale"):
        tflite_bytes(graph)


@pytest.mark.parametrize("form", ["int8", "island"])
def test_a_mean_that_its_output_s_scale_takes_out_of_int32_is_refused(form) -> None:
    source = tensor("x", (1, 2, 3, 5), 1.0)
    for scale in (2.0**-25, 2.0**-45, 2.0**-100):
        graph = graph_of(Mean("mean", ("x",), "y", axes=("F",)), source, tensor("y", (1, 2, 1, 5), scale), form=form)
        with pytest.raises(BadInput, match="the mean y may overflow int32"):
            reference.Reference(graph)
