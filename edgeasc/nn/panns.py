"""Convolutional networks on 64 mels with one shared head: CNN6, CNN10, CNN14, MobileNetV1, ResNet22, WideResNet28-2.

As the ComParE 2021 primates system used them, after PANNs (Kong et al., arXiv 1912.10211): batch norm over the mels,
average pooling, mean over mels, maximum plus mean over time, one hidden layer, whose output is the embedding.
Source: "Recognising primates' calls with CNNs" (mixup, SpecAugment, balanced sampling), models section.
`width` scales all channels, for networks that fit a small chip.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn

from edgeasc.errors import UsageError
from edgeasc.nn.gmme import image_pool
from edgeasc.nn.layers import Add, FrequencyMean, GlobalMean, MelNorm, TimeMax, TimeMean

Pooling = Callable[[int, int], tuple[nn.Module, int]]


class PannsNetwork(nn.Module):
    """A body between batch norm over the mels and the shared head: `[B, 1, n_mels, T] -> logits [B, num_classes]`.

    Args:
        body: `[B, 1, n_mels, T] -> [B, n_features, F', T']`.
    """

    def __init__(self, body: nn.Sequential, n_features: int, num_classes: int, n_mels: int) -> None:
        super().__init__()
        self.bn0 = MelNorm(n_mels)
        self.body = body
        self.head = SharedHead(n_features, num_classes)
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(self.bn0(x)))
        return logits

    def embedding(self, x: Tensor) -> Tensor:
        """What the classifier reads, `[B, n_features, 1, 1]`."""
        return self.head.embedding(self.body(self.bn0(x)))


class SharedHead(nn.Module):
    """Mean over mels, maximum plus mean over time, dropout, hidden layer with ReLU, dropout, classifier."""

    def __init__(self, n_features: int, num_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.n_features = n_features
        self.mel_mean = FrequencyMean()
        self.time_max, self.time_mean, self.pooled = TimeMax(), TimeMean(), Add()
        self.hidden = nn.Sequential(
            OrderedDict(
                dropout=nn.Dropout(dropout), fc=nn.Conv2d(n_features, n_features, 1), relu=nn.ReLU(inplace=True)
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(dropout=nn.Dropout(dropout), fc=nn.Conv2d(n_features, num_classes, 1), flatten=GlobalMean())
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.embedding(x))
        return logits

    def embedding(self, x: Tensor) -> Tensor:
        """The output of the hidden layer, `[B, n_features, 1, 1]`."""
        x = self.mel_mean(x)
        embedding: Tensor = self.hidden(self.pooled(self.time_max(x), self.time_mean(x)))
        return embedding


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, `[B, n_in, F, T] -> [B, n_out, F / stride, T / stride]`.

    Args:
        pooled: a stride is an average pool before the first convolution and in the shortcut, not in the convolutions.
        dropout: between the convolutions. zero_gain: the last batch norm begins with gain 0.
    """

    def __init__(
        self, n_in: int, n_out: int, stride: int, *, pooled: bool, dropout: float = 0.0, zero_gain: bool = False
    ) -> None:
        super().__init__()
        step = 1 if pooled else stride
        first: OrderedDict[str, nn.Module] = OrderedDict()
        shortcut: OrderedDict[str, nn.Module] = OrderedDict()
        if pooled and stride > 1:
            first["pool"] = nn.AvgPool2d(stride)
            shortcut["pool"] = nn.AvgPool2d(stride)
        first |= _conv(n_in, n_out, 3, step)
        first["dropout"] = nn.Dropout(dropout)
        self.first = nn.Sequential(first)
        self.second = nn.Sequential(OrderedDict(list(_conv(n_out, n_out, 3).items())[:2]))
        if stride > 1 or n_in != n_out:
            shortcut["conv"] = nn.Conv2d(n_in, n_out, 1, step, bias=False)
            shortcut["bn"] = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential(shortcut) if shortcut else nn.Identity()
        self.add, self.relu = Add(), nn.ReLU(inplace=True)
        self.zero_gain = zero_gain

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.relu(self.add(self.second(self.first(x)), self.shortcut(x)))
        return result


