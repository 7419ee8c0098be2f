"""Layers of networks on waveforms and token sequences, one leaf module per operation.

A sequence is `[B, C, 1, T]`: one frequency, time last, so that one-dimensional layers are two-dimensional ones of
height 1 (a linear layer over tokens is a point-wise convolution) and everything behind takes them as it takes images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeasc.errors import UsageError


class Multiply(nn.Module):
    """The product of two tensors, broadcast over axes of size 1."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left * right


class ChannelSlice(nn.Module):
    """The channels `start` to `stop` (exclusive): `[B, C, F, T] -> [B, stop - start, F, T]`."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.start : self.stop]

    def extra_repr(self) -> str:
        return f"start={self.start}, stop={self.stop}"


class Regroup(nn.Module):
    """Channels and frequencies shared out anew, `[B, C, F, T] -> [B, channels, C * F / channels, T]`.

    The order of `channel * F + frequency` stays: with one channel a sequence becomes an image whose rows are its
    channels, and with `C * F` channels the rows of an image become the channels of a sequence.

    Args:
        channels: of the output; 0 stands for all, `C * F`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        channels = self.channels or x.shape[1] * x.shape[2]
        return x.reshape(x.shape[0], channels, -1, x.shape[3])

    def extra_repr(self) -> str:
        return f"channels={self.channels}"


class ClassToken(nn.Module):
    """A learned token before the first one, then a learned position added to each: `[B, C, 1, T] -> [B, C, 1, T + 1]`.

    Parameters: `token [1, C, 1, 1]`, `positions [1, C, 1, T + 1]`.

    Raises:
        UsageError: in `forward`, for another number of tokens.
    """

    def __init__(self, channels: int, tokens: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.positions = nn.Parameter(torch.zeros(1, channels, 1, tokens + 1))
        nn.init.trunc_normal_(self.token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        known = self.positions.shape[3] - 1
        if x.shape[3] != known:
            why = f"{x.shape[3]} tokens come where positions of {known} were learned"
            raise UsageError("network", f"{why}; set model.options.samples to the length of an input")
        token = self.token.expand(x.shape[0], -1, -1, -1)
        return torch.cat((token, x), 3) + self.positions

    def extra_repr(self) -> str:
        return f"channels={self.token.shape[1]}, tokens={self.positions.shape[3] - 1}"


class FirstToken(nn.Module):
    """The first token alone: `[B, C, 1, T] -> [B, C, 1, 1]`."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., :1]


class ChannelNorm(nn.Module):
    """Layer norm over the channels of every token (and frequency), with an affine pair per channel."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
        normal = (x - mean) * torch.rsqrt(var + self.eps)
        return normal * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)

    def extra_repr(self) -> str:
        return f"channels={len(self.weight)}, eps={self.eps}"


class Attention(nn.Module):
    """Scaled dot-product attention of `heads` heads over time: queries, keys, values `[B, C, 1, T] -> [B, C, 1, T]`.

    Without parameters: the four linear layers round it are point-wise convolutions of their own.
    """

    def __init__(self, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        batch, channels, _, tokens = queries.shape
        q, k, v = (x.reshape(batch, self.heads, -1, x.shape[3]).transpose(2, 3) for x in (queries, keys, values))
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return mixed.transpose(2, 3).reshape(batch, channels, 1, tokens)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, dropout={self.dropout}"


class BlurPool(nn.Conv2d):
    """Depth-wise triangular low-pass filter of `2 stride + 1` taps that keeps every `stride`-th frame.

    The taps (1, 2, .. stride + 1 .. 2, 1), normalised, are a buffer and no parameter: neither trained nor pruned.
    Source: Zhang, "Making convolutional networks shift-invariant again" (arXiv 1904.11486), as EAT uses it.
    Shape: `[B, C, 1, T + 2 stride] -> [B, C, 1, ceil(T / stride)]`; the padding is a layer before it.

    Raises:
        UsageError: in `forward`, for features with several rows.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__(channels, channels, (1, 2 * stride + 1), (1, stride), groups=channels, bias=False)
        ramp = torch.arange(1.0, stride + 2)
        taps = torch.cat((ramp, ramp.flip(0)[1:]))
        del self.weight
        # Made of the stride, so not part of a checkpoint.
        self.register_buffer("weight", (taps / taps.sum()).expand(channels, 1, 1, -1).clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] != 1:
            why = f"features of {x.shape[2]} rows at a network on waveforms"
            raise UsageError("network", f'{why}; set features.kind = "waveform"')
        return super().forward(x)


SEQUENCE_LEAVES = (Multiply, ChannelSlice, Regroup, ClassToken, FirstToken, ChannelNorm, Attention, BlurPool)
