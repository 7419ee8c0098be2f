"""Gated multi mini-patch extractor (GMME): pooling that sees mini-patches in frequency, in time and in both.

A sequence of f channels is read as an image of f rows; its f x t values become 2f channels of t / s frames, as a
convolution to twice the channels with an anti-aliasing filter would give them, from parameters that do not depend on f.
Source: "Gated multi mini-patch extractor for audio classification" (GMME), section 3, equations 1 to 5.

The paper names N_c channels per branch, but the counts it prints (17.4, 34.9 and 67.8 thousand for two modules) fit no
layout of N_c channels: that has 4,312, 8,608 and 16,800. They fit s^2 * N_c channels, so that channels x area is N_c
times the input's: 17,384, 34,760 and 67,528. `width` is that factor, 4 by default; 1, with `slopes="one"`, is the
literal reading.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgeasc.errors import UsageError
from edgeasc.nn.layers import Add
from edgeasc.nn.sequence import ChannelSlice, Multiply, Regroup

SLOPES = ("channel", "one")


class Gmme(nn.Module):
    """GMME pooling of a sequence, `[B, f, 1, t] -> [B, 2f, 1, t // stride]`, for any f.

    Three convolutions look at the image `[B, 1, f, t]` with strides `(stride, stride)`: frequency patches
    `patch x 2 stride`, time patches `2 stride x patch`, and global ones of `2 stride x 2 stride`. Half of the channels
    of the first two are gates, the other half features: `phi(Z_g + sig(G_f) sig(G_t) PReLU(M_f M_t))`, where phi is
    point-wise with `2 stride` channels, one after the other in the output.

    Args:
        frequencies: f; where it is no multiple of `stride`, zeros stand for the missing rows and the surplus is cut.
        patch: N_k, the long side of a patch. gates: N_c. width: channels of a branch are `width * gates`.
        slopes: a PReLU has one slope per channel, or one alone.

    Raises:
        UsageError: sizes that give no whole channels or do not cover a stride.
    """

    def __init__(
        self,
        frequencies: int,
        *,
        patch: int = 32,
        gates: int = 8,
        stride: int = 2,
        width: int = 4,
        slopes: str = "channel",
    ) -> None:
        super().__init__()
        channels = width * gates
        _check(patch, channels, stride, slopes)
        half, surplus = channels // 2, -frequencies % stride
        self.image: nn.Module = Regroup(1)
        if surplus:
            self.image = nn.Sequential(self.image, nn.ZeroPad2d((0, 0, 0, surplus)))
        rows = frequencies + surplus
        self.frequency = _branch(rows, channels, (patch, 2 * stride), stride, slopes)
        self.time = _branch(rows, channels, (2 * stride, patch), stride, slopes)
        self.whole = _branch(rows, half, (2 * stride, 2 * stride), stride, slopes)
        self.frequency_gate = nn.Sequential(ChannelSlice(0, half), nn.Sigmoid())
        self.time_gate = nn.Sequential(ChannelSlice(0, half), nn.Sigmoid())
        self.frequency_feature, self.time_feature = (ChannelSlice(half, channels) for _ in range(2))
        self.gate, self.feature, self.gated = Multiply(), Multiply(), Multiply()
        self.feature_act = _prelu(half, slopes)
        self.add = Add()
        self.point = nn.Conv2d(half, 2 * stride, 1)
        self.sequence: nn.Module = Regroup(0)
        if surplus:
            self.sequence = nn.Sequential(self.sequence, ChannelSlice(0, 2 * frequencies))

    def forward(self, x: Tensor) -> Tensor:
        image = self.image(x)
        frequency, time, whole = self.frequency(image), self.time(image), self.whole(image)
        gate = self.gate(self.time_gate(time), self.frequency_gate(frequency))
        feature = self.feature_act(self.feature(self.time_feature(time), self.frequency_feature(frequency)))
        result: Tensor = self.sequence(self.point(self.add(whole, self.gated(gate, feature))))
        return result


def image_pool(channels: int, frequencies: int, *, patch: int, gates: int) -> nn.Sequential:
    """GMME in place of a 2x2 average pool of images, `[B, C, F, T] -> [B, 4 C, F / 2, T // 2]`.

    The rows of all channels are one sequence; pairs of rows stay neighbours in it, so that the image comes back with
    half the frequencies and, since GMME doubles, four times the channels.

    Raises:
        UsageError: an odd number of frequencies.
    """
    if frequencies % 2:
        why = f"{frequencies} frequencies at a GMME pool, which halves them"
        raise UsageError("network", f"{why}; take n_mels a multiple of 8 for three pools")
    return nn.Sequential(Regroup(0), Gmme(channels * frequencies, patch=patch, gates=gates), Regroup(4 * channels))


def _check(patch: int, channels: int, stride: int, slopes: str) -> None:
    """Refuse what has no whole number of channels, or patches that leave gaps."""
    if channels < 2 or channels % 2:
        raise UsageError("network", f"gates * width = {channels} channels; GMME halves them, so take an even number")
    if stride < 1 or patch < stride:
        raise UsageError("network", f"patch = {patch}, stride = {stride}: patches shorter than their stride leave gaps")
    if slopes not in SLOPES:
        raise UsageError("network", f"slopes = {slopes!r}; it is one of {', '.join(SLOPES)}")


def _branch(rows: int, channels: int, kernel: tuple[int, int], stride: int, slopes: str) -> nn.Sequential:
    """Convolution of a one-channel image of `rows` rows to exactly `f // stride x t // stride`, then PReLU.

    Where a patch is as tall as the image, zeros are a layer of their own: oneDNN 3.12, which torch 2.13 computes with,
    writes out of bounds in the gradient of a padded convolution there, and the weights become garbage.
    """
    above, before = ((side - stride) // 2 for side in kernel)
    below, after = (side - stride - first for side, first in zip(kernel, (above, before), strict=True))
    layers: list[nn.Module] = []
    padding = (above, before)
    if (above, before) != (below, after) or kernel[0] >= rows:
        layers.append(nn.ZeroPad2d((before, after, above, below)))
        padding = (0, 0)
    layers += [nn.Conv2d(1, channels, kernel, stride, padding), _prelu(channels, slopes)]
    return nn.Sequential(*layers)


def _prelu(channels: int, slopes: str) -> nn.PReLU:
    return nn.PReLU(channels if slopes == "channel" else 1)
