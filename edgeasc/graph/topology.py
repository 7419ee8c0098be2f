"""The order in which operators can run: kept where the file's own can, found where it cannot, refused on a cycle."""

from __future__ import annotations

import heapq
from dataclasses import replace

from edgeasc.errors import BadInput
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.stored import StoredModel


def in_order(model: StoredModel) -> StoredModel:
    """`model` with every operator behind those whose outputs it reads; otherwise in the file's order.

    Raises:
        BadInput: operators that wait for one another, or an activation without a single element.
    """
    _refuse_empty(model)
    writer = {
        index: number
        for number, operator in enumerate(model.operators)
        for index in operator.outputs
        if not model.tensors[index].variable
    }
    waits = [
        {writer[index] for index in operator.inputs if index in writer and model.tensors[index].data is None}
        for operator in model.operators
    ]
    if all(max(needed, default=-1) < number for number, needed in enumerate(waits)):
        return model
    order = _sorted(waits)
    if len(order) < len(model.operators):
        stuck = next(number for number in range(len(waits)) if number not in set(order))
        name = model.operators[stuck].name
        raise BadInput("graph", f"a cycle: operator {name!r} waits for its own output")
    return replace(model, operators=tuple(model.operators[number] for number in order), reordered=True)


def without_unused(graph: IntegerGraph) -> IntegerGraph:
    """`graph` without nodes on which its output does not depend."""
    wanted = {graph.output}
    kept = []
    for node in reversed(graph.nodes):
        if node.output in wanted:
            kept.append(node)
            wanted |= set(node.inputs)
    return graph if len(kept) == len(graph.nodes) else replace(graph, nodes=tuple(reversed(kept)))


def _sorted(waits: list[set[int]]) -> list[int]:
    """Numbers so that each comes after those it waits for, the smallest first; those in a cycle are left out."""
    followers: list[list[int]] = [[] for _ in waits]
    missing = [len(needed) for needed in waits]
    for number, needed in enumerate(waits):
        for other in needed:
            followers[other].append(number)
    ready = [number for number, left in enumerate(missing) if not left]
    order = []
    while ready:
        number = heapq.heappop(ready)
        order.append(number)
        for follower in followers[number]:
            missing[follower] -= 1
            if not missing[follower]:
                heapq.heappush(ready, follower)
    return order


def _refuse_empty(model: StoredModel) -> None:
    for index in (*model.inputs, *model.outputs):
        tensor = model.tensors[index]
        if tensor.elements == 0:
            raise BadInput("graph", f"tensor {tensor.name!r} of shape {list(tensor.shape)} holds nothing")
