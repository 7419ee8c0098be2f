"""Counting a model as its file stores it: parameters, multiply-accumulates and live activations of any operators.

What is a parameter is decided by place (`audit.places`) and otherwise by kind: a constant with more than one element
that is a float or a quantised integer. A constant that reaches its user through a cast, a transposition or a pair of
quantisation operators belongs to that user. Scales, zero points, running statistics and index tables are listed apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from edgeasc.audit.document import Layer, Parameters, Uncounted
from edgeasc.audit.liveness import activation_steps, variables
from edgeasc.audit.loops import BRANCHES, CONTROL, LOOPS, bodies, is_invariant, trips
from edgeasc.audit.macs import count_macs, is_convolution
from edgeasc.audit.memory import Plan, plan
from edgeasc.audit.places import (
    BIAS,
    PARAMETERS,
    PASSING,
    RUNNING,
    STATES,
    STATISTICS,
    TABLES,
    WEIGHT,
    places_of,
)
from edgeasc.audit.rules import Counted
from edgeasc.audit.stored_notes import notes_on
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor

MOST_MACS = 2**62  # of an operator


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
    counting = _Counting(model.subgraphs)
    result = counting.count(model)
    result.notes += notes_on(model, result.unknown, counting.used - result.parameters.total)
    return result


@dataclass
class _Counting:
    """One pass over a file: what was seen already, and what its sub-graphs came to, each counted once."""

    subgraphs: tuple[StoredModel, ...]
    seen: set[tuple[Hashable, ...]] = field(default_factory=set)
    done: dict[int, StoredCount] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    used: int = 0  # parameters that operators work with, shared or not

    def count(self, model: StoredModel) -> StoredCount:
        """Count `model` and whatever its operators run."""
        result = StoredCount()
        found = _Parameters(model, result, self.subgraphs)
        inner = {number: self.inner(op, model) for number, op in enumerate(model.operators) if op.op in CONTROL}
        result.memory = _memory(model, {number: body.memory.peak for number, body in inner.items()})
        owned = found.by_operator(self.seen)
        self.used += sum(found.used)
        for number, (operator, alive) in enumerate(zip(model.operators, result.memory.live, strict=True)):
            result.operators[operator.op] += 1
            if number in inner:
                body = inner[number]
                macs: int | None = body.macs
                owned[number] += body.counted
                result.unknown += body.unknown
                result.torchinfo_macs += body.torchinfo_macs
                result.uncounted += body.uncounted
                result.uncounted_bytes += body.uncounted_bytes
            else:
                macs = count_macs(operator, model.tensors, model.format == "tflite")
                result.torchinfo_macs += _torchinfo(operator, model, found.used[number])
            if macs is None:
                result.unknown[_full_name(operator)] += 1
            result.counted += owned[number]
            result.layers.append(_layer(operator, model, owned[number], macs or 0, alive))
        return result

    def inner(self, operator: StoredOperator, model: StoredModel) -> StoredCount:
        """What the sub-graphs of a loop, a branch or a call come to, as one operator."""
        parts = bodies(operator, len(self.subgraphs))
        counts = {part: self.subgraph(number) for part, number in parts.items()}
        times = trips(operator, model, self.subgraphs) if operator.op in LOOPS else 1
        result, found = StoredCount(), [count for count in counts.values() if count is not None]
        if times is None or not parts or len(found) < len(counts) or operator.domain not in ("", "ai.onnx"):
            result.unknown[_full_name(operator)] += 1
        for count in found:
            result.counted += count.counted
            result.unknown += count.unknown
            result.uncounted += count.uncounted
            result.uncounted_bytes += count.uncounted_bytes
            count.counted, count.uncounted, count.uncounted_bytes = [], Counter(), Counter()  # once in the file
        each = [(count.macs, count.torchinfo_macs) for part, count in counts.items() if count and part != "init"]
        total = (max if operator.op in BRANCHES else sum)([macs for macs, _ in each] or [0])
        repeated = 1 if times is None else times
        if repeated * total > MOST_MACS:  # loops within loops: no count, and more than any number's type holds
            result.unknown[_full_name(operator)] += 1
            repeated = 1
        result.torchinfo_macs = repeated * (max if operator.op in BRANCHES else sum)([t for _, t in each] or [0])
        result.layers.append(_layer(operator, model, [], repeated * total, 0))
        result.memory = Plan((max((count.memory.peak for count in found), default=0),))
        return result

    def subgraph(self, number: int) -> StoredCount | None:
        """The counts of sub-graph `number`; None for one that runs itself."""
        if number in self.open:
            return None
        if number not in self.done:
            self.open.add(number)
            self.done[number] = self.count(self.subgraphs[number - 1])
            self.open.remove(number)
        return self.done[number]


def _memory(model: StoredModel, inside: dict[int, int]) -> Plan:
    """The plan of `model`, with what operators need `inside` as something that each writes and nobody reads."""
    steps, sizes = activation_steps(model)
    for number, size in inside.items():
        sizes[len(model.tensors) + number] = size
        steps[number] = replace(steps[number], writes=(*steps[number].writes, len(model.tensors) + number))
    kept = variables(model)
    return plan(steps, sizes, (*model.inputs, *kept), (*model.outputs, *kept))


def _layer(operator: StoredOperator, model: StoredModel, own: list[Counted], macs: int, alive: int) -> Layer:
    sizes = sum_parameters(own)
    return Layer(
        name=operator.name,
        op=operator.op,
        output_shape=model.tensors[operator.outputs[0]].shape if operator.outputs else (),
        parameters=sizes.total,
        nonzero=sizes.nonzero,
        bytes=sizes.nonzero_bytes,
        macs=macs,
        activation_bytes=alive,
    )


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

    def __init__(self, model: StoredModel, result: StoredCount, subgraphs: tuple[StoredModel, ...]) -> None:
        self.model, self.result, self.subgraphs = model, result, subgraphs
        self.tflite = model.format == "tflite"
        self.readers: dict[int, tuple[int, int]] = {}  # tensor -> the first operator that reads it, and where
        for number, operator in enumerate(model.operators):
            for place, index in enumerate(operator.inputs):
                self.readers.setdefault(index, (number, place))
        self.used = [0] * len(model.operators)  # parameters that each operator works with, shared or not

    def by_operator(self, seen: set[tuple[Hashable, ...]]) -> list[list[Counted]]:
        """For every operator the parameters that it is the first to use; the rest goes to the uncounted things."""
        owned: list[list[Counted]] = [[] for _ in self.model.operators]
        for number, operator in enumerate(self.model.operators):
            for place, index in enumerate(operator.inputs):
                tensor = self.model.tensors[index] if index >= 0 else None
                if tensor is None or tensor.data is None:
                    continue
                owner, role = self.role(number, place)
                kind = role or _kind_alone(tensor)
                if kind == TABLES and self.becomes_float(operator):
                    kind = WEIGHT
                if kind in PARAMETERS:
                    self.used[owner] += tensor.elements
                key = (
                    (tensor.storage, tensor.dtype, tensor.zero_points.tobytes())
                    if tensor.storage
                    else (id(self), index)
                )
                if key not in seen:
                    seen.add(key)
                    self.sort(tensor, kind, owned[owner])
        read = {index for operator in self.model.operators for index in operator.inputs} | set(self.model.outputs)
        storages = {self.model.tensors[index].storage for index in read if index >= 0} | {key[0] for key in seen}
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
        if operator.op in LOOPS:
            return number, "" if is_invariant(operator, place, self.subgraphs) else STATES
        return number, places_of(operator.op, operator.domain, self.tflite).get(place, "")

    def becomes_float(self, operator: StoredOperator) -> bool:
        """Whether `operator` casts whole numbers to floats: packed weights, which indices are not."""
        if operator.op not in ("Cast", "CAST") or not operator.outputs:
            return False
        return self.model.tensors[operator.outputs[0]].dtype.startswith(("float", "bfloat"))

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
