"""Whole integer graphs from random weights; scales come from the values that a seeded batch takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeasc.graph import simulate
from edgeasc.graph.bands import band_scales, snap_bias
from edgeasc.graph.model import (
    KEEPING_GRID,
    Add,
    Axis,
    Conv,
    Form,
    IntegerGraph,
    Logistic,
    MaxPool,
    Mean,
    Mul,
    Node,
    QTensor,
    ResNorm,
    Rsqrt,
    Silu,
    Sub,
)


def features(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Log-mel-like clips `[count, *shape]`: each its own spectrum and envelope; a silent clip and a silent bin."""
    spectrum = rng.normal(0.0, 1.5, size=(count, 1, shape[1], 1)).cumsum(axis=2)
    envelope = rng.normal(0.0, 1.5, size=(count, 1, 1, shape[2])).cumsum(axis=3)
    x = rng.normal(-5.0, 1.5, size=(count, *shape)) + spectrum + envelope
    x[0], x[:, :, 3] = -13.8, -13.8
    return x.clip(-13.8, 8.0)


class GraphBuilder:
    """Adds node after node, keeping the integers of a calibration batch; every method gives its output's name."""

    def __init__(self, form: Form, shape: tuple[int, int, int], seed: int, clips: int = 4) -> None:
        self.rng = np.random.default_rng(seed)
        self.form: Form = form
        x = features(self.rng, clips, shape)
        self.tensors = {"input": QTensor("input", (1, *shape), np.float32(0.11), 60)}
        self.values = {"input": simulate.quantise(x, self.tensors["input"])}
        self.nodes: list[Node] = []

    def graph(self, output: str) -> IntegerGraph:
        """The finished graph."""
        labels = {"edgeasc.labels": '["a", "b"]', "edgeasc.form": self.form}
        return IntegerGraph(self.form, "input", output, self.tensors, tuple(self.nodes), labels)

    def _append(self, node: Node, output: tuple[float, int] | None = None) -> str:
        """Quantise the node's output to the range it takes (or to the given scale and zero point) and append it."""
        inputs = [self.values[name] for name in node.inputs]
        real = simulate.real_output(node, inputs, self.tensors)
        scale, zero_point = output or self._range(real)
        tensor = QTensor(node.output, (1, *real.shape[1:]), np.float32(scale), zero_point)
        self.tensors[node.output] = tensor
        self.values[node.output] = simulate.quantise(real, tensor)
        self.nodes.append(node)
        return node.output

    def append(self, node: Node) -> str:
        """Any node, on the grid of its input where it cannot have its own."""
        source = self.tensors[node.inputs[0]]
        return self._append(node, (float(source.scale), source.zero_point) if isinstance(node, KEEPING_GRID) else None)

    @staticmethod
    def _range(real: np.ndarray) -> tuple[float, int]:
        low, high = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
        scale = max((high - low) / 255, 1e-6)
        return scale, int(np.clip(round(-128 - low / scale), -128, 127))

    def constant(self, name: str, value: float) -> str:
        """A positive scalar constant `(1, 1, 1, 1)`, integer 127."""
        data = np.full((1, 1, 1, 1), 127, dtype=np.int8)
        self.tensors[name] = QTensor(name, data.shape, np.float32(value / 127), 0, data)
        self.values[name] = data
        return name

    def conv(
        self, name: str, source: str, channels: int, kernel: tuple[int, int], *, bands: int = 1,
        depthwise: bool = False, relu: bool = False, stride: tuple[int, int] = (1, 1), bias: bool = True,
    ) -> str:  # fmt: skip
        """A convolution with 'same' padding, sparse weights, and gains of both signs where there are bands."""
        tensor, rng = self.tensors[source], self.rng
        inputs = 1 if depthwise else tensor.shape[1]
        weight = rng.integers(-127, 128, size=(channels, inputs, *kernel), dtype=np.int8)
        weight[rng.random(weight.shape) < 0.4] = 0
        weight.reshape(channels, -1)[:, 0] = 127  # the scale of a frozen channel is its largest weight / 127
        gain = np.ones((bands, channels)) if bands == 1 else rng.normal(0.0, 1.0, (bands, channels))
        if bands > 1:
            gain[0, 0] = 1e-12
        padding = (kernel[0] // 2, kernel[1] // 2)
        ones = np.ones((bands, channels))
        node = Conv(
            name, (source,), f"{name}.out", weight=weight, scale=ones.astype(np.float32),
            sign=np.sign(gain).astype(np.int8), bias=np.zeros((bands, channels), dtype=np.int32), stride=stride,
            padding=padding * 2, groups=channels if depthwise else 1,
        )  # fmt: skip
        # As after batch normalisation, every channel varies by about one.
        plain = replace(node, sign=ones.astype(np.int8))
        deviation = simulate.real_output(plain, [self.values[source]], self.tensors).std(axis=(0, 2, 3))
        weight_scale = (rng.uniform(0.5, 1.5, channels) / np.maximum(deviation, deviation.mean() / 5)).astype(
            np.float32
        )
        node = replace(node, activation="relu" if relu else "none")
        offset = rng.normal(0.0, 0.5, (bands, channels)) * bias
        scale = (weight_scale * np.abs(gain)).astype(np.float32)
        trial = replace(node, scale=scale, bias=snap_bias(offset, tensor.scale, scale))
        real = simulate.real_output(trial, [self.values[source]], self.tensors)
        output = self._range(real)
        scale, sign = band_scales(weight, weight_scale, gain.astype(np.float32), tensor.scale, np.float32(output[0]))
        node = replace(node, scale=scale, sign=sign, bias=snap_bias(offset, tensor.scale, scale))
        return self._append(node, output)

    def add(self, name: str, first: str, second: str, relu: bool = False) -> str:
        """Sum, broadcast."""
        return self._append(Add(name, (first, second), f"{name}.out", activation="relu" if relu else "none"))

    def sub(self, name: str, first: str, second: str) -> str:
        """Difference, broadcast."""
        return self._append(Sub(name, (first, second), f"{name}.out"))

    def mul(self, name: str, first: str, second: str) -> str:
        """Product, broadcast."""
        return self._append(Mul(name, (first, second), f"{name}.out"))

    def mean(self, name: str, source: str, axes: tuple[Axis, ...], keep: bool = True) -> str:
        """Mean."""
        return self._append(Mean(name, (source,), f"{name}.out", axes=axes, keep=keep))

    def max_pool(self, name: str, source: str) -> str:
        """2 x 2 maximum."""
        tensor = self.tensors[source]
        return self._append(MaxPool(name, (source,), f"{name}.out"), (float(tensor.scale), tensor.zero_point))

    def silu(self, name: str, source: str) -> str:
        """SiLU: an island, or LOGISTIC and MUL."""
        if self.form == "island":
            return self._append(Silu(name, (source,), f"{name}.out"))
        gate = self._append(Logistic(f"{name}/gate", (source,), f"{name}/gate.out"), (1 / 256, -128))
        return self.mul(name, source, gate)

    def resnorm(self, name: str, source: str, lam: float = 0.1, eps: float = 1e-2) -> str:
        """ResNorm: an island, or ten int8 operators."""
        if self.form == "island":
            return self._append(ResNorm(name, (source,), f"{name}.out", lam=lam, eps=eps))
        centred = self.sub(f"{name}/centred", source, self.mean(f"{name}/mean", source, ("C", "T")))
        variance = self.mean(f"{name}/variance", self.mul(f"{name}/square", centred, centred), ("C", "T"))
        shifted = self.add(f"{name}/shifted", variance, self.constant(f"{name}/eps", eps))
        gain = self._append(Rsqrt(f"{name}/gain", (shifted,), f"{name}/gain.out"), (1 / np.sqrt(eps) / 255, -128))
        normalised = self.mul(f"{name}/normalised", centred, gain)
        residual = self.mul(f"{name}/residual", source, self.constant(f"{name}/lam", lam))
        return self.add(name, residual, normalised)

    def block(self, name: str, source: str, channels: int) -> str:
        """One BC-ResNet block, with a transition where the channels change."""
        transition = self.tensors[source].shape[1] != channels
        if transition:
            source = self.conv(f"{name}.transition", source, channels, (1, 1), relu=True)
        y = self.conv(f"{name}.dw_f", source, channels, (3, 1), bands=4, depthwise=True)
        z = self.conv(f"{name}.dw_t", self.mean(f"{name}.mean", y, ("F",)), channels, (1, 3), depthwise=True)
        z = self.conv(f"{name}.pw", self.silu(f"{name}.silu", z), channels, (1, 1), bias=False)
        if transition:
            return self.add(f"{name}.sum", y, z, relu=True)
        return self.add(f"{name}.sum", self.add(f"{name}.skip", source, y), z, relu=True)


def bcresnet(form: Form, c: int = 4, shape: tuple[int, int, int] = (1, 32, 20), seed: int = 0) -> IntegerGraph:
    """A BC-ResNet-Mod with random weights, three classes."""
    net = GraphBuilder(form, shape, seed)
    x = net.conv("stem", net.resnorm("norm0", "input"), 2 * c, (5, 5), stride=(2, 2), relu=True)
    for stage, channels in enumerate((c, c * 3 // 2, 2 * c), start=1):
        x = net.block(f"stage{stage}.0", x, channels)
        x = net.resnorm(f"stage{stage}.norm", net.block(f"stage{stage}.1", x, channels))
        x = net.max_pool(f"stage{stage}.pool", x) if stage < 2 else x
    x = net.conv("head", x, 3, (1, 1))
    return net.graph(net.mean("logits", x, ("F", "T"), keep=False))


def clips(graph: IntegerGraph, count: int, seed: int = 1) -> np.ndarray:
    """Seeded int8 inputs."""
    tensor = graph[graph.input]
    return simulate.quantise(features(np.random.default_rng(seed), count, tensor.shape[1:]), tensor)
