"""Loops and branches of .tflite files: how often they run where the file tells, and what they hold in any case."""

from dataclasses import replace

import numpy as np
import pytest

from edgeasc.audit.stored_count import count_stored
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor


def tensor(name: str, *shape: int, data: object = None, dtype: str = "float32") -> StoredTensor:
    values = None if data is None else np.asarray(data, dtype).ravel()
    return StoredTensor(name, shape, dtype, 32, values, storage=name if data is not None else "")


def number(name: str, value: int | None = None) -> StoredTensor:
    return tensor(name, data=value, dtype="int32")


def model(tensors: list[StoredTensor], operators: list[tuple], inputs: list[str], outputs: list[str]) -> StoredModel:
    """A model whose tensors are spoken of by name."""
    place = {item.name: index for index, item in enumerate(tensors)}
    return StoredModel(
        format="tflite",
        tensors=tuple(tensors),
        operators=tuple(
            StoredOperator(outs[0], op, tuple(place[i] for i in ins), tuple(place[o] for o in outs), attributes=options)
            for op, ins, outs, options in operators
        ),
        inputs=tuple(place[name] for name in inputs),
        outputs=tuple(place[name] for name in outputs),
        metadata={},
    )


def loop(start: int = 0, end: int = 9, step: int = 1, compare: str = "LESS") -> StoredModel:
    """`for i in range(start, end, step): state = dense(state)` with 4 x 4 weights, as a converter writes it."""
    condition = model(
        [number("i"), tensor("s", 1, 4), number("end", end), tensor("go", dtype="bool")],
        [(compare, ["i", "end"], ["go"], {})],
        ["i", "s"],
        ["go"],
    )
    body = model(
        [
            number("i"),
            tensor("s", 1, 4),
            number("step", step),
            number("next"),
            tensor("w", 4, 4, data=np.ones((4, 4))),
            tensor("t", 1, 4),
        ],
        [("ADD", ["i", "step"], ["next"], {}), ("FULLY_CONNECTED", ["s", "w"], ["t"], {})],
        ["i", "s"],
        ["next", "t"],
    )
    main = model(
        [
            tensor("x", 1, 4),
            number("start", start),
            tensor("zeros", 1, 4, data=np.zeros(4)),
            number("last"),
            tensor("state", 1, 4),
            tensor("y", 1, 4),
        ],
        [
            ("WHILE", ["start", "zeros"], ["last", "state"], {"cond": 1, "body": 2}),
            ("ADD", ["x", "state"], ["y"], {}),
        ],
        ["x"],
        ["y"],
    )
    return replace(main, subgraphs=(condition, body))


@pytest.mark.parametrize(("start", "end", "step"), [(0, 9, 1), (2, 9, 1), (0, 9, 2), (0, 0, 1), (5, 3, 1)])
def test_a_counted_loop_computes_its_body_as_often_as_it_runs(start: int, end: int, step: int) -> None:
    count = count_stored(loop(start, end, step))
    assert (count.macs, dict(count.unknown)) == (len(range(start, end, step)) * 16, {})


def test_weights_in_a_loop_count_once_and_where_it_starts_not_at_all() -> None:
    count = count_stored(loop())
    assert (count.parameters.total, count.parameters.nonzero) == (16, 16)
    assert {item.what: item.elements for item in count.apart}["initial states"] == 4 + 1


@pytest.mark.parametrize("changed", [{"compare": "NOT_EQUAL"}, {"step": 0}, {"step": -1}])
def test_a_loop_whose_end_the_data_decide_is_unknown_and_its_weights_count(changed: dict) -> None:
    count = count_stored(loop(**changed))
    assert (dict(count.unknown), count.macs) == ({"WHILE": 1}, 16)
    assert count.parameters.total == 16


def test_a_loop_that_runs_itself_ends_and_is_unknown() -> None:
    endless = loop()
    body = endless.subgraphs[1]
    again = replace(body.operators[1], op="WHILE", attributes={"cond": 1, "body": 2})
    count = count_stored(replace(endless, subgraphs=(endless.subgraphs[0], replace(body, operators=(again,)))))
    assert "WHILE" in count.unknown


def test_of_a_branch_the_costlier_side_counts() -> None:
    def side(width: int) -> StoredModel:
        weights = tensor(f"w{width}", width, 4, data=np.ones((width, 4)))
        tensors = [tensor("s", 1, 4), weights, tensor("t", 1, width)]
        return model(tensors, [("FULLY_CONNECTED", ["s", weights.name], ["t"], {})], ["s"], ["t"])

    tensors = [tensor("x", 1, 4), tensor("flag", dtype="bool"), tensor("y", 1, 3)]
    main = model(tensors, [("IF", ["flag", "x"], ["y"], {"then": 1, "else": 2})], ["x", "flag"], ["y"])
    count = count_stored(replace(main, subgraphs=(side(3), side(5))))
    assert (count.macs, count.parameters.total) == (20, 12 + 20)


def test_a_body_needs_its_own_memory_while_the_loop_runs() -> None:
    """Inside, the next counter (4 B) with the old and the new state (16 B each); outside, x, the counter, the state."""
    count = count_stored(loop())
    assert count.memory.peak == (4 + 16 + 16) + (16 + 4 + 16)