def cnn6(
    num_classes: int = 5, *, width: float = 1.0, n_mels: int = 64, pool: str = "average", patch: int = 8, gates: int = 2
) -> PannsNetwork:
    """CNN6: four 5x5 convolutions; 4,569,669 parameters with five classes. `pool` as in `cnn10`."""
    return _cnn(num_classes, width, n_mels, (64, 128, 256, 512), 5, 1, pooling=_pooling(pool, patch, gates))


def cnn10(
    num_classes: int = 5, *, width: float = 1.0, n_mels: int = 64, pool: str = "average", patch: int = 8, gates: int = 2
) -> PannsNetwork:
    """CNN10: four pairs of 3x3 convolutions; 4,951,493 parameters with five classes.

    With `pool="gmme"` the poolings between the blocks are GMME layers with N_k = `patch` and N_c = `gates`; they hand
    four times the channels to the next block. The last one, before the head, stays an average.
    """
    return _cnn(num_classes, width, n_mels, (64, 128, 256, 512), 3, 2, pooling=_pooling(pool, patch, gates))


def cnn14(num_classes: int = 20, *, width: float = 1.0, n_mels: int = 64) -> PannsNetwork:
    """CNN14: six pairs of 3x3 convolutions, the last without pooling; 79,714,772 parameters with twenty classes."""
    return _cnn(num_classes, width, n_mels, (64, 128, 256, 512, 1024, 2048), 3, 2, last_pool=1)


def mobilenet_v1(num_classes: int = 5, *, width: float = 1.0, n_mels: int = 64) -> PannsNetwork:
    """MobileNetV1 with average pooling for strides; 4,261,253 parameters with five classes."""
    steps = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    n_in = _channels(32, width)
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=_pooled_conv(1, n_in, 2))
    for number, (channels, stride) in enumerate(steps, start=1):
        n_out = _channels(channels, width)
        depthwise = _pooled_conv(n_in, n_in, stride, groups=n_in)
        body[f"block{number}"] = nn.Sequential(OrderedDict(dw=depthwise, pw=nn.Sequential(_conv(n_in, n_out, 1))))
        n_in = n_out
    return PannsNetwork(nn.Sequential(body), n_in, num_classes, n_mels)


def resnet22(num_classes: int = 5, *, width: float = 1.0, n_mels: int = 64) -> PannsNetwork:
    """ResNet22: 62,605,509 parameters with five classes."""
    n_in, last = _channels(64, width), _channels(2048, width)
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=_block(1, n_in, 3, 2, 2))
    for number, channels in enumerate((64, 128, 256, 512), start=1):
        n_out, stride = _channels(channels, width), 1 if number == 1 else 2
        blocks = [
            BasicBlock(n_in, n_out, stride, pooled=True, dropout=0.1, zero_gain=True),
            BasicBlock(n_out, n_out, 1, pooled=True, dropout=0.1, zero_gain=True),
        ]
        body[f"stage{number}"] = nn.Sequential(*blocks)
        n_in = n_out
    body["pool"], body["dropout"] = nn.AvgPool2d(2), nn.Dropout(0.2)
    body["last"] = _block(n_in, last, 3, 2, 1)
    return PannsNetwork(nn.Sequential(body), last, num_classes, n_mels)


