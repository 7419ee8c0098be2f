"""EAT-S, the small end-to-end audio transformer: strided convolutions on a waveform, then attention over its tokens.

Sources: EAT (arXiv 2204.11479) and "Gated multi mini-patch extractor for audio classification" (GMME), which replaces
the two anti-aliased poolings behind the dilated blocks (network EAT-S-AA) by its own layer (EAT-S-GMME).
A waveform is `[B, 1, 1, n_samples]` in -1 .. 1: an image with one row, so that all layers are two-dimensional ones of
height 1. The learned positions fix the length of the input: option `samples`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from edgeasc.errors import UsageError
from edgeasc.nn.gmme import Gmme
from edgeasc.nn.layers import Add, GlobalMean
from edgeasc.nn.sequence import Attention, BlurPool, ChannelNorm, ClassToken, FirstToken

SLOPE = 0.2  # of every LeakyReLU
KERNEL = 15  # of the depth-wise convolutions
DILATIONS = (1, 3, 9)  # of the residual blocks before each pooling of part 2
DROPOUT = 0.1

PoolLayer = Callable[[int], nn.Module]  # channels -> a layer [B, C, 1, T] -> [B, 2 C, 1, T / 2]


class Eat(nn.Module):
    """EAT-S: `[B, 1, 1, samples] -> logits [B, num_classes]`.

    Args:
        pool: makes the poolings of part 2; each doubles the channels. pooled: tokens behind one of so many frames.
        factors: what the poolings of part 1 divide the frames by; each doubles the channels.
        channels: of the first convolution. embedding: of the transformer, with `layers` layers of `heads` heads.

    Raises:
        UsageError: a length, or sizes, that no layer can be made of.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        pool: PoolLayer,
        pooled: Callable[[int], int],
        samples: int,
        factors: tuple[int, ...],
        channels: int,
        embedding: int,
        layers: int,
        heads: int,
    ) -> None:
        super().__init__()
        if embedding % heads:
            raise UsageError("network", f"embedding = {embedding} does not divide by heads = {heads}")
        self.start = nn.Sequential(nn.ReflectionPad2d((3, 3, 0, 0)), *_conv(1, channels, 7))
        part1: OrderedDict[str, nn.Module] = OrderedDict()
        tokens = samples
        for number, factor in enumerate(factors):
            part1[f"down{number + 1}"], tokens = Down(channels, factor), -(-tokens // factor)
            channels *= 2
            if number in (0, 2):
                part1[f"res{number + 1}"] = ResidualBlock(channels)
        part2: OrderedDict[str, nn.Module] = OrderedDict()
        for number in (1, 2):
            _check_length(samples, tokens)
            for dilation in DILATIONS:
                part2[f"res{number}_{dilation}"] = ResidualBlock(channels, dilation)
            part2[f"pool{number}"], tokens = pool(channels), pooled(tokens)
            channels *= 2
        self.part1, self.part2 = nn.Sequential(part1), nn.Sequential(part2)
        self.project = nn.Conv2d(channels, embedding, 1)
        self.token = ClassToken(embedding, tokens)
        self.encoder = nn.Sequential(*(EncoderLayer(embedding, heads) for _ in range(layers)), ChannelNorm(embedding))
        self.first = FirstToken()
        self.classifier = nn.Sequential(OrderedDict(fc=nn.Conv2d(embedding, num_classes, 1), flatten=GlobalMean()))
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.token(self.project(self.part2(self.part1(self.start(x)))))
        logits: Tensor = self.classifier(self.first(self.encoder(tokens)))
        return logits


class Down(nn.Sequential):
    """Convolution to twice the channels, then anti-aliased pooling: `[B, C, 1, T] -> [B, 2 C, 1, ceil(T / factor)]`."""

    def __init__(self, channels: int, factor: int) -> None:
        kernel, wide = factor + 1, 2 * channels
        left = kernel // 2
        super().__init__(
            OrderedDict(
                pad=nn.ReflectionPad2d((left, kernel - 1 - left, 0, 0)),
                conv=nn.Sequential(*_conv(channels, wide, kernel)),
                blur_pad=nn.ReflectionPad2d((factor, factor, 0, 0)),
                blur=BlurPool(wide, factor),
            )
        )


class ResidualBlock(nn.Module):
    """The sum of three ways that keep the shape: point-wise with bias, point-wise with norm, depth-wise along time."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        pad = dilation * (KERNEL // 2)
        self.shortcut = nn.Conv2d(channels, channels, 1)
        self.frequency = nn.Sequential(*_conv(channels, channels, 1))
        self.time = nn.Sequential(
            nn.ReflectionPad2d((pad, pad, 0, 0)), *_conv(channels, channels, KERNEL, dilation, groups=channels)
        )
        self.add_frequency, self.add_time = Add(), Add()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.add_time(self.add_frequency(self.shortcut(x), self.frequency(x)), self.time(x))
        return result


class EncoderLayer(nn.Module):
    """A post-norm transformer layer on `[B, C, 1, T]`: attention, then two linear layers with GELU, four times as wide.

    Attention's weights, both residual ways and the hidden layer drop out, as in torch's `TransformerEncoderLayer`.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, channels, 1) for _ in range(3))
        self.attention = Attention(heads, DROPOUT)
        self.mixed = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Dropout(DROPOUT))
        self.add1, self.norm1 = Add(), ChannelNorm(channels)
        hidden = (nn.Conv2d(channels, 4 * channels, 1), nn.GELU(), nn.Dropout(DROPOUT))
        self.feed = nn.Sequential(*hidden, nn.Conv2d(4 * channels, channels, 1), nn.Dropout(DROPOUT))
        self.add2, self.norm2 = Add(), ChannelNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mixed(self.attention(self.query(x), self.key(x), self.value(x)))
        x = self.norm1(self.add1(x, mixed))
        result: Tensor = self.norm2(self.add2(x, self.feed(x)))
        return result


