"""Control flow: which sub-graphs an operator runs, and how often, where the file itself tells.

A loop as converters write recurrent layers counts up: its condition compares counters that start at a constant, grow by
a constant in the body and end at a constant. Of a branch the costlier side counts. Whatever is decided by data stays
unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeasc.graph.stored import StoredModel, StoredOperator

LOOPS, BRANCHES, CALLS, ONCE = ("WHILE", "Loop", "Scan"), ("IF", "If"), ("STABLEHLO_COMPOSITE",), ("CALL_ONCE",)
CONTROL = (*LOOPS, *BRANCHES, *CALLS, *ONCE)
_BODIES = ("body", "then", "else", "init", "cond")


def bodies(operator: StoredOperator, count: int) -> dict[str, int]:
    """The numbers of the sub-graphs that `operator` runs, by their part; of `count` sub-graphs in the file."""
    if operator.op not in CONTROL:
        return {}
    found = {part: int(operator.attributes[part]) for part in _BODIES if part in operator.attributes}
    return {part: number for part, number in found.items() if 1 <= number <= count}


def trips(operator: StoredOperator, model: StoredModel, subgraphs: Sequence[StoredModel]) -> int | None:
    """How often the body of a loop runs; None where that is decided by data."""
    if operator.op in ("Loop", "Scan"):
        given = operator.attributes.get("trips")
        return None if given is None else int(given)
    parts = bodies(operator, len(subgraphs))
    if "cond" not in parts or "body" not in parts:
        return None
    condition, body = subgraphs[parts["cond"] - 1], subgraphs[parts["body"] - 1]
    ends = _comparisons(condition)
    if not ends:
        return None
    counts = [_count(operator, model, body, place, end) for place, end in ends]
    known = [count for count in counts if count is not None]
    return min(known) if len(known) == len(counts) else None


def is_invariant(operator: StoredOperator, place: int, subgraphs: Sequence[StoredModel]) -> bool:
    """Whether a loop hands its input `place` from step to step as it is, as it does with weights; state changes."""
    number = bodies(operator, len(subgraphs)).get("body")
    if number is None:
        return True
    body = subgraphs[number - 1]
    if operator.op == "Scan" and place >= len(body.outputs):
        return True  # gone along, not changed
    result = place - 1 if operator.op == "Loop" else place  # a Loop gets its number of steps, which it does not give on
    if not (0 <= place < len(body.inputs) and 0 <= result < len(body.outputs)):
        return operator.op == "Loop" and place == 0
    copies = {op.outputs[0]: op.inputs[0] for op in body.operators if op.op == "Identity" and op.inputs and op.outputs}
    source = body.outputs[result]
    for _ in range(len(copies)):  # no longer than the longest chain
        source = copies.get(source, source)
    return source == body.inputs[place]


def _comparisons(condition: StoredModel) -> list[tuple[int, int]]:
    """The inputs that must stay below a constant, with that constant; empty where the condition is anything else."""
    writers = {index: operator for operator in condition.operators for index in operator.outputs}
    waiting, found = list(condition.outputs), list[tuple[int, int]]()
    while waiting:
        operator = writers.get(waiting.pop())
        if operator is None or len(operator.inputs) != 2 or len(found) > len(condition.operators):
            return []
        if operator.op == "LOGICAL_AND":
            waiting += operator.inputs
            continue
        counter, end = operator.inputs
        limit = _scalar(condition, end)
        if operator.op != "LESS" or counter not in condition.inputs or limit is None:
            return []
        found.append((condition.inputs.index(counter), limit))
    return found


def _count(operator: StoredOperator, model: StoredModel, body: StoredModel, place: int, end: int) -> int | None:
    """Steps of the counter at input `place` of the loop until it reaches `end`."""
    if max(place, 0) >= min(len(operator.inputs), len(body.inputs), len(body.outputs)):
        return None
    start = _scalar(model, operator.inputs[place])
    writer = next((item for item in body.operators if body.outputs[place] in item.outputs), None)
    if start is None or writer is None or writer.op != "ADD" or body.inputs[place] not in writer.inputs:
        return None
    steps = [_scalar(body, index) for index in writer.inputs if index != body.inputs[place]]
    if len(steps) != 1 or steps[0] is None or steps[0] < 1:
        return None
    return max(0, -((start - end) // steps[0]))


def _scalar(model: StoredModel, index: int) -> int | None:
    """The value of an integer constant of one element."""
    tensor = model.tensors[index] if index >= 0 else None
    if tensor is None or tensor.data is None or tensor.data.size != 1 or not tensor.dtype.startswith("int"):
        return None
    return int(tensor.data[0])