def wideresnet28_2(num_classes: int = 5, *, width: float = 1.0, n_mels: int = 64) -> PannsNetwork:
    """WideResNet28-2 with 32, 64 and 128 channels; 1,487,973 parameters with five classes."""
    n_in = _channels(32, width)
    body: OrderedDict[str, nn.Module] = OrderedDict(stem=nn.Sequential(_conv(1, n_in, 3)))
    for number, (channels, stride) in enumerate(((32, 1), (64, 2), (128, 2)), start=1):
        n_out = _channels(channels, width)
        steps = [(n_in, stride), *((n_out, 1),) * 3]
        body[f"stage{number}"] = nn.Sequential(*(BasicBlock(n, n_out, step, pooled=False) for n, step in steps))
        n_in = n_out
    return PannsNetwork(nn.Sequential(body), n_in, num_classes, n_mels)


def _pooling(pool: str, patch: int, gates: int) -> Pooling:
    """How images are halved between blocks: `(channels, mels) -> (layer, channels behind it)`.

    Raises:
        UsageError: an unknown kind.
    """
    if pool == "average":
        return lambda channels, mels: (nn.AvgPool2d(2), channels)
    if pool == "gmme":
        return lambda channels, mels: (image_pool(channels, mels, patch=patch, gates=gates), 4 * channels)
    raise UsageError("network", f"pool = {pool!r}; it is 'average' or 'gmme'")


def _cnn(
    num_classes: int,
    width: float,
    n_mels: int,
    channels: tuple[int, ...],
    kernel: int,
    each: int,
    *,
    last_pool: int = 2,
    pooling: Pooling | None = None,
) -> PannsNetwork:
    """Blocks of `each` convolutions, pool and dropout; the pool of the last one is an average, or none."""
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    n_in, mels = 1, n_mels
    for number, wide in enumerate(channels, start=1):
        n_out = n_behind = _channels(wide, width)
        pool = 2 if number < len(channels) else last_pool
        blocks[f"block{number}"] = block = _block(n_in, n_out, kernel, each, pool)
        if pooling is not None and number < len(channels):
            block.pool, n_behind = pooling(n_out, mels)
        n_in, mels = n_behind, mels // 2
    return PannsNetwork(nn.Sequential(blocks), n_in, num_classes, n_mels)


def _block(n_in: int, n_out: int, kernel: int, convolutions: int, pool: int) -> nn.Sequential:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for number in range(1, convolutions + 1):
        modules[f"conv{number}"] = nn.Sequential(_conv(n_in if number == 1 else n_out, n_out, kernel))
    if pool > 1:
        modules["pool"] = nn.AvgPool2d(pool)
    modules["dropout"] = nn.Dropout(0.2)
    return nn.Sequential(modules)


def _conv(n_in: int, n_out: int, kernel: int, stride: int = 1) -> OrderedDict[str, nn.Module]:
    """Convolution that keeps the size, batch norm, ReLU."""
    conv = nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)
    return OrderedDict(conv=conv, bn=nn.BatchNorm2d(n_out), relu=nn.ReLU(inplace=True))


def _pooled_conv(n_in: int, n_out: int, pool: int, groups: int = 1) -> nn.Sequential:
    """3x3 convolution, average pool, batch norm, ReLU."""
    modules: OrderedDict[str, nn.Module] = OrderedDict(conv=nn.Conv2d(n_in, n_out, 3, 1, 1, groups=groups, bias=False))
    if pool > 1:
        modules["pool"] = nn.AvgPool2d(pool)
    modules["bn"], modules["relu"] = nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
    return nn.Sequential(modules)


def _channels(number: int, width: float) -> int:
    """`number` channels scaled by `width`.

    Raises:
        UsageError: no whole number of them.
    """
    scaled = number * width
    if scaled < 1 or scaled != int(scaled):
        raise UsageError(
            "network", f"width = {width:g} makes {scaled:g} of {number} channels; take one that gives whole ones"
        )
    return int(scaled)


def _initialise(module: nn.Module) -> None:
    """Xavier-uniform weights, biases 0; the last batch norm of a residual block may begin with gain 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, BasicBlock) and module.zero_gain:
        nn.init.zeros_(module.second.bn.weight)  # type: ignore[arg-type, union-attr]
