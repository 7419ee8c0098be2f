"""Files written by edgeasc, seen as the integer graph they come from: shared weights once, one row per layer.

In the integer graph a layer with sub-bands has one set of weights and a bias per band; a .tflite file holds it as one
convolution `<layer>/b<band>` per band, whose weights are the same up to the sign of the band's gain. Where every row is
a band, it holds one tap per row, `<layer>/rows`, each the same up to its sign.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import groupby

import numpy as np

from edgeasc.audit.document import Layer
from edgeasc.audit.memory import Plan, Step, plan
from edgeasc.audit.rules import Counted
from edgeasc.audit.stored_count import StoredCount
from edgeasc.files import sha256
from edgeasc.graph.count import BIAS_BYTES, FLOAT_BYTES, count
from edgeasc.graph.model import ISLANDS, IntegerGraph
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor

_BAND = re.compile(r"(.+)/b\d+")
_ROWS = re.compile(r"(.+)/rows")


def count_graph(graph: IntegerGraph) -> StoredCount:
    """The counts of an integer graph, one layer per node."""
    counts = count(graph)
    result = StoredCount(memory=_memory(graph))
    for row in counts.layers:
        result.layers.append(Layer(**{field.name: getattr(row, field.name) for field in fields(Layer)}))
        result.operators[row.op] += 1
        plain = row.parameters - row.biases - row.floats
        plain_nonzero = row.nonzero - row.nonzero_biases - row.nonzero_floats
        result.counted.append(Counted("weight", plain, plain, plain_nonzero, 8))
        result.counted.append(Counted("bias", row.biases, row.biases, row.nonzero_biases, 8 * BIAS_BYTES))
        if row.floats:
            result.counted.append(Counted("weight", row.floats, row.floats, row.nonzero_floats, 8 * FLOAT_BYTES))
    islands = Counter(node.op for node in graph.nodes if isinstance(node, ISLANDS))
    if islands:
        listed = ", ".join(f"{number} {op}" for op, number in islands.items())
        result.notes.append(f"islands, float between int8 tensors: {listed}; RAM is that of the int8 tensors")
    return result


def _memory(graph: IntegerGraph) -> Plan:
    numbers = {name: number for number, name in enumerate(graph.tensors)}
    sizes = {numbers[name]: tensor.size for name, tensor in graph.tensors.items() if tensor.data is None}
    steps = [
        Step(node.name, tuple(dict.fromkeys(numbers[name] for name in node.inputs)), (numbers[node.output],))
        for node in graph.nodes
    ]
    return plan(steps, sizes, [numbers[graph.input]], [numbers[graph.output]])


def share_bands(model: StoredModel) -> StoredModel:
    """`model` as the network that we wrote into it: every constant is one of its own, and the weights of a layer's
    bands are one tensor where they are the same but for signs and zeros.
    """
    tensors, operators = [replace(tensor, storage="") for tensor in model.tensors], list(model.operators)
    groups: dict[str, list[int]] = {}
    for number, operator in enumerate(operators):
        match = _BAND.fullmatch(operator.name)
        if match is not None and operator.op in ("CONV_2D", "DEPTHWISE_CONV_2D") and operator.inputs[1:2]:
            groups.setdefault(match[1], []).append(number)
    for members in groups.values():
        weights = [tensors[operators[number].inputs[1]] for number in members]
        merged = _merge(weights)
        if merged is None:
            continue
        tensors.append(merged)
        for number in members:
            data, _, *rest = operators[number].inputs
            operators[number] = replace(operators[number], inputs=(data, len(tensors) - 1, *rest))
    for number, operator in enumerate(operators):
        tap = _tap(operator, tensors)
        if tap is not None:
            tensors.append(tap)
            operators[number] = replace(operator, inputs=(operator.inputs[0], len(tensors) - 1, *operator.inputs[2:]))
    return replace(model, tensors=tuple(tensors), operators=tuple(operators))


def _tap(operator: StoredOperator, tensors: list[StoredTensor]) -> StoredTensor | None:
    """The one weight behind a tap per row; None where they are not the same up to their signs."""
    if _ROWS.fullmatch(operator.name) is None or operator.op != "DEPTHWISE_CONV_2D" or len(operator.inputs) < 2:
        return None
    weights = tensors[operator.inputs[1]]
    if weights.data is None or weights.dtype != "int8" or weights.zero_points.any() or weights.elements < 1:
        return None
    sizes = np.unique(np.abs(np.asarray(weights.data, np.int16)))
    if np.count_nonzero(sizes) > 1 or weights.elements != weights.shape[-1]:
        return None
    data = sizes[-1:]
    return replace(weights, shape=(1, 1, 1, 1), data=data, content=sha256(data.tobytes()))


def merge_layers(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """One row per module path: neighbours whose names agree before the first `/` become one layer."""
    return tuple(_merged_layer(name, list(rows)) for name, rows in groupby(layers, lambda row: row.name.split("/")[0]))


def _merged_layer(name: str, rows: list[Layer]) -> Layer:
    main = max(rows, key=lambda row: row.macs)
    return Layer(
        name=name,
        op=main.op if main.macs or len(rows) == 1 else "+".join(dict.fromkeys(row.op for row in rows)),
        output_shape=rows[-1].output_shape,
        parameters=sum(row.parameters for row in rows),
        nonzero=sum(row.nonzero for row in rows),
        bytes=sum(row.bytes for row in rows),
        macs=sum(row.macs for row in rows),
        activation_bytes=max(row.activation_bytes for row in rows),
    )


def _merge(weights: list[StoredTensor]) -> StoredTensor | None:
    """The one tensor behind the bands' weights; None where they are not copies of one another."""
    first = weights[0]
    alike = all(item.data is not None and item.shape == first.shape and item.dtype == "int8" for item in weights)
    if not alike or not first.shape or any(item.zero_points.any() for item in weights):
        return None
    values = np.stack([np.asarray(item.data, np.int16).reshape(item.shape) for item in weights])
    axis = first.axis + 1
    others = tuple(number for number in range(1, values.ndim) if number != axis)
    used = values.any(axis=others, keepdims=True)  # [bands, channels]
    pattern = np.take_along_axis(values, used.argmax(axis=0, keepdims=True), axis=0)[
        0
    ]  # of the first band that has any
    same, turned = (values == pattern).all(axis=others), (values == -pattern).all(axis=others)
    if not (same | turned | ~used.reshape(same.shape)).all():
        return None
    data = np.abs(pattern).ravel()
    return replace(first, name=_BAND.sub(r"\1", first.name), data=data, content=sha256(data.tobytes()))
