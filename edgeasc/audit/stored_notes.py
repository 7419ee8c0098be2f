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
    if why := unknown_shapes(model):
        yield f"{why}: multiply-accumulates and RAM are lower bounds"
    batches = [model.tensors[i].shape[0] for i in model.inputs if len(model.tensors[i].shape) > 2]
    if batches and max(batches) > 1:
        yield f"the file's batch is {max(batches)}: multiply-accumulates and RAM are those of a whole batch"
    if hidden := _bodies(model):
        yield f"{hidden} bodies of loops, branches or functions are not looked into: what they hold is not counted"
    if model.hidden:
        yield f"{model.hidden:,} numbers in bodies or attributes are not counted: sizes are lower bounds"
    if any(operator.op in BRANCHES for part in (model, *model.subgraphs) for operator in part.operators):
        yield "of a branch the costlier side counts"
    if model.reordered:
        yield "operators are not stored in an order that could run; they were put into one"


def unknown_shapes(model: StoredModel) -> str:
    """Of which tensors the file leaves the shape open, the batch apart; empty where it says them all."""
    onnx = model.format == "onnx"  # where the batch was taken as 1 before, and bodies of loops have none
    parts = (model, *model.subgraphs) if onnx else (model,)
    tensors = [tensor for part in parts for tensor in part.tensors if tensor.data is None]
    open_sides = [t.name for t in tensors if any(side < 0 for side in t.shape[0 if onnx else 1 :])]
    shapeless = [tensor.name for tensor in tensors if tensor.dtype == UNKNOWN]
    reasons = []
    if open_sides:
        reasons.append(f"open sides taken as 1 in {len(open_sides)} tensors, the first {open_sides[0]!r}")
    if shapeless:
        reasons.append(f"the shapes of {len(shapeless)} tensors, the first {shapeless[0]!r}, are not known")
    return "; ".join(reasons)


def lower_bound(model: StoredModel) -> str:
    """Why multiply-accumulates and RAM of `model` are lower bounds; empty where they are not."""
    hidden = _bodies(model)
    inside = f"{hidden} bodies of loops, branches or functions are not looked into" if hidden else ""
    return "; ".join(filter(None, (unknown_shapes(model), inside)))


def _bodies(model: StoredModel) -> int:
    return model.functions + sum(operator.subgraphs for operator in model.operators)


def _on_constants(model: StoredModel, again: int) -> Iterator[str]:
    constants = [tensor for tensor in model.tensors if tensor.data is not None]
    if any(t.dtype.startswith(("float", "bfloat")) and t.elements > 1 for t in constants):
        yield "some constants are floats: not a fully quantised file"
    if again > 0:
        yield (
            f"stored once and shared: operators work with {again:,} parameters more than the file holds, "
            "as with tied weights, or where an exporter merges equal tensors"
        )
