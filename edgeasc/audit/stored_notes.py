"""What a reader of the counts of a stored model should know beside the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgeasc.audit.loops import BRANCHES
from edgeasc.graph.stored import UNKNOWN, StoredModel


def notes_on(model: StoredModel, unknown: Counter[str], again: int) -> list[str]:
    """Remarks on `model` whose operators `unknown` nobody counted and which uses `again` parameters once more."""
    return [*_on_operations(model, unknown), *_on_constants(model, again)]


def _on_operations(model: StoredModel, unknown: Counter[str]) -> Iterator[str]:
    if unknown:
        yield f"unknown operators, their multiply-accumulates are not in the sum: {', '.join(sorted(unknown))}"
    open_sides = [t.name for t in model.tensors if t.data is None and any(side < 0 for side in t.shape[1:])]
    if open_sides:
        first = f"{len(open_sides)} tensors, the first {open_sides[0]!r}"
        yield f"open sides taken as 1 in {first}: multiply-accumulates and RAM are lower bounds"
    shapeless = [tensor.name for tensor in model.tensors if tensor.dtype == UNKNOWN]
    if shapeless:
        yield f"the shapes of {len(shapeless)} tensors, the first {shapeless[0]!r}, are not known: RAM is a lower bound"
    batches = [model.tensors[i].shape[0] for i in model.inputs if len(model.tensors[i].shape) > 2]
    if batches and max(batches) > 1:
        yield f"the file's batch is {max(batches)}: multiply-accumulates and RAM are those of a whole batch"
    hidden = model.functions + sum(operator.subgraphs for operator in model.operators)
    if hidden:
        yield f"{hidden} bodies of loops, branches or functions are not looked into: what they hold is not counted"
    if any(operator.op in BRANCHES for part in (model, *model.subgraphs) for operator in part.operators):
        yield "of a branch the costlier side counts"
    if model.reordered:
        yield "operators are not stored in an order that could run; they were put into one"


def _on_constants(model: StoredModel, again: int) -> Iterator[str]:
    constants = [tensor for tensor in model.tensors if tensor.data is not None]
    if any(t.dtype.startswith(("float", "bfloat")) and t.elements > 1 for t in constants):
        yield "some constants are floats: not a fully quantised file"
    if again > 0:
        yield (
            f"stored once and shared: operators work with {again:,} parameters more than the file holds, "
            "as with tied weights, or where an exporter merges equal tensors"
        )
