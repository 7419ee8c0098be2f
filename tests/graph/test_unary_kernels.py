"""LOGISTIC, RSQRT and SiLU alone, over all 256 inputs."""

from dataclasses import replace

import numpy as np
import pytest
from judges import builtin_ref, tflm
from one_op import every_value, graph_of, random_scale, random_zero_point, tensor

from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import reference
from edgeasc.graph.kernels import fixedpoint
from edgeasc.graph.kernels.unary import logistic_table, portable_rsqrt_scale, rsqrt_table, silu_table
from edgeasc.graph.model import Form, IntegerGraph, Logistic, Rsqrt, Silu

SHAPE = (1, 1, 16, 16)
ALL = every_value(SHAPE[1:])
# Input and output scale for which sqrt(scale) * scale in float32 and in float64 fall on two sides of a tie.
SPLIT_SCALES = float.fromhex("0x1.a99e7ep-11"), float.fromhex("0x1.73563ap-6")


@pytest.mark.parametrize("seed", range(40))
def test_logistic_equals_both_runtimes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = tensor("x", SHAPE, random_scale(rng, 1e-4, 2.0), random_zero_point(rng))
    graph = graph_of(Logistic("op", ("x",), "y"), source, tensor("y", SHAPE, 1 / 256, -128))
    ours, model = reference.run(graph, ALL)["y"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, ALL), ours)
    np.testing.assert_array_equal(tflm(model, ALL), ours)


def test_logistic_is_within_one_step_of_the_sigmoid() -> None:
    source = tensor("x", SHAPE, 0.07, 10)
    real = 256 / (1 + np.exp(-(np.arange(-128, 128) - 10) * float(source.scale))) - 128
    assert np.abs(logistic_table(source, "int8") - real.clip(-128, 127)).max() <= 1


def random_rsqrt(seed: int) -> IntegerGraph:
    rng = np.random.default_rng(seed)
    source = tensor("x", SHAPE, random_scale(rng, 1e-6, 10.0), -128)
    largest = 1 / np.sqrt(float(source.scale))
    output = tensor("y", SHAPE, largest * rng.uniform(0.2, 1.0) / 255, int(rng.choice([-128, 0, 5])))
    return graph_of(Rsqrt("op", ("x",), "y"), source, output)


@pytest.mark.parametrize("seed", range(40))
def test_rsqrt_equals_both_runtimes(seed: int) -> None:
    graph = random_rsqrt(seed)
    ours, model = reference.run(graph, ALL)["y"], tflite_bytes(graph)
    assert len(np.unique(ours)) > 20
    np.testing.assert_array_equal(builtin_ref(model, ALL), ours)
    np.testing.assert_array_equal(tflm(model, ALL), ours)


def split_rsqrt() -> IntegerGraph:
    source, output = (tensor(name, SHAPE, scale, -128) for name, scale in zip("xy", SPLIT_SCALES, strict=True))
    return graph_of(Rsqrt("op", ("x",), "y"), source, output)


def test_the_runtimes_disagree_on_rsqrt_at_a_tie_and_each_has_its_twin() -> None:
    graph = split_rsqrt()
    model, ends = tflite_bytes(graph), (graph["x"], graph["y"])
    tables = {"tflite": builtin_ref(model, ALL).ravel(), "tflm": tflm(model, ALL).ravel()}
    assert np.count_nonzero(tables["tflite"] != tables["tflm"]) == 1
    np.testing.assert_array_equal(rsqrt_table(*ends, "int8", "tflite"), tables["tflite"])
    np.testing.assert_array_equal(rsqrt_table(*ends, "int8", "tflm"), tables["tflm"])


