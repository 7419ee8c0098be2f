"""The frozen integer graph: what a quantised network computes, in integers, free of any file format.

Everything behind the waist reads this: the numpy reference, the TFLite and C writers, the audit.
Shapes are logical, `(1, channels, frequency, time)` or `(1, n)`, batch always 1; a writer chooses its own layout.
Weights are int8 in [-127, 127], symmetric per output channel; activations int8 per tensor;
biases int32 on the grid `input scale * weight scale`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Axis = Literal["C", "F", "T"]
Form = Literal["int8", "island"]
Activation = Literal["none", "relu"]


@dataclass(frozen=True)
class QTensor:
    """An int8 tensor: `real = (integer - zero_point) * scale`; a constant carries its integers in `data`."""

    name: str
    shape: tuple[int, ...]
    scale: np.float32
    zero_point: int
    data: NDArray[np.int8] | None = None

    @property
    def size(self) -> int:
        """Number of elements, equal to its bytes."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Node:
    """One operator. `name` is the module path of the layer (and a part after it where a layer is several operators)."""

    name: str
    inputs: tuple[str, ...]
    output: str

    @property
    def op(self) -> str:
        """The operator's name in reports, such as `conv` or `max_pool`."""
        return type(self).op_name

    op_name = "node"


@dataclass(frozen=True)
class Conv(Node):
    """Convolution, dense (`groups` 1) or depth-wise (`groups` = channels), with requantisation per (band, channel).

    The output's frequency axis is cut into `bands` equal parts (sub-spectral normalisation folded in, 1 for a plain
    layer). In band s, output channel c is
    `sum(weight * (input - zero point)) * sign[s, c] + bias[s, c]`, an int32 accumulator on the grid
    `input.scale * scale[s, c]`. `sign` 0 marks a (band, channel) whose weights vanish.
    """

    weight: NDArray[np.int8] = field(repr=False)  # [C_out, C_in / groups, k_f, k_t]
    scale: NDArray[np.float32] = field(repr=False)  # [bands, C_out], gain of the band included
    sign: NDArray[np.int8] = field(repr=False)  # [bands, C_out], -1, 0 or 1
    bias: NDArray[np.int32] = field(repr=False)  # [bands, C_out]
    stride: tuple[int, int] = (1, 1)  # frequency, time
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # frequency before, time before, frequency after, time after
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    activation: Activation = "none"

    op_name = "conv"

    @property
    def bands(self) -> int:
        """Sub-bands of the output's frequency axis that are requantised apart."""
        return int(self.scale.shape[0])

    @property
    def depthwise(self) -> bool:
        """Whether every output channel sees exactly one input channel, its own."""
        return self.groups > 1 and self.weight.shape[1] == 1 and self.weight.shape[0] == self.groups


@dataclass(frozen=True)
class Add(Node):
    """`inputs[0] + inputs[1]` with broadcasting, then the activation."""

    activation: Activation = "none"
    op_name = "add"


@dataclass(frozen=True)
class Sub(Node):
    """`inputs[0] - inputs[1]` with broadcasting."""

    op_name = "sub"


@dataclass(frozen=True)
class Mul(Node):
    """`inputs[0] * inputs[1]` with broadcasting; both inputs may be the same tensor."""

    op_name = "mul"


@dataclass(frozen=True)
class Mean(Node):
    """Mean over `axes`; kept as size 1, or dropped where `keep` is false (then only channels remain)."""

    axes: tuple[Axis, ...] = ("F",)
    keep: bool = True
    op_name = "mean"


@dataclass(frozen=True)
class Moved(Node):
    """An operator that hands integers on, in another shape; the output has the input's scale and zero point."""


@dataclass(frozen=True)
class Pad(Moved):
    """Frames before and after, mirrored at the first and at the last one, which are not repeated."""

    before: int = 0
    after: int = 0
    op_name = "pad"


@dataclass(frozen=True)
class Slice(Moved):
    """The places `start` to `stop` (exclusive) of an axis."""

    axis: Literal["C", "T"] = "C"
    start: int = 0
    stop: int = 1
    op_name = "slice"


