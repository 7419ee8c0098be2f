"""Counting a model as its file stores it: parameters, multiply-accumulates and live activations of any operators.

What is a parameter is decided by place (`audit.places`) and otherwise by kind: a constant with more than one element
that is a float or a quantised integer. A constant that reaches its user through a cast, a transposition or a pair of
quantisation operators belongs to that user. Scales, zero points, running statistics and index tables are listed apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from edgeasc.audit.document import Layer, Parameters, Uncounted
from edgeasc.audit.liveness import activation_steps, variables
from edgeasc.audit.macs import count_macs, is_convolution
from edgeasc.audit.memory import Plan, plan
from edgeasc.audit.places import BIAS, PARAMETERS, PASSING, RUNNING, STATISTICS, TABLES, WEIGHT, places_of
from edgeasc.audit.rules import Counted
from edgeasc.audit.stored_notes import notes_on
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor


@dataclass
class StoredCount:
    """What a stored model comes to."""

    layers: list[Layer] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    uncounted: Counter[str] = field(default_factory=Counter)  # elements
    uncounted_bytes: Counter[str] = field(default_factory=Counter)
    operators: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)  # operators whose multiply-accumulates nobody knows
    notes: list[str] = field(default_factory=list)
    torchinfo_macs: int = 0
    memory: Plan = field(default_factory=Plan)

    @property
    def parameters(self) -> Parameters:
        """Totals over everything that counts."""
        return sum_parameters(self.counted)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def peak_bytes(self) -> int:
        """The most bytes of activations alive at once in stored order."""
        return self.memory.peak

    @property
    def apart(self) -> tuple[Uncounted, ...]:
        """What is listed and not counted."""
        return tuple(Uncounted(what, count, self.uncounted_bytes[what]) for what, count in self.uncounted.items())


def sum_parameters(counted: list[Counted]) -> Parameters:
    """`counted` in four numbers; running statistics are no parameters."""
    own = [item for item in counted if item.kind != STATISTICS]
    return Parameters(
        total=sum(item.total for item in own),
        nonzero=sum(item.nonzero for item in own),
        nonzero_bytes=sum(packed_bytes(item.nonzero, item.bits) for item in own),
        bytes=sum(packed_bytes(item.total, item.bits) for item in own),
    )


def packed_bytes(elements: int, bits: int) -> int:
    """Bytes of `elements` of `bits` each, side by side."""
    return -(-elements * bits // 8)


def count_stored(model: StoredModel) -> StoredCount:
    """Count every operator of `model`; constants of one storage count once, at their first use."""
    result = StoredCount()
    found = _Parameters(model, result)
    steps, sizes = activation_steps(model)
    kept = variables(model)
    result.memory = plan(steps, sizes, (*model.inputs, *kept), (*model.outputs, *kept))
    owned = found.by_operator()
    for number, (operator, alive) in enumerate(zip(model.operators, result.memory.live, strict=True)):
        macs = count_macs(operator, model.tensors, model.format == "tflite")
        result.operators[operator.op] += 1
        if macs is None:
            result.unknown[_full_name(operator)] += 1
        result.torchinfo_macs += _torchinfo(operator, model, found.used[number])
        own = owned[number]
        result.counted += own
        sizes_of = sum_parameters(own)
        output = model.tensors[operator.outputs[0]] if operator.outputs else None
        result.layers.append(
            Layer(
                name=operator.name,
                op=operator.op,
                output_shape=output.shape if output else (),
                parameters=sizes_of.total,
                nonzero=sizes_of.nonzero,
                bytes=sizes_of.nonzero_bytes,
                macs=macs or 0,
                activation_bytes=alive,
            )
        )
    again = sum(found.used) - result.parameters.total
    result.notes += notes_on(model, result.unknown, again)
    return result


def _full_name(operator: StoredOperator) -> str:
    return operator.op if operator.domain in ("", "ai.onnx") else f"{operator.domain}.{operator.op}"


def _torchinfo(operator: StoredOperator, model: StoredModel, parameters: int) -> int:
    """Operations as torchinfo counts them: parameters, biases and norms included, times the plane of a convolution."""
    if not is_convolution(operator) or not operator.outputs:
        return parameters
    output = model.tensors[operator.outputs[0]]
    if len(output.shape) < 2:
        return parameters
    channels = output.shape[-1 if model.format == "tflite" else 1]
    return parameters * (output.elements // max(abs(channels), 1))


class _Parameters:
    """Finds every constant of a model and the operator that it belongs to."""

    def __init__(self, model: StoredModel, result: StoredCount) -> None:
        self.model, self.result = model, result
        self.tflite = model.format == "tflite"
        self.readers: dict[int, tuple[int, int]] = {}  # tensor -> the first operator that reads it, and where
        for number, operator in enumerate(model.operators):
            for place, index in enumerate(operator.inputs):
                self.readers.setdefault(index, (number, place))
        self.used = [0] * len(model.operators)  # parameters that each operator works with, shared or not

    def by_operator(self) -> list[list[Counted]]:
        """For every operator the parameters that it is the first to use; the rest goes to the uncounted things."""
        owned: list[list[Counted]] = [[] for _ in self.model.operators]
        seen: set[Hashable] = set()
        for number, operator in enumerate(self.model.operators):
            for place, index in enumerate(operator.inputs):
                tensor = self.model.tensors[index] if index >= 0 else None
                if tensor is None or tensor.data is None:
                    continue
                owner, role = self.role(number, place)
                kind = role or _kind_alone(tensor)
                if kind in PARAMETERS:
                    self.used[owner] += tensor.elements
                key = (tensor.storage, tensor.dtype, tensor.zero_points.tobytes()) if tensor.storage else index
                if key not in seen:
                    seen.add(key)
                    self.sort(tensor, kind, owned[owner])
        read = {index for operator in self.model.operators for index in operator.inputs} | set(self.model.outputs)
        storages = {self.model.tensors[index].storage for index in read if index >= 0}
        for index, tensor in enumerate(self.model.tensors):
            if tensor.data is not None and index not in read and tensor.storage and tensor.storage not in storages:
                self.apart("constants that nothing reads", tensor.elements, tensor.bytes)
        return owned

    def role(self, number: int, place: int) -> tuple[int, str]:
        """The operator that input `place` of operator `number` belongs to, and what it is there; '' where unsaid."""
        operator = self.model.operators[number]
        for _ in self.model.operators:  # no longer than the longest chain
            if place or operator.op not in PASSING or not operator.outputs:
                break
            following = self.readers.get(operator.outputs[0])
            if following is None:
                break
            number, place = following
            operator = self.model.operators[number]
        return number, places_of(operator.op, operator.domain, self.tflite).get(place, "")

    def sort(self, tensor: StoredTensor, kind: str, own: list[Counted]) -> None:
        """Put a constant to the parameters or to the uncounted things; running statistics are both."""
        if tensor.scales:
            self.apart("scales", tensor.scales, 4 * tensor.scales)
            self.apart("zero points", len(tensor.zero_points), 8 * len(tensor.zero_points))
        if kind in PARAMETERS:
            own.append(Counted(kind, tensor.elements, tensor.elements, tensor.nonzero, tensor.bits))
            return
        if kind == RUNNING:  # for rules that count them
            own.append(Counted(STATISTICS, tensor.elements, tensor.elements, tensor.nonzero, tensor.bits))
        self.apart(kind, tensor.elements, tensor.bytes)

    def apart(self, what: str, elements: int, size: int) -> None:
        """List something that is not counted."""
        self.result.uncounted[what] += elements
        self.result.uncounted_bytes[what] += size


def _kind_alone(tensor: StoredTensor) -> str:
    """What a constant is whose place says nothing: `weight`, `bias`, or the name of something that is not counted."""
    if tensor.elements <= 1:
        return "single constants"
    wide = tensor.dtype in ("int32", "int64", "uint32", "uint64", "bool", "string")
    if wide and not tensor.scales:
        return TABLES
    return BIAS if wide else WEIGHT
