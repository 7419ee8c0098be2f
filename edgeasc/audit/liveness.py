"""Which activations a stored model keeps while it runs: the steps of its operators and the size of each activation.

What is computed from constants alone is no activation: a runtime prepares it before the first inference. In a QDQ file
the floats between QuantizeLinear and DequantizeLinear never exist either: an operator reads and writes the integers.
Variables (the state of a recurrent layer) live from one inference to the next and are always there.
"""

from __future__ import annotations

from edgeasc.audit.loops import CONTROL
from edgeasc.audit.memory import Step
from edgeasc.graph.stored import StoredModel


def activation_steps(model: StoredModel) -> tuple[list[Step], dict[int, int]]:
    """A step per operator, and bytes by tensor index of everything that takes RAM."""
    fixed = _constant_tensors(model)
    alias = _quantised_twins(model, fixed)
    sizes = {
        index: tensor.bytes
        for index, tensor in enumerate(model.tensors)
        if index not in fixed and alias.get(index, index) == index
    }
    steps = [
        Step(
            op.name,
            tuple(dict.fromkeys(alias.get(i, i) for i in op.inputs if i >= 0)),
            tuple(dict.fromkeys(alias.get(i, i) for i in op.outputs)),
        )
        for op in model.operators
    ]
    return steps, sizes


def variables(model: StoredModel) -> tuple[int, ...]:
    """Indices of the tensors that keep state."""
    return tuple(index for index, tensor in enumerate(model.tensors) if tensor.variable)


def _constant_tensors(model: StoredModel) -> set[int]:
    """Constants, and what operators compute from constants alone."""
    fixed = {index for index, tensor in enumerate(model.tensors) if tensor.data is not None and not tensor.variable}
    for operator in model.operators:
        inputs = [index for index in operator.inputs if index >= 0]
        if (
            inputs and fixed.issuperset(inputs) and operator.op not in CONTROL
        ):  # loops are run, whatever they begin with
            fixed.update(operator.outputs)
    return fixed


def _quantised_twins(model: StoredModel, fixed: set[int]) -> dict[int, int]:
    """For floats beside a (De)QuantizeLinear the integers that stand for them."""
    readers: dict[int, int] = dict.fromkeys(model.outputs, 1)
    for operator in model.operators:
        for index in operator.inputs:
            readers[index] = readers.get(index, 0) + 1
    produced = {index for operator in model.operators for index in operator.outputs}
    alias: dict[int, int] = {}
    for operator in model.operators:
        if not operator.inputs or not operator.outputs or operator.inputs[0] in fixed:
            continue
        source, result = operator.inputs[0], operator.outputs[0]
        if operator.op == "DequantizeLinear" and result not in model.outputs:
            alias[result] = source
        elif operator.op == "QuantizeLinear" and readers[source] == 1 and source in produced and source not in alias:
            alias[source] = result
    return {index: _root(alias, index) for index in alias}


def _root(alias: dict[int, int], index: int) -> int:
    seen = {index}
    while index in alias and alias[index] not in seen:
        index = alias[index]
        seen.add(index)
    return index
