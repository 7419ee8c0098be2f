"""A small transformer classifier of the package's own layers: tokens of a waveform, a class token, post-norm layers."""

from __future__ import annotations

import json

import torch
from seeded import enliven
from torch import Tensor, nn

from edgeasc.compress.quantnet import QuantNet
from edgeasc.nn.layers import Add, GlobalMean
from edgeasc.nn.sequence import Attention, ChannelNorm, ClassToken
from edgeasc.specs import Waveform

SHAPE = (1, 1, 1, 240)
TOKENS, CHANNELS, HEADS, CLASSES = 15, 16, 4, 5


class Layer(nn.Module):
    """Attention, then two linear layers with GELU; a layer norm behind each sum."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.mix = (nn.Conv2d(channels, channels, 1) for _ in range(4))
        self.attention, self.drop = Attention(heads, 0.1), nn.Dropout(0.1)
        self.add1, self.norm1 = Add(), ChannelNorm(channels)
        self.wide, self.gelu, self.narrow = (
            nn.Conv2d(channels, 2 * channels, 1),
            nn.GELU(),
            nn.Conv2d(2 * channels, channels, 1),
        )
        self.add2, self.norm2 = Add(), ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.drop(self.mix(self.attention(self.query(x), self.key(x), self.value(x))))
        x = self.norm1(self.add1(x, mixed))
        return self.norm2(self.add2(x, self.narrow(self.gelu(self.wide(x)))))


class Transformer(nn.Module):
    """`[B, 1, 1, 240] -> [B, 5]`: 15 tokens of 16 samples, two layers, the mean over the tokens."""

    def __init__(self, channels: int = CHANNELS, heads: int = HEADS, layers: int = 2) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(1, channels, (1, 16), (1, 16), bias=False), nn.BatchNorm2d(channels)
        self.token = ClassToken(channels, TOKENS)
        self.layers = nn.Sequential(*(Layer(channels, heads) for _ in range(layers)))
        self.head, self.mean = nn.Conv2d(channels, CLASSES, 1), GlobalMean()

    def forward(self, x: Tensor) -> Tensor:
        return self.mean(self.head(self.layers(self.token(self.bn(self.stem(x))))))


def waves(n: int, seed: int) -> Tensor:
    """Seeded tones in noise, `[n, 1, 1, 240]`, the first silent."""
    generator = torch.Generator().manual_seed(seed)
    frequency, phase = 0.02 + 0.4 * torch.rand(n, 1, generator=generator), 6 * torch.rand(n, 1, generator=generator)
    x = torch.sin(frequency * torch.arange(SHAPE[3]) * 3.14 + phase) * 0.6
    x = x + 0.2 * torch.randn(x.shape, generator=generator)
    x[0] = 0
    return x[:, None, None].clamp(-1, 1)


def lively_transformer(seed: int = 1) -> Transformer:
    """As after training: norms that spread, tokens and positions of the size of what they are added to."""
    torch.manual_seed(seed)
    network = Transformer()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, ChannelNorm):
                module.weight.normal_(1.0, 0.3)
                module.bias.normal_(0.0, 0.3)
            elif isinstance(module, ClassToken):
                module.token.normal_(0.0, 0.5)
                module.positions.normal_(0.0, 0.3)
            elif isinstance(module, nn.Conv2d):
                module.weight.mul_(1.5)
        network.head.weight.mul_(4)
    return enliven(network, (waves(16, seed) for seed in range(12)), 0.4, 0.2)  # type: ignore[return-value]


METADATA = {
    "edgeasc.form": "island",
    "edgeasc.features": Waveform(kind="waveform", sample_rate=8_000).model_dump_json(),
    "edgeasc.labels": json.dumps(list("abcde")),
}


def quantised_transformer() -> QuantNet:
    """The observed `QuantNet` of `lively_transformer`."""
    net = QuantNet(lively_transformer(), "island", SHAPE).eval()
    net.observe([waves(32, 100), waves(32, 101)])
    return net
