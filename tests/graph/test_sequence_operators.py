"""Operators of networks on sequences, each alone in every runtime: rectifiers with a slope, and data on the move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from judges import builtin_ref, litert, tflm
from one_op import every_value, graph_of, random_int8, random_scale, random_zero_point, tensor

from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import reference, simulate
from edgeasc.graph.kernels import rectify
from edgeasc.graph.kernels.moves import move
from edgeasc.graph.model import Form, IntegerGraph, LeakyRelu, Moved, Pad, PRelu, Regroup, Slice
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.shapes import output_shape

WIDE = (1, 6, 16, 16)
EVERY = np.concatenate([np.roll(every_value(WIDE[1:]).ravel(), k).reshape(1, *WIDE[1:]) for k in range(3)])
SHAPE = (4, 6, 9)
MOVES: dict[str, Moved] = {
    "pad": Pad("op", ("x",), "y", before=3, after=2),
    "pad by all but one": Pad("op", ("x",), "y", before=8, after=8),
    "pad before": Pad("op", ("x",), "y", before=1),
    "pad by nothing": Pad("op", ("x",), "y"),
    "first channels": Slice("op", ("x",), "y", axis="C", start=0, stop=2),
    "last channels": Slice("op", ("x",), "y", axis="C", start=1, stop=4),
    "first token": Slice("op", ("x",), "y", axis="T", start=0, stop=1),
    "later frames": Slice("op", ("x",), "y", axis="T", start=2, stop=8),
    "to one channel": Regroup("op", ("x",), "y", channels=1),
    "to all channels": Regroup("op", ("x",), "y", channels=24),
    "to some channels": Regroup("op", ("x",), "y", channels=3),
    "to the same channels": Regroup("op", ("x",), "y", channels=4),
}


def random_leaky(seed: int, form: Form = "int8") -> IntegerGraph:
    rng = np.random.default_rng(seed)
    source = tensor("x", WIDE, random_scale(rng), random_zero_point(rng))
    scale = float(source.scale) * rng.choice([rng.uniform(0.05, 0.9), rng.uniform(0.9, 3)])
    slope = float(np.float32(rng.choice([0.2, 0.01, 0.0, 1.0, rng.uniform(0, 2)])))
    output = tensor("y", WIDE, scale, random_zero_point(rng))
    return graph_of(LeakyRelu("op", ("x",), "y", slope=slope), source, output, form=form)


def random_prelu(seed: int, form: Form = "int8") -> IntegerGraph:
    rng = np.random.default_rng(seed)
    source = tensor("x", WIDE, random_scale(rng), random_zero_point(rng))
    output = tensor("y", WIDE, float(source.scale) * rng.uniform(0.05, 3), random_zero_point(rng))
    slope = rng.integers(-127, 128, 1 if seed % 4 == 3 else WIDE[1]).astype(np.int8)
    scale = np.float32(rng.uniform(0.1, 2) / 127)
    return graph_of(PRelu("op", ("x",), "y", slope=slope, slope_scale=scale), source, output, form=form)


def random_move(name: str) -> tuple[IntegerGraph, np.ndarray]:
    node, rng = MOVES[name], np.random.default_rng(3)
    source = tensor("x", (1, *SHAPE), 0.05, 7)
    output = tensor("y", output_shape(node, [source.shape]), 0.05, 7)
    return graph_of(node, source, output), random_int8(rng, 3, *SHAPE)


RECTIFIERS = [(random_leaky, seed) for seed in range(24)] + [(random_prelu, seed) for seed in range(24)]


@pytest.mark.parametrize(("make", "seed"), RECTIFIERS)
def test_slopes_equal_both_runtimes_over_all_inputs(make, seed: int) -> None:
    graph = make(seed)
    ours, model = reference.run(graph, EVERY)["y"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, EVERY), ours)
    np.testing.assert_array_equal(tflm(model, EVERY), ours)


@pytest.mark.parametrize(("make", "seed"), RECTIFIERS[::4])
def test_slopes_are_within_one_step_of_the_real_function(make, seed: int) -> None:
    import torch

    graph = make(seed, "island")
    node, (source, output) = graph.nodes[0], (graph["x"], graph["y"])
    real = torch.from_numpy((EVERY.astype(np.float64) - source.zero_point) * float(source.scale))
    if isinstance(node, PRelu):
        slope = torch.from_numpy(node.slope.astype(np.float64) * float(node.slope_scale))
        expected = torch.nn.functional.prelu(real, slope)
    else:
        expected = torch.nn.functional.leaky_relu(real, node.slope)
    steps = (expected.numpy() / float(output.scale) + output.zero_point).clip(-128, 127)
    assert np.abs(reference.run(graph, EVERY)["y"] - steps).max() <= 0.5 + 1e-4
    assert np.abs(simulate.run(graph, EVERY)["y"] - steps).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("seed", range(6))
def test_slopes_are_near_in_litert(seed: int) -> None:
    for make in (random_leaky, random_prelu):
        graph = make(seed)
        steps = litert(tflite_bytes(graph), EVERY).astype(int) - simulate.run(graph, EVERY)["y"]
        assert np.abs(steps).max() <= 1


@pytest.mark.parametrize("form", ["int8", "island"])
def test_slopes_on_torch_tensors_are_those_on_numpy_arrays(form: Form) -> None:
    import torch

    graph = random_prelu(5, form)
    node = graph.nodes[0]
    assert isinstance(node, PRelu)
    parameters = rectify.prelu_parameters(node, graph["x"], graph["y"], form)
    values = EVERY.astype(np.int64)
    found = rectify.prelu(torch.from_numpy(values), parameters)
    np.testing.assert_array_equal(found.numpy(), rectify.prelu(values, parameters))


@pytest.mark.parametrize("name", MOVES)
def test_moved_values_are_those_of_plain_loops(name: str) -> None:
    graph, values = random_move(name)
    node, found = MOVES[name], reference.run(graph, values)["y"]
    batch, channels, frequencies, frames = found.shape
    for b, c, f, t in np.ndindex(batch, channels, frequencies, frames):
        if isinstance(node, Pad):
            place = abs(t - node.before)
            source = (c, f, place if place < SHAPE[2] else 2 * (SHAPE[2] - 1) - place)
        elif isinstance(node, Slice):
            source = (c + node.start, f, t) if node.axis == "C" else (c, f, t + node.start)
        else:
            row = c * frequencies + f
            source = (row // SHAPE[1], row % SHAPE[1], t)
        assert found[(b, c, f, t)] == values[(b, *source)]


@pytest.mark.parametrize("name", MOVES)
def test_moved_values_equal_those_of_every_runtime(name: str) -> None:
    graph, values = random_move(name)
    ours, model = reference.run(graph, values)["y"], tflite_bytes(graph)
    for judge in (builtin_ref, tflm, litert):
        np.testing.assert_array_equal(judge(model, values), ours)
    np.testing.assert_array_equal(simulate.run(graph, values)["y"], ours)


@pytest.mark.parametrize("name", MOVES)
def test_moved_values_on_torch_tensors_are_those_on_numpy_arrays(name: str) -> None:
    import torch

    _, values = random_move(name)
    moved = move(torch.from_numpy(values), MOVES[name])
    np.testing.assert_array_equal(moved.numpy(), move(values, MOVES[name]))


@pytest.mark.parametrize("shape", [(6, 1, 7), (1, 6, 7), (1, 1, 7), (3, 2, 7)])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_sequences_and_images_turn_into_each_other_in_every_runtime(shape: tuple[int, ...], channels: int) -> None:
    channels = min(channels, shape[0] * shape[1])
    node = Regroup("op", ("x",), "y", channels=channels)
    source = tensor("x", (1, *shape), 0.05, 7)
    graph = graph_of(node, source, tensor("y", output_shape(node, [source.shape]), 0.05, 7))
    values = random_int8(np.random.default_rng(1), 2, *shape)
    ours, model = values.reshape(2, channels, -1, 7), tflite_bytes(graph)
    np.testing.assert_array_equal(reference.run(graph, values)["y"], ours)
    np.testing.assert_array_equal(builtin_ref(model, values), ours)
    np.testing.assert_array_equal(tflm(model, values), ours)


ALL = [
    *(random_move(name)[0] for name in MOVES),
    *(make(seed) for make in (random_leaky, random_prelu) for seed in (0, 3)),
]


@pytest.mark.parametrize("graph", ALL)
def test_the_onnx_file_gives_back_the_operator(graph: IntegerGraph) -> None:
    payload = onnx_bytes(graph)
    read = read_onnx(payload)
    assert onnx_bytes(read) == payload
    assert repr(read.nodes) == repr(graph.nodes)


@pytest.mark.parametrize("graph", ALL)
def test_onnx_runtime_computes_the_simulation(graph: IntegerGraph) -> None:
    session = onnxruntime.InferenceSession(onnx_bytes(graph), providers=["CPUExecutionProvider"])
    values = EVERY if graph["x"].shape == WIDE else random_move("pad")[1]
    real = session.run(None, {"x": values})[0]
    np.testing.assert_array_equal(simulate.quantise(real, graph["y"]), simulate.run(graph, values)["y"])


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (Pad("op", ("x",), "y", before=9), "9 frames cannot be mirrored by 9 before and 0 after"),
        (Slice("op", ("x",), "y", axis="C", start=1, stop=5), "1 to 5 of 4 along C"),
        (Slice("op", ("x",), "y", axis="T", start=3, stop=3), "3 to 3 of 9 along T"),
        (Regroup("op", ("x",), "y", channels=5), "cannot be shared out to 5 channels"),
        (PRelu("op", ("x",), "y", slope=np.ones(3, np.int8), slope_scale=np.float32(1)), "3 slopes for 4 channels"),
    ],
)
def test_operators_that_do_not_fit_their_input_are_refused(node, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        output_shape(node, [(1, *SHAPE)])


def test_a_negative_slope_for_all_is_refused() -> None:
    ends = tensor("x", WIDE, 0.1), tensor("y", WIDE, 0.1)
    with pytest.raises(BadInput, match=r"op: a slope of -0\.5"):
        reference.run(graph_of(LeakyRelu("op", ("x",), "y", slope=-0.5), *ends), EVERY)


@pytest.mark.parametrize("scale", [1e-8, 1e-7])
def test_slopes_that_leave_int32_are_refused(scale: float) -> None:
    for node in (
        LeakyRelu("op", ("x",), "y", slope=0.2),
        PRelu("op", ("x",), "y", slope=np.full(6, 127, np.int8), slope_scale=np.float32(0.01)),
    ):
        with pytest.raises(BadInput, match="may overflow int32"):
            reference.run(graph_of(node, tensor("x", WIDE, 1.0), tensor("y", WIDE, scale)), EVERY)


@pytest.mark.parametrize("node", [Pad("op", ("x",), "y", before=1), Slice("op", ("x",), "y", axis="C", stop=2)])
def test_moving_data_to_another_scale_is_refused_by_name(node: Moved) -> None:
    source = tensor("x", (1, *SHAPE), 0.05)
    graph = graph_of(node, source, tensor("y", output_shape(node, [source.shape]), 0.06))
    with pytest.raises(BadInput, match=r"op: .* cannot change the scale"):
        tflite_bytes(graph)
    with pytest.raises(BadInput, match=f"{node.op} 'op' changes the scale"):
        read_onnx(onnx_bytes(graph))


@pytest.mark.needs("tflite_micro")
def test_prelu_on_portable_scales_has_one_result_in_tensorflow_lite_and_in_its_micro_runtime() -> None:
    shape = (1, 1, 16, 16)
    source, output = tensor("x", shape, 0.009632978, -128), tensor("y", shape, 0.0038531912, -128)
    slope = PRelu("op", ("x",), "y", slope=np.array([101], np.int8), slope_scale=np.float32(0.002))
    values = every_value(shape[1:])
    before = graph_of(slope, source, output)
    assert not np.array_equal(tflm(tflite_bytes(before), values), reference.Reference(before).run(values)["y"])
    moved = replace(output, scale=rectify.portable_output_scale(source, output))
    assert 0 < moved.scale / output.scale - 1 < 1e-6
    after = graph_of(rectify.portable_slopes(slope, source, moved), source, moved)
    for judge in (builtin_ref, tflm):
        np.testing.assert_array_equal(judge(tflite_bytes(after), values), reference.Reference(after).run(values)["y"])


def test_portable_slopes_give_negative_values_one_result_in_both_precisions() -> None:
    rng, moved = np.random.default_rng(3), 0
    for _ in range(300):
        source = tensor("x", (1, 64, 1, 1), random_scale(rng), random_zero_point(rng))
        output = tensor("y", (1, 64, 1, 1), float(source.scale) * rng.uniform(0.2, 1.2), 0)
        slope = rng.integers(-127, 128, 64, dtype=np.int8)
        node = PRelu("op", ("x",), "y", slope=slope, slope_scale=np.float32(rng.uniform(0.05, 1) / 127))
        found = rectify.portable_slopes(node, source, output)
        moved += found.slope_scale != node.slope_scale
        assert 0 <= found.slope_scale / node.slope_scale - 1 < 1e-6
        below = np.arange(-128, max(source.zero_point, -127), dtype=np.int64).reshape(1, 1, 1, -1)
        both = [
            rectify.prelu(below, rectify.prelu_parameters(found, source, output, "int8", of))
            for of in ("tflite", "tflm")
        ]
        np.testing.assert_array_equal(*both)
    assert moved