@dataclass(frozen=True)
class Regroup(Moved):
    """Channels and frequencies shared out anew, in the order `channel * frequencies + frequency`, which stays."""

    channels: int = 1
    op_name = "regroup"


@dataclass(frozen=True)
class Pool(Node):
    """An operator on windows, no padding; the output has the input's scale and zero point."""

    kernel: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (2, 2)


@dataclass(frozen=True)
class MaxPool(Pool):
    """Maximum over windows."""

    op_name = "max_pool"


@dataclass(frozen=True)
class AvgPool(Pool):
    """Mean over windows, as integers: rounded to the nearest, halves away from zero; then the activation."""

    activation: Activation = "none"
    op_name = "avg_pool"


@dataclass(frozen=True)
class LeakyRelu(Node):
    """`x`, times `slope` where it is negative."""

    slope: float = 0.2
    op_name = "leaky_relu"


@dataclass(frozen=True)
class PRelu(Node):
    """`x`, times a slope of its channel, or one for all, where it is negative; slopes are `slope * slope_scale`."""

    slope: NDArray[np.int8] = field(repr=False)  # [C] or [1], in [-127, 127]
    slope_scale: np.float32 = field(repr=False)
    op_name = "prelu"


@dataclass(frozen=True)
class Logistic(Node):
    """Sigmoid; the output has scale 1/256 and zero point -128."""

    op_name = "logistic"


@dataclass(frozen=True)
class Rsqrt(Node):
    """`1 / sqrt(x)`; the input's zero point is -128, an input of zero gives the largest output."""

    op_name = "rsqrt"


@dataclass(frozen=True)
class Silu(Node):
    """Island: `x * sigmoid(x)` in float between dequantisation and quantisation; a 256-entry table in integers."""

    op_name = "silu"


@dataclass(frozen=True)
class ResNorm(Node):
    """Island: `lam * x + (x - mean) / sqrt(var + eps)`, statistics over channels and time for every frequency."""

    lam: float = 0.1
    eps: float = 1e-3
    op_name = "resnorm"


@dataclass(frozen=True)
class Gelu(Node):
    """Island: `x * Phi(x)`, Phi the normal distribution, not its tanh approximation; a table in integers."""

    op_name = "gelu"


@dataclass(frozen=True)
class ChannelNorm(Node):
    """Island: layer norm over the channels of every frequency and time, times `gain`, plus `offset`."""

    gain: NDArray[np.float32] = field(repr=False)  # [C]
    offset: NDArray[np.float32] = field(repr=False)  # [C]
    eps: float = 1e-5
    op_name = "channel_norm"


@dataclass(frozen=True)
class Attention(Node):
    """Island: `softmax(q k^T / sqrt(C / heads)) v` over time, for queries, keys, values `(1, C, 1, T)`.

    Channels belong to heads in equal runs.
    """

    heads: int = 1
    op_name = "attention"


@dataclass(frozen=True)
class ZeroPad(Node):
    """Zeros before the first frame and behind the last one; the output has the input's scale and zero point."""

    padding: tuple[int, int] = (0, 0)  # frames before, frames after
    op_name = "zero_pad"


ISLANDS = (Silu, Gelu, ResNorm, ChannelNorm, Attention)
KEEPING_GRID = (Pool, Moved, ZeroPad)  # their output has the input's scale and zero point


@dataclass(frozen=True)
class IntegerGraph:
    """Nodes in execution order over named int8 tensors, one input and one output.

    `form` fixes the rounding of every requantisation: `int8` rounds twice as TFLite's reference kernels do,
    `island` rounds once.
    """

    form: Form
    input: str
    output: str
    tensors: dict[str, QTensor]
    nodes: tuple[Node, ...]
    metadata: dict[str, str] = field(default_factory=dict)  # "edgeasc.features", "edgeasc.labels", ...

    def __getitem__(self, name: str) -> QTensor:
        return self.tensors[name]

    def convs(self) -> Iterator[Conv]:
        """The convolutions, in execution order."""
        return (node for node in self.nodes if isinstance(node, Conv))
