"""ADD, SUB and MUL alone, over all 65,536 pairs of int8 values, and broadcast."""

import numpy as np
import pytest
from judges import builtin_ref, litert, tflm
from one_op import graph_of, random_int8, random_scale, random_zero_point, tensor

from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import reference, simulate
from edgeasc.graph.model import Add, IntegerGraph, Mul, Node, Sub

OPERATORS: dict[str, Node] = {
    "add": Add("op", ("a", "b"), "c"),
    "add relu": Add("op", ("a", "b"), "c", activation="relu"),
    "sub": Sub("op", ("a", "b"), "c"),
    "sub reversed": Sub("op", ("b", "a"), "c"),
    "mul": Mul("op", ("a", "b"), "c"),
}
ALL = np.arange(-128, 128, dtype=np.int8)
PAIRS = np.broadcast_to(ALL[:, None], (1, 1, 256, 256)).copy()


def all_pairs(name: str, seed: int) -> IntegerGraph:
    """Every value against the constant vector of every value; the output scale fits the larger operand or product."""
    rng = np.random.default_rng(seed)
    first = random_scale(rng)
    second = float(np.float32(first * rng.choice([1.0, rng.uniform(0.5, 2.0), rng.uniform(0.01, 100.0)])))
    largest = first * second * 128 if name == "mul" else first + second
    a = tensor("a", (1, 1, 256, 256), first, random_zero_point(rng))
    b = tensor("b", (1, 1, 1, 256), second, random_zero_point(rng), ALL)
    c = tensor("c", a.shape, largest * rng.uniform(0.3, 1.2), int(rng.integers(-100, 100)))
    return graph_of(OPERATORS[name], a, b, c)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", OPERATORS)
def test_all_pairs_equal_both_runtimes(name: str, seed: int) -> None:
    graph = all_pairs(name, seed)
    ours, model = reference.run(graph, PAIRS)["c"], tflite_bytes(graph)
    assert len(np.unique(ours)) > 30
    np.testing.assert_array_equal(builtin_ref(model, PAIRS), ours)
    np.testing.assert_array_equal(tflm(model, PAIRS), ours)


@pytest.mark.parametrize("name", OPERATORS)
def test_litert_equals_the_simulation_but_for_a_few_ties(name: str) -> None:
    graph = all_pairs(name, 0)
    steps = np.abs(litert(tflite_bytes(graph), PAIRS).astype(int) - simulate.run(graph, PAIRS)["c"])
    assert steps.max() <= 1 and np.count_nonzero(steps) <= 5  # of 65,536


@pytest.mark.parametrize("name", OPERATORS)
def test_a_pair_is_within_one_step_of_the_real_result(name: str) -> None:
    graph = all_pairs(name, 3)
    steps = reference.run(graph, PAIRS)["c"].astype(int) - simulate.run(graph, PAIRS)["c"]
    assert np.abs(steps).max() <= 1 and np.mean(steps != 0) < 0.02


@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 4, 6, 5), (1, 4, 1, 5)),
        ((1, 4, 6, 5), (1, 4, 1, 1)),
        ((1, 4, 6, 5), (1, 1, 6, 1)),
        ((1, 4, 6, 5), (1, 1, 1, 1)),
        ((1, 4, 1, 5), (1, 4, 6, 5)),
    ],
)
@pytest.mark.parametrize("name", OPERATORS)
def test_broadcasting_equals_both_runtimes(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(11)
    a = tensor("a", shapes[0], 0.05, 7)
    b = tensor("b", shapes[1], 0.03, -9, random_int8(rng, *shapes[1]))
    c = tensor("c", np.broadcast_shapes(*shapes), 0.2 if name == "mul" else 0.06, 3)
    graph, clips = graph_of(OPERATORS[name], a, b, c), random_int8(rng, 2, *shapes[0][1:])
    ours, model = reference.run(graph, clips)["c"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, clips), ours)
    np.testing.assert_array_equal(tflm(model, clips), ours)


@pytest.mark.parametrize("name", ["add", "mul"])
def test_one_tensor_may_be_both_operands(name: str) -> None:
    node = type(OPERATORS[name])("op", ("a", "a"), "c")
    graph = graph_of(node, tensor("a", (1, 1, 16, 16), 0.05, 7), tensor("c", (1, 1, 16, 16), 0.2, -100))
    clips = ALL.reshape(1, 1, 16, 16)
    ours, model = reference.run(graph, clips)["c"], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, clips), ours)
    np.testing.assert_array_equal(tflm(model, clips), ours)


def test_single_rounding_of_a_product_is_half_up_of_the_exact_value() -> None:
    a, b = tensor("a", (1, 1, 256, 256), 0.5), tensor("b", (1, 1, 1, 256), 0.25, 0, ALL)
    graph = graph_of(OPERATORS["mul"], a, b, tensor("c", a.shape, 16.0), form="island")
    exact = np.floor(PAIRS.astype(float) * ALL * 0.5 * 0.25 / 16.0 + 0.5).clip(-128, 127)
    np.testing.assert_array_equal(reference.run(graph, PAIRS)["c"], exact)


@pytest.mark.parametrize("form", ["int8", "island"])
@pytest.mark.parametrize(("kind", "most"), [(Add, 2.0**12), (Sub, 2.0**12), (Mul, 2.0**14)])
def test_numbers_that_the_output_s_scale_takes_out_of_int32_are_refused(kind, most, form) -> None:
    def graph(scale: float) -> IntegerGraph:
        a = tensor("a", (1, 1, 1, 4), 1.0)
        b = tensor("b", (1, 1, 1, 4), 1.0, data=np.arange(4))
        return graph_of(kind("op", ("a", "b"), "c"), a, b, tensor("c", (1, 1, 1, 4), scale), form=form)

    reference.Reference(graph(1 / most))
    for beyond in (2.0**24, 2.0**45, 2.0**100):
        with pytest.raises(BadInput, match=" c may overflow int32"):
            reference.Reference(graph(1 / beyond))
