"""The steps of transformers: islands in float (GELU, layer norm, attention), and what puts the class token in place."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeasc.compress.steps import Constant, Step, Tensors
from edgeasc.graph import model as graph
from edgeasc.graph.model import Node, QTensor


class GeluStep(Step):
    """Float region `x * Phi(x)`."""

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x)

    def node(self, tensors: Tensors) -> Node:
        return graph.Gelu(self.name, self.inputs, self.name)


class ChannelNormStep(Step):
    """Float region: layer norm over channels; gain and offset stay float32 and are trained."""

    def __init__(self, name: str, inputs: tuple[str, ...], gain: Tensor, offset: Tensor, eps: float) -> None:
        super().__init__(name, inputs)
        self.gain, self.offset, self.eps = nn.Parameter(gain), nn.Parameter(offset), eps

    def forward(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        normal = (x - mean) * torch.rsqrt(var + self.eps)
        return normal * self.gain.view(1, -1, 1, 1) + self.offset.view(1, -1, 1, 1)

    def node(self, tensors: Tensors) -> Node:
        gain, offset = (values.detach().cpu().numpy().astype(np.float32) for values in (self.gain, self.offset))
        eps = float(np.float32(self.eps))  # as a file keeps it
        return graph.ChannelNorm(self.name, self.inputs, self.name, gain, offset, eps=eps)


class AttentionStep(Step):
    """Float region `softmax(q k^T / sqrt(C / heads)) v` over time, for q, k, v `[B, C, 1, T]`."""

    def __init__(self, name: str, inputs: tuple[str, ...], heads: int) -> None:
        super().__init__(name, inputs)
        self.heads = heads

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        batch, channels, _, tokens = queries.shape
        q, k, v = (x.reshape(batch, self.heads, -1, tokens).transpose(2, 3) for x in (queries, keys, values))
        return F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(batch, channels, 1, tokens)

    def node(self, tensors: Tensors) -> Node:
        return graph.Attention(self.name, self.inputs, self.name, heads=self.heads)


class ZeroPadStep(Step):
    """Zeros before the first frame and behind the last one; zero is on every grid, so the grid stays."""

    grid, rounds = "input", False

    def __init__(self, name: str, inputs: tuple[str, ...], padding: tuple[int, int]) -> None:
        super().__init__(name, inputs)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding)

    def node(self, tensors: Tensors) -> Node:
        return graph.ZeroPad(self.name, self.inputs, self.name, padding=self.padding)


class Learned(Constant):
    """A trained tensor that the graph keeps as an int8 constant, symmetric on its own grid."""

    rounds = True

    def __init__(self, name: str, values: Tensor) -> None:
        super().__init__(name, 0.0)
        self.values = nn.Parameter(values)
        self.shape = tuple(values.shape)

    def forward(self, like: Tensor) -> Tensor:
        return self.values

    @property
    def scale(self) -> np.float32:
        return np.float32(max(float(self.values.detach().abs().max()), SMALLEST) / 127)

    def tensor(self, grid: QTensor) -> QTensor:
        on_grid = torch.fake_quantize_per_tensor_affine(self.values.detach().cpu(), float(grid.scale), 0, -128, 127)
        integers = torch.round(on_grid / float(grid.scale)).numpy().astype(np.int8)
        return QTensor(self.name, self.shape, grid.scale, 0, integers)


SMALLEST = 1e-5  # a constant that is zero everywhere needs a grid as well