def test_a_portable_scale_reconciles_the_runtimes() -> None:
    graph = split_rsqrt()
    scale = portable_rsqrt_scale(graph["x"], graph["y"])
    assert 1 < scale / graph["y"].scale < 1 + 1e-5
    moved = graph_of(graph.nodes[0], graph["x"], replace(graph["y"], scale=scale))
    model = tflite_bytes(moved)
    np.testing.assert_array_equal(builtin_ref(model, ALL), tflm(model, ALL))
    np.testing.assert_array_equal(reference.run(moved, ALL)["y"], tflm(model, ALL))


def test_silu_is_the_rounded_real_function() -> None:
    source, output = tensor("x", SHAPE, 0.05, -20), tensor("y", SHAPE, 0.03, -118)
    real = (np.arange(-128, 128) + 20) * float(source.scale)
    steps = real / (1 + np.exp(-real)) / float(output.scale)
    expected = (np.where(steps < 0, np.ceil(steps - 0.5), np.floor(steps + 0.5)) - 118).clip(-128, 127)
    np.testing.assert_array_equal(silu_table(source, output), expected)


@pytest.mark.parametrize("seed", range(10))
def test_silu_island_is_within_one_step_of_both_runtimes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = tensor("x", SHAPE, random_scale(rng, 1e-3, 0.2), random_zero_point(rng))
    output = tensor("y", SHAPE, float(source.scale) * rng.uniform(0.4, 1.0), -110)
    graph = graph_of(Silu("op", ("x",), "y"), source, output, form="island")
    ours, model = reference.run(graph, ALL)["y"].astype(int), tflite_bytes(graph)
    for judge in (builtin_ref, tflm):
        steps = np.abs(judge(model, ALL) - ours)
        assert steps.max() <= 1 and np.count_nonzero(steps) <= 1  # float32 against float64, at a tie


def test_gemmlowp_constants_are_what_they_say() -> None:
    q0 = {k: round(np.exp(-(2.0**k)) * 2**31) for k, _ in fixedpoint.EXP_MINUS_POWER}
    assert q0 == dict(fixedpoint.EXP_MINUS_POWER)
    assert round(np.exp(-1 / 8) * 2**31) == fixedpoint.EXP_MINUS_EIGHTH
    assert round(2**31 / 3) == fixedpoint.ONE_THIRD
    assert round(48 / 17 * 2**29) == fixedpoint.FORTY_EIGHT_SEVENTEENTHS
    assert round(-32 / 17 * 2**29) == fixedpoint.MINUS_THIRTY_TWO_SEVENTEENTHS
    assert round(np.sqrt(2) / 2 * 2**31) == fixedpoint.HALF_SQRT_2


@pytest.mark.parametrize("value", [1, 2, 3, 5, 255, 65_535, 2**29, 2**31 - 1])
def test_inverse_sqrt_is_accurate(value: int) -> None:
    multiplier, shift = fixedpoint.inverse_sqrt(value)
    assert shift <= 0
    assert abs(multiplier * 2.0 ** (shift - 31) * np.sqrt(value) - 1) < 2e-6  # x^3 has 22 fractional bits


def test_silu_of_a_grid_beyond_the_range_of_exp_is_zero_or_the_input_without_a_warning() -> None:
    source, output = tensor("x", SHAPE, 20.0, 0), tensor("y", SHAPE, 20.0, 0)
    expected = np.maximum(np.arange(-128, 128), 0)
    np.testing.assert_array_equal(silu_table(source, output), expected)


@pytest.mark.parametrize("form", ["int8", "island"])
def test_a_sigmoid_of_steps_that_are_all_far_out_is_a_step(form: Form) -> None:
    table = logistic_table(tensor("x", (1, 1, 1, 4), 1e6, 3), form)
    assert table[: 128 + 3].max() == -128 and table[128 + 4 :].min() == 127


def test_a_root_that_its_output_s_scale_takes_out_of_int32_is_refused() -> None:
    with pytest.raises(BadInput, match="the root y may overflow int32"):
        rsqrt_table(tensor("x", (1, 1, 1, 4), 1e-12, -128), tensor("y", (1, 1, 1, 4), 1e-6), "int8")
