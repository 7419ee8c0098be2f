"""Counting a graph: parameters, non-zero parameters, multiply-accumulates and live activations, layer by layer.

A parameter is a weight or a bias of the deployed network. Weights are counted once however many bands share them; a
sub-band layer has one bias per (band, channel). Scales (with the gains of bands in them), zero points and single
constants such as an epsilon are listed apart. The batch is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeasc.graph.model import Attention, ChannelNorm, Conv, IntegerGraph, Node, PRelu, QTensor

BIAS_BYTES = 4
FLOAT_BYTES = 4  # of the gains and offsets inside an island


@dataclass(frozen=True)
class LayerCount:
    """One node.

    Attributes:
        parameters, nonzero: weights and biases, and those whose real value is not zero.
        bytes: of the non-zero ones, each at its own width; stored_bytes: of all of them.
        macs: multiply-accumulates.
        activation_bytes: bytes of activations alive while it runs, its inputs and its output included.
        floats, nonzero_floats: among the parameters those of an island, which are kept as float32.
    """

    name: str
    op: str
    output_shape: tuple[int, ...]
    parameters: int
    nonzero: int
    bytes: int
    macs: int
    activation_bytes: int
    stored_bytes: int
    weights: int = 0
    nonzero_weights: int = 0
    biases: int = 0
    nonzero_biases: int = 0
    scales: int = 0
    floats: int = 0
    nonzero_floats: int = 0


@dataclass(frozen=True)
class GraphCount:
    """All layers of a graph in execution order."""

    layers: tuple[LayerCount, ...]

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def nonzero(self) -> int:
        """Weights and biases whose real value is not zero."""
        return sum(layer.nonzero for layer in self.layers)

    @property
    def nonzero_bytes(self) -> int:
        """Bytes of the non-zero parameters: one per weight, four per bias and per float of an island."""
        return sum(layer.bytes for layer in self.layers)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all parameters."""
        return sum(layer.stored_bytes for layer in self.layers)

    @property
    def nonzero_weights(self) -> int:
        """Convolution weights that are not zero."""
        return sum(layer.nonzero_weights for layer in self.layers)

    @property
    def scales(self) -> int:
        """Scales of weights, listed and not counted."""
        return sum(layer.scales for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def peak_activation_bytes(self) -> int:
        """The most bytes of activations alive at once, operators never working in place."""
        return max((layer.activation_bytes for layer in self.layers), default=0)

    @property
    def peak_layer(self) -> str:
        """The first layer that reaches the peak."""
        return next((x.name for x in self.layers if x.activation_bytes == self.peak_activation_bytes), "")


def count(graph: IntegerGraph) -> GraphCount:
    """Count every node of `graph`; a constant tensor counts at its first use."""
    seen: set[str] = set()
    live = live_bytes(graph)
    return GraphCount(tuple(_layer(node, graph, alive, seen) for node, alive in zip(graph.nodes, live, strict=True)))


def live_bytes(graph: IntegerGraph) -> list[int]:
    """For every node the bytes of activations that exist while it runs.

    An activation lives from the node that writes it to the last one that reads it; the graph's output to the end.
    """
    last_use = {graph.input: -1}
    for step, node in enumerate(graph.nodes):
        for name in (*node.inputs, node.output):
            last_use[name] = step
    last_use[graph.output] = len(graph.nodes)
    first_use = {graph.input: 0} | {node.output: step for step, node in enumerate(graph.nodes)}
    return [
        sum(graph[name].size for name, first in first_use.items() if first <= step <= last_use[name])
        for step in range(len(graph.nodes))
    ]


def _layer(node: Node, graph: IntegerGraph, alive: int, seen: set[str]) -> LayerCount:
    constants = [graph[name] for name in dict.fromkeys(node.inputs) if graph[name].data is not None]
    arrays = [tensor for tensor in constants if tensor.size > 1 and tensor.name not in seen]
    seen.update(tensor.name for tensor in constants)
    weights, nonzero_weights, biases, nonzero_biases, scales = _conv_counts(node)
    slopes = node.slope if isinstance(node, PRelu) else np.zeros(0, np.int8)
    parameters = weights + slopes.size + sum(tensor.size for tensor in arrays)
    nonzero = nonzero_weights + int(np.count_nonzero(slopes)) + sum(nonzero_values(tensor) for tensor in arrays)
    floats, nonzero_floats = _float_counts(node)
    return LayerCount(
        name=node.name,
        op=node.op,
        output_shape=graph[node.output].shape,
        parameters=parameters + biases + floats,
        nonzero=nonzero + nonzero_biases + nonzero_floats,
        bytes=nonzero + BIAS_BYTES * nonzero_biases + FLOAT_BYTES * nonzero_floats,
        macs=macs(node, graph),
        activation_bytes=alive,
        stored_bytes=parameters + BIAS_BYTES * biases + FLOAT_BYTES * floats,
        weights=weights,
        nonzero_weights=nonzero_weights,
        biases=biases,
        nonzero_biases=nonzero_biases,
        scales=scales,
        floats=floats,
        nonzero_floats=nonzero_floats,
    )


def _conv_counts(node: Node) -> tuple[int, int, int, int, int]:
    """Weights, non-zero weights, biases, non-zero biases and scales; a weight whose every band vanishes is zero."""
    if not isinstance(node, Conv):
        return 0, 0, 0, 0, 0
    used = (node.sign != 0).any(axis=0)[:, None, None, None]
    nonzero = int(np.count_nonzero(node.weight * used))
    return node.weight.size, nonzero, node.bias.size, int(np.count_nonzero(node.bias)), node.scale.size


def _float_counts(node: Node) -> tuple[int, int]:
    """Gains and offsets of a norm in float, and those that are not zero."""
    if not isinstance(node, ChannelNorm):
        return 0, 0
    values = np.concatenate((node.gain, node.offset))
    return values.size, int(np.count_nonzero(values))


def nonzero_values(tensor: QTensor) -> int:
    """Elements of a constant whose real value is not zero."""
    return 0 if tensor.data is None else int(np.count_nonzero(tensor.data != tensor.zero_point))


def macs(node: Node, graph: IntegerGraph) -> int:
    """Multiply-accumulates of a convolution or of attention's two products, batch 1; 0 for every other operator."""
    if isinstance(node, Attention):
        return 2 * graph[node.inputs[0]].size * graph[node.inputs[1]].shape[3]
    if not isinstance(node, Conv):
        return 0
    return graph[node.output].size * int(np.prod(node.weight.shape[1:]))
