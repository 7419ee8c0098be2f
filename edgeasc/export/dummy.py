"""A small seeded network built in code, with every operator of the integer graph, to try converters and runtimes on.

Its numbers mean nothing; its scales are chosen so that every tensor uses its int8 range.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgeasc.graph.model import (
    Activation,
    Add,
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
from edgeasc.graph.shapes import output_shape

N_MELS, N_FRAMES, CHANNELS, CLASSES = 16, 12, 8, 10
SEED = 9  # with it two classes occur, and most inputs are decided by more than the step of a logit
EPS = 0.5  # large, so that one step of a small variance does not decide
LAM = 0.8  # large, so that the level of the input reaches the logits


def dummy_graph(form: Form = "int8", seed: int = SEED) -> IntegerGraph:
    """A network [1, 1, 16, 12] -> [1, 10]: convolution, sub-bands, ResNorm, broadcast residual, SiLU, pooling.

    Form `int8` spells ResNorm and SiLU out in int8 operators, `island` keeps them as float regions.
    """
    build = _Builder(np.random.default_rng(seed))
    build.tensors["input"] = QTensor("input", (1, 1, N_MELS, N_FRAMES), np.float32(0.06), 20)
    x = build.conv("stem", "input", CHANNELS, (3, 3), stride=(2, 1), padding=(1, 1, 1, 1), activation="relu")
    x = build.conv("f2.dw", x, CHANNELS, (3, 1), padding=(1, 0, 1, 0), groups=CHANNELS, bands=4)
    x = (
        build.add(ResNorm("norm", (x,), "norm", lam=LAM, eps=EPS), 0.04)
        if form == "island"
        else build.resnorm("norm", x)
    )
    y = build.add(Mean("mean", (x,), "mean", axes=("F",)), 0.02)
    y = build.conv("f1.dw", y, CHANNELS, (1, 3), padding=(0, 1, 0, 1), groups=CHANNELS)
    if form == "island":
        y = build.add(Silu("silu", (y,), "silu"), 0.03, -100)
    else:
        gate = build.add(Logistic("sigmoid", (y,), "sigmoid"), 1 / 256, -128)
        y = build.add(Mul("silu", (y, gate), "silu"), 0.03, -100)
    y = build.conv("f1.pw", y, CHANNELS, (1, 1))
    x = build.add(Add("residual", (x, y), "residual", activation="relu"), 0.04, -128)
    pooled = MaxPool("pool", (x,), "pool")
    x = build.add(pooled, float(build.tensors[x].scale), build.tensors[x].zero_point)
    x = build.conv("classifier", x, CLASSES, (1, 1), bias=0.05)
    build.add(Mean("logits", (x,), "logits", axes=("F", "T"), keep=False), 0.012)
    return IntegerGraph(form, "input", "logits", build.tensors, tuple(build.nodes), {"edgeasc.form": form})


@dataclass
class _Builder:
    random: np.random.Generator
    tensors: dict[str, QTensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def add(self, node: Node, scale: float, zero_point: int = 0) -> str:
        """Append `node`; the name of its output."""
        shape = output_shape(node, [self.tensors[name].shape for name in node.inputs])
        self.tensors[node.output] = QTensor(node.output, shape, np.float32(scale), zero_point)
        self.nodes.append(node)
        return node.output

    def constant(self, name: str, value: int, scale: float, zero_point: int = 0) -> str:
        data = np.full((1, 1, 1, 1), value, np.int8)
        self.tensors[name] = QTensor(name, data.shape, np.float32(scale), zero_point, data)
        return name

    def conv(
        self,
        name: str,
        source: str,
        channels: int,
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
        bands: int = 1,
        activation: Activation = "none",
        bias: float = 0.1,
    ) -> str:
        """A convolution whose output has a deviation of about one on inputs that use their range."""
        shape = (channels, self.tensors[source].shape[1] // groups, *kernel)
        weight = self.random.integers(-127, 128, shape).astype(np.int8)
        weight.reshape(channels, -1)[:, 0] = 127  # as quantising real weights would give
        reach = (
            73.0 * np.sqrt(weight[0].size) * 50.0 * float(self.tensors[source].scale)
        )  # of 73 rms weight, 50 rms input
        scale = self.random.uniform(0.7, 1.4, (bands, channels)).astype(np.float32) / np.float32(reach)
        grid = scale * self.tensors[source].scale
        offset = np.rint(self.random.uniform(-bias, bias, (bands, channels)) / grid).astype(np.int32)
        sign = np.where(self.random.random((bands, channels)) < 0.2, -1, 1).astype(np.int8)
        if bands == 1:
            sign[:] = 1  # the sign of a plain layer is in its weights
        node = Conv(
            name, (source,), name, weight, scale, sign, offset, stride, padding, groups=groups, activation=activation
        )
        return self.add(node, 0.03, -128 if activation == "relu" else 0)

    def resnorm(self, name: str, x: str) -> str:
        """`lam * x + (x - mean) / sqrt(var + eps)` over channels and time, operator by operator."""

        def part(suffix: str) -> str:
            return f"{name}.{suffix}"

        mean = self.add(Mean(part("mean"), (x,), part("mean"), axes=("C", "T")), 0.02)
        centred = self.add(Sub(part("centred"), (x, mean), part("centred")), 0.03)
        square = self.add(Mul(part("square"), (centred, centred), part("square")), 0.05, -128)
        variance = self.add(Mean(part("variance"), (square,), part("variance"), axes=("C", "T")), 0.02, -128)
        eps = self.constant(part("eps"), 127, EPS / 255, -128)
        floored = self.add(Add(part("floored"), (variance, eps), part("floored")), 0.02, -128)
        inverse = self.add(Rsqrt(part("inverse"), (floored,), part("inverse")), 0.006, -128)
        normal = self.add(Mul(part("normal"), (centred, inverse), part("normal")), 0.03)
        lam = self.constant(part("lam"), 127, LAM / 127)
        shortcut = self.add(Mul(part("shortcut"), (x, lam), part("shortcut")), 0.03)
        return self.add(Add(name, (shortcut, normal), name), 0.04)
