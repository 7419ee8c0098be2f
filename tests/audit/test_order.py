"""The best operator order: never worse than the stored one, exact on small graphs, and what the peak then is."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest
from expected_counts import audited
from tflite_file import Op, T, tflite_file

from edgeasc.audit.memory import Step, live_bytes, plan
from edgeasc.audit.order import better_order


def test_two_branches_run_one_after_the_other(tmp_path: Path) -> None:
    """x (10) -> a, b (100 each) -> small a, small b (1 each) -> y: stored, both large ones live at once."""
    tensors = [T("x", (10,)), *(T(name, (100,)) for name in ("a", "b")), *(T(name, (1,)) for name in ("c", "d", "y"))]
    operators = [
        Op("TILE", ["x"], ["a"]),
        Op("TILE", ["x"], ["b"]),
        Op("MEAN", ["a"], ["c"]),
        Op("MEAN", ["b"], ["d"]),
        Op("ADD", ["c", "d"], ["y"]),
    ]
    model = audited(tmp_path, tflite_file(tensors, operators, ["x"], ["y"]), ".tflite")
    assert model.peak_activation_bytes == 10 + 100 + 100
    assert (model.best_peak_bytes, model.best_peak_exact) == (10 + 1 + 100, True)
    assert sorted(model.best_order) == ["a", "b", "c", "d", "y"]


def test_a_chain_has_one_order_and_says_so(tmp_path: Path) -> None:
    tensors = [T(name, (size,)) for name, size in (("x", 4), ("a", 9), ("y", 2))]
    operators = [Op("RELU", ["x"], ["a"]), Op("RELU", ["a"], ["y"])]
    model = audited(tmp_path, tflite_file(tensors, operators, ["x"], ["y"]), ".tflite")
    assert (model.peak_activation_bytes, model.best_peak_bytes, model.best_order) == (13, 13, ())


def random_graph(seed: int, steps: int) -> tuple[list[Step], dict[int, int]]:
    """Steps that read one or two earlier tensors; tensor 0 is the input, the last one the output."""
    rng = np.random.default_rng(seed)
    graph = []
    for number in range(steps):
        reads = rng.choice(number + 1, size=min(number + 1, int(rng.integers(1, 3))), replace=False)
        graph.append(Step(str(number), tuple(int(tensor) for tensor in reads), (number + 1,)))
    return graph, {tensor: int(rng.integers(1, 100)) for tensor in range(steps + 1)}


def orders(graph: list[Step]) -> list[tuple[int, ...]]:
    """Every order in which the steps can run, by trying all."""
    return [
        order
        for order in itertools.permutations(range(len(graph)))
        if all(
            tensor == 0 or order.index(tensor - 1) < place
            for place, number in enumerate(order)
            for tensor in graph[number].reads
        )
    ]


@pytest.mark.parametrize("seed", range(40))
def test_no_order_at_all_needs_less(seed: int) -> None:
    graph, sizes = random_graph(seed, 6)
    least = min(max(live_bytes([graph[i] for i in order], sizes, [0], [6])) for order in orders(graph))
    found = plan(graph, sizes, [0], [6])
    assert (found.best_peak, found.exact) == (least, True)


@pytest.mark.parametrize("seed", range(10))
def test_the_order_found_has_the_peak_it_claims(seed: int) -> None:
    graph, sizes = random_graph(seed, 30)
    stored = max(live_bytes(graph, sizes, [0], [30]))
    order, _ = better_order(graph, sizes, [0], [30], stored)
    if order:
        assert sorted(order) == list(range(30))
        written = {0}
        for number in order:
            assert written.issuperset(graph[number].reads)
            written.update(graph[number].writes)
        assert max(live_bytes([graph[i] for i in order], sizes, [0], [30])) < stored


def test_a_graph_too_wide_for_the_search_gets_a_greedy_order_and_says_so() -> None:
    """Forty branches of two steps each, whose sizes differ, stored all first steps first."""
    width = 40
    sizes = {0: 1} | {1 + i: 50 + i for i in range(width)} | {1 + width + i: 3 + i % 7 for i in range(width)}
    first = [Step(f"a{i}", (0,), (1 + i,)) for i in range(width)]
    second = [Step(f"b{i}", (1 + i,), (1 + width + i,)) for i in range(width)]
    last = Step("y", tuple(range(1 + width, 1 + 2 * width)), (1 + 2 * width,))
    sizes[1 + 2 * width] = 1
    found = plan([*first, *second, last], sizes, [0], [1 + 2 * width])
    assert found.best_peak < found.peak
    assert not found.exact


def test_a_graph_of_thousands_of_loose_operators_takes_no_time() -> None:
    """Every operator could run at any time: the search and the greedy order both give up."""
    size = 1_500
    steps = [Step(str(i), (0,), (1 + i,)) for i in range(size)]
    last = Step("y", tuple(range(1, size + 1)), (size + 1,))
    start = time.process_time()
    found = plan([*steps, last], dict.fromkeys(range(size + 2), 7), [0], [size + 1])
    assert (found.best_peak, time.process_time() - start < 5) == (found.peak, True)