def eat_s_aa(
    num_classes: int = 50,
    *,
    samples: int = 114_688,
    factors: str = "4 4 4 4",
    channels: int = 16,
    embedding: int = 128,
    layers: int = 4,
    heads: int = 8,
) -> Eat:
    """EAT-S with anti-aliased pooling: 5,183,618 parameters for ESC-50 (5.2 s at 22.05 kHz).

    UrbanSound8K: `samples=90112`, 5,175,386 with ten classes. Speech Commands (1.024 s at 16 kHz):
    `samples=16384, factors="4 4 4"`, 1,971,955 with 35 classes.
    """
    return Eat(
        num_classes,
        pool=lambda wide: Down(wide, 2),
        pooled=lambda frames: -(-frames // 2),
        samples=samples,
        factors=_factors(factors),
        channels=channels,
        embedding=embedding,
        layers=layers,
        heads=heads,
    )


def eat_s_gmme(
    num_classes: int = 50,
    *,
    samples: int = 114_688,
    factors: str = "4 4 4 4",
    patch: int = 32,
    gates: int = 8,
    stride: int = 2,
    width: int = 4,
    slopes: str = "channel",
    channels: int = 16,
    embedding: int = 128,
    layers: int = 4,
    heads: int = 8,
) -> Eat:
    """EAT-S with GMME pooling (`patch` N_k, `gates` N_c): 3,231,850 parameters for ESC-50, 17,384 of them pooling.

    N_c = 16 makes 34,760, and N_k = 64 with it 67,528; `width=1, slopes="one"` is the literal reading of the paper with
    4,312, 8,608 and 16,800 (`edgeasc.nn.gmme` tells why it is not the default). Lengths and factors as in `eat_s_aa`.
    """
    return Eat(
        num_classes,
        pool=lambda rows: Gmme(rows, patch=patch, gates=gates, stride=stride, width=width, slopes=slopes),
        pooled=lambda frames: frames // stride,
        samples=samples,
        factors=_factors(factors),
        channels=channels,
        embedding=embedding,
        layers=layers,
        heads=heads,
    )


def _conv(n_in: int, n_out: int, kernel: int, dilation: int = 1, groups: int = 1) -> tuple[nn.Module, ...]:
    """Convolution along time without padding and bias, batch norm, LeakyReLU."""
    conv = nn.Conv2d(n_in, n_out, (1, kernel), dilation=(1, dilation), groups=groups, bias=False)
    return conv, nn.BatchNorm2d(n_out), nn.LeakyReLU(SLOPE, inplace=True)


def _factors(text: str) -> tuple[int, ...]:
    """The pooling factors written in `text`.

    Raises:
        UsageError: none, or one that is no positive number.
    """
    words = text.replace(",", " ").split()
    if not words or not all(word.isascii() and word.isdecimal() and int(word) > 1 for word in words):
        raise UsageError("network", f"factors = {text!r}; write numbers above 1, such as '4 4 4 4'")
    return tuple(int(word) for word in words)


def _check_length(samples: int, frames: int) -> None:
    """Refuse an input whose frames are fewer than the widest dilated block reflects."""
    reflected = max(DILATIONS) * (KERNEL // 2)
    if frames <= reflected:
        why = f"samples = {samples} leaves {frames} frames where {reflected} are reflected at each end"
        raise UsageError("network", f"{why}; take longer inputs or smaller factors")


def _initialise(network: Eat) -> None:
    """As the reference does: linear layers from a narrow normal, attention's projections Xavier-uniform, biases 0."""
    for part in (network.encoder, network.classifier):
        for module in part.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
    for layer in network.encoder:
        if isinstance(layer, EncoderLayer):
            for projection in (layer.query, layer.key, layer.value):
                nn.init.xavier_uniform_(projection.weight, gain=0.5**0.5)  # the three are one matrix of 3 C rows there
