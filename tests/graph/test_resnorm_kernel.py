"""ResNorm as an island in integers, against floats: half an output step, whatever the scales; dead bins exact."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import builtin_ref, litert, tflm
from one_op import graph_of, tensor

from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import reference
from edgeasc.graph.kernels.resnorm import MAX_COUNT, SLOPE, START, _inverse_sqrt, _normalise, resnorm_parameters
from edgeasc.graph.model import IntegerGraph, ResNorm


@dataclass(frozen=True)
class Case:
    graph: IntegerGraph
    clips: np.ndarray


def float_steps(case: Case) -> np.ndarray:
    """The output in real-valued output steps, float64, unclipped."""
    source, output = case.graph["x"], case.graph["y"]
    (node,) = case.graph.nodes
    assert isinstance(node, ResNorm)
    x = (case.clips.astype(np.float64) - source.zero_point) * float(source.scale)
    mean, variance = x.mean(axis=(1, 3), keepdims=True), x.var(axis=(1, 3), keepdims=True)
    y = node.lam * x + (x - mean) / np.sqrt(variance + node.eps)
    return y / float(output.scale) + output.zero_point


def worst_error(case: Case) -> float:
    ours = reference.run(case.graph, case.clips)["y"].astype(np.float64)
    return float(np.abs(ours - float_steps(case).clip(-128, 127)).max())


def make_case(
    clips: np.ndarray, scale: float, zero_point: int, lam: float, eps: float, fill: float, output_zero_point: int
) -> Case:
    """`fill` is the largest normalised value in output steps, over 128."""
    shape = (1, *clips.shape[1:])
    source = tensor("x", shape, scale, zero_point)
    draft = Case(
        graph_of(ResNorm("norm", ("x",), "y", lam=lam, eps=eps), source, tensor("y", shape, 1.0), form="island"), clips
    )
    largest = float(np.abs(float_steps(draft)).max())
    output = tensor("y", shape, max(largest / (128 * fill), 1e-30), output_zero_point)
    return Case(graph_of(draft.graph.nodes[0], source, output, form="island"), clips)


def noise(seed: int, shape: tuple[int, int, int], spread: float, level: float = 0.0) -> np.ndarray:
    """Noise with one dead bin, one with a single deviating value, one that saturates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(level, spread, size=(2, *shape))
    x[:, :, 0] = x[:, :, :1, :1][:, :1, 0]
    x[:, :, 1] = 5
    x[:, 0, 1, 0] = 6
    x[:, :, 2] *= 40
    return np.rint(x).clip(-128, 127).astype(np.int8)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 12), st.integers(3, 6), st.integers(1, 40)),
    spread=st.floats(0.3, 80),
    level=st.floats(-120, 120),
    scale=st.floats(-14, 10).map(lambda power: 10.0**power),
    zero_point=st.integers(-128, 127),
    lam=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    eps=st.sampled_from([1e-12, 1e-5, 1e-3, 1e-2, 1.0]),
    fill=st.floats(0.2, 3.0),
    output_zero_point=st.integers(-128, 127),
)
def test_half_a_step_from_float_for_any_scales(
    seed: int,
    shape: tuple[int, int, int],
    spread: float,
    level: float,
    scale: float,
    zero_point: int,
    lam: float,
    eps: float,
    fill: float,
    output_zero_point: int,
) -> None:
    case = make_case(noise(seed, shape, spread, level), scale, zero_point, lam, eps, fill, output_zero_point)
    assert worst_error(case) <= 0.51


@pytest.mark.parametrize("seed", range(5))
def test_a_long_clip_is_half_a_step_from_float(seed: int) -> None:
    case = make_case(noise(seed, (80, 8, 167), 30.0), 0.04, -11, 0.1, 1e-3, 1.0, 3)
    assert worst_error(case) <= 0.51


def test_a_dead_bin_keeps_exactly_its_residual() -> None:
    clips = np.full((1, 4, 3, 9), 37, dtype=np.int8)
    case = make_case(clips, 0.05, -20, 0.25, 1e-3, 0.5, 10)
    residual = 0.25 * 57 * 0.05 / float(case.graph["y"].scale) + 10
    assert np.unique(reference.run(case.graph, case.clips)["y"]).tolist() == [np.floor(residual + 0.5)]


def test_negative_scale_of_residual_rounds_away_from_zero() -> None:
    clips = np.array([-3, -1, 1, 3], dtype=np.int8).reshape(4, 1, 1, 1)  # one value per bin: dead
    source, output = tensor("x", (1, 1, 1, 1), 1.0), tensor("y", (1, 1, 1, 1), 1.0)
    graph = graph_of(ResNorm("norm", ("x",), "y", lam=0.5, eps=1e-3), source, output, form="island")
    assert reference.run(graph, clips)["y"].ravel().tolist() == [-2, -1, 1, 2]


@pytest.mark.parametrize("seed", range(4))
def test_runtimes_with_float_islands_are_within_one_step(seed: int) -> None:
    case = make_case(noise(seed, (6, 8, 20), 25.0), 0.06, 5, 0.1, 1e-3, 1.0, -7)
    ours, model = reference.run(case.graph, case.clips)["y"].astype(int), tflite_bytes(case.graph)
    for judge in (builtin_ref, tflm, litert):
        steps = np.abs(judge(model, case.clips) - ours)
        assert steps.max() <= 1 and np.mean(steps > 0) < 0.01


def test_inverse_square_root_is_accurate_to_twenty_two_bits() -> None:
    mantissa = np.linspace(2**28, 2**30 - 1, 100_001).astype(np.int64)
    error = _inverse_sqrt(mantissa) / 2.0**30 * np.sqrt(mantissa / 2.0**30) - 1
    assert np.abs(error).max() < 2.0**-22
    assert START < 2**32 and SLOPE < 2**31


@pytest.mark.parametrize("wide", [1, 2, 3, 4, 5, 2**28 - 1, 2**28, 2**30 - 1, 2**30, 2**31, 2**45 + 1, 2**62 - 1])
def test_normalising_shifts_by_even_powers_into_range(wide: int) -> None:
    mantissa, exponent = (int(part) for part in _normalise(np.array(wide, dtype=np.int64)))
    assert 2**28 <= mantissa < 2**30
    assert mantissa == (wide >> 2 * exponent if exponent >= 0 else wide << -2 * exponent)


def test_too_many_values_per_frequency_are_refused_by_name() -> None:
    source = tensor("x", (1, MAX_COUNT + 1, 1, 1), 0.1)
    with pytest.raises(BadInput, match=r"stage\.norm: 131072 values"):
        resnorm_parameters(ResNorm("stage.norm", ("x",), "y"), source, source)


def test_a_residual_of_too_many_steps_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"stage\.norm: one input step"):
        resnorm_parameters(
            ResNorm("stage.norm", ("x",), "y", lam=1.0), tensor("x", (1, 1, 1, 4), 64.0), tensor("y", (1, 1, 1, 4), 1.0)
        )
