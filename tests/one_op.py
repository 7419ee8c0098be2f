"""Graphs of one operator with seeded, plausible scales: the smallest thing a runtime can judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeasc.graph.model import Conv, Form, IntegerGraph, Node, QTensor


def tensor(name: str, shape: tuple[int, ...], scale: float, zero_point: int = 0, data: object = None) -> QTensor:
    """A quantised tensor; `data` makes it a constant."""
    constant = None if data is None else np.asarray(data, dtype=np.int8).reshape(shape)
    return QTensor(name, shape, np.float32(scale), zero_point, constant)


def random_scale(rng: np.random.Generator, low: float = 1e-3, high: float = 0.3) -> float:
    """A float32 scale, log-uniform."""
    return float(np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))))


def random_zero_point(rng: np.random.Generator) -> int:
    """A zero point: symmetric, at either end, or anywhere."""
    return int(rng.choice([0, -128, 127, rng.integers(-128, 128)]))


def graph_of(node: Node, *tensors: QTensor, form: Form = "int8") -> IntegerGraph:
    """The graph of one node; the first tensor is the input, the last the output."""
    return IntegerGraph(form, tensors[0].name, tensors[-1].name, {t.name: t for t in tensors}, (node,))


def every_value(shape: tuple[int, ...]) -> np.ndarray:
    """An int8 array `[1, *shape]` that holds every int8 value, again and again."""
    return np.resize(np.arange(-128, 128, dtype=np.int8), (1, *shape))


def random_int8(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Uniform int8 values."""
    return rng.integers(-128, 128, size=shape, dtype=np.int8)


def random_conv(
    rng: np.random.Generator,
    source_shape: tuple[int, int, int],
    channels: int,
    kernel: tuple[int, int],
    *,
    bands: int = 1,
    depthwise: bool = False,
    signs: bool = False,
    spread: float = 1.0,
    **options: object,
) -> IntegerGraph:
    """A convolution of `[C, F, T]` whose outputs fill the int8 range, with gains of both signs and dead bands."""
    inputs = source_shape[0]
    per_group = 1 if depthwise else inputs
    weight = rng.integers(-127, 128, size=(channels, per_group, *kernel), dtype=np.int8)
    source = tensor("input", (1, *source_shape), random_scale(rng), random_zero_point(rng))
    scale = np.array([[random_scale(rng, 1e-4, 1e-2) for _ in range(channels)] for _ in range(bands)], dtype=np.float32)
    sign = rng.choice([-1, 0, 1], size=(bands, channels), p=[0.3, 0.1, 0.6]) if signs else np.ones((bands, channels))
    taps = per_group * kernel[0] * kernel[1]
    deviation = float(source.scale) * float(np.median(scale)) * 74 * 73 * np.sqrt(taps)
    bias = rng.normal(0, 20 * 74 * np.sqrt(taps), size=(bands, channels)).round().astype(np.int32)
    node = Conv(
        "conv",
        ("input",),
        "output",
        weight=weight,
        scale=scale,
        sign=sign.astype(np.int8),
        bias=bias,
        groups=inputs if depthwise else 1,
        **options,  # type: ignore[arg-type]
    )
    shape = conv_output_shape(node, source_shape)
    zero_point = int(rng.choice([-128, -100])) if node.activation == "relu" else random_zero_point(rng)
    output = tensor("output", (1, *shape), spread * 3 * deviation / 128, zero_point)
    dead = np.float32(output.scale / source.scale)
    node = replace(node, scale=np.where(node.sign == 0, dead, node.scale).astype(np.float32))
    return graph_of(node, source, output)


def conv_output_shape(node: Conv, source_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """`[C, F, T]` of the output, worked out here independently of the package."""
    sizes = []
    for axis in range(2):
        padded = source_shape[1 + axis] + node.padding[axis] + node.padding[2 + axis]
        reach = 1 + (node.weight.shape[2 + axis] - 1) * node.dilation[axis]
        sizes.append(len(range(0, padded - reach + 1, node.stride[axis])))
    return node.weight.shape[0], sizes[0], sizes[1]
