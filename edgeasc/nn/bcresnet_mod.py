"""BC-ResNet-Mod: broadcasted residual blocks with a limited receptive field, for acoustic scenes.

Source: QTI DCASE 2021 report (arXiv 2206.13909), section 2.1, table 1; the block is that of BC-ResNet
(arXiv 2106.04140, section 2). Parameters with ten classes: 8,055 at c = 10 and 314,970 at c = 80.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, get_args

from torch import Tensor, nn

from edgeasc.errors import UsageError
from edgeasc.nn.layers import Add, FrequencyMean, GlobalFreqNorm, GlobalMean, ResNorm, SubSpectralNorm
from edgeasc.specs import nearest

Norm = Literal["resnorm", "pre-resnorm", "freqin", "global-freqnorm", "none"]
BLOCKS = (2, 2, 2, 3)  # per stage
WIDTHS = (1.0, 1.5, 2.0, 2.5)  # output channels of a stage, in units of c


def conv_bn_relu(
    n_in: int, n_out: int, kernel: int, stride: int | tuple[int, int] = 1, padding: int = 0
) -> nn.Sequential:
    """Convolution without bias, batch norm and ReLU, named `conv`, `bn` and `relu`."""
    conv = nn.Conv2d(n_in, n_out, kernel, stride, padding, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(n_out), relu=nn.ReLU()))


class BCResBlock(nn.Module):
    """One broadcasted residual block, `[B, n_in, F, T] -> [B, n_out, F / stride, T]`.

    `y = SSN(dw3x1(x))`, `z = dropout(pw(SiLU(BN(dw1x3(mean over F of y)))))`, out `ReLU(y + z + x)`.
    With `transition`, x first goes through conv 1x1, batch norm and ReLU, and is not added at the end.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        transition: bool,
        dropout: float = 0.1,
        bands: int = 4,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.transition = conv_bn_relu(n_in, n_out, 1) if transition else None
        self.freq_dw = nn.Conv2d(n_out, n_out, (3, 1), (stride, 1), (1, 0), groups=n_out, bias=False)
        self.ssn = SubSpectralNorm(n_out, bands)
        self.freq_mean = FrequencyMean()
        self.temp_dw = nn.Conv2d(
            n_out, n_out, (1, 3), 1, (0, dilation), dilation=(1, dilation), groups=n_out, bias=False
        )
        self.temp_bn = nn.BatchNorm2d(n_out)
        self.silu = nn.SiLU()
        self.pw = nn.Conv2d(n_out, n_out, 1, bias=False)
        self.dropout = nn.Dropout2d(dropout)  # whole channels
        self.add = Add()
        self.add_identity = None if transition else Add()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        if self.transition is not None:
            x = self.transition(x)
        y = self.ssn(self.freq_dw(x))
        z = self.silu(self.temp_bn(self.temp_dw(self.freq_mean(y))))
        out = self.add(y, self.dropout(self.pw(z)))  # z is broadcast over frequency
        if self.add_identity is not None:
            out = self.add_identity(out, x)
        relu: Tensor = self.relu(out)
        return relu


class BCResNetMod(nn.Module):
    """BC-ResNet-Mod for any base width: `[B, 1, n_mels, n_frames] -> logits [B, num_classes]`.

    Needs `n_mels` divisible by 32 (four sub-bands at an eighth of the mels).

    Args:
        c: base number of channels; the stages have c, 1.5c, 2c and 2.5c.
        norm: `resnorm` at the input and after every stage, `pre-resnorm` at the input only, `freqin` at the input
            with lambda 0, `global-freqnorm` with training-set statistics, or `none`.
        lam, eps: of residual normalisation.
        dropout: probability of dropping a channel after each point-wise convolution.

    Raises:
        UsageError: an unknown `norm`, or a c that gives a fraction of a channel.
    """

    def __init__(
        self,
        num_classes: int = 10,
        *,
        c: int = 10,
        norm: Norm = "resnorm",
        lam: float = 0.1,
        eps: float = 1e-5,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            hint = nearest(norm, list(get_args(Norm)))
            raise UsageError("network", f"norm {norm!r} is not one of {', '.join(get_args(Norm))}{hint}")
        if c < 2 or c % 2:
            raise UsageError("network", f"c = {c} must be a positive even number, so that 1.5c and 2.5c are whole")
        self.norm0 = _input_norm(norm, lam, eps)
        self.stem = conv_bn_relu(1, 2 * c, 5, 2, 2)
        n1, n2, n3, n4 = (int(width * c) for width in WIDTHS)
        stage_norm = (lam, eps) if norm == "resnorm" else None
        self.stage1 = _stage(2 * c, n1, BLOCKS[0], dropout, stage_norm)
        self.pool1 = nn.MaxPool2d(2)
        self.stage2 = _stage(n1, n2, BLOCKS[1], dropout, stage_norm)
        self.pool2 = nn.MaxPool2d(2)
        self.stage3 = _stage(n2, n3, BLOCKS[2], dropout, stage_norm)
        self.stage4 = _stage(n3, n4, BLOCKS[3], dropout, stage_norm)
        self.head = nn.Sequential(OrderedDict(conv=nn.Conv2d(n4, num_classes, 1), mean=GlobalMean()))

    def forward(self, x: Tensor) -> Tensor:
        if self.norm0 is not None:
            x = self.norm0(x)
        x = self.pool1(self.stage1(self.stem(x)))
        x = self.pool2(self.stage2(x))
        logits: Tensor = self.head(self.stage4(self.stage3(x)))
        return logits


def _input_norm(norm: Norm, lam: float, eps: float) -> nn.Module | None:
    if norm == "none":
        return None
    if norm == "global-freqnorm":
        return GlobalFreqNorm(eps)
    return ResNorm(0.0 if norm == "freqin" else lam, eps)


def _stage(n_in: int, n_out: int, blocks: int, dropout: float, norm: tuple[float, float] | None) -> nn.Sequential:
    """A transition block, `blocks - 1` normal ones, and ResNorm with `norm` = (lam, eps) when it is given."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(blocks):
        transition = index == 0
        modules[str(index)] = BCResBlock(n_in if transition else n_out, n_out, transition=transition, dropout=dropout)
    if norm is not None:
        modules["norm"] = ResNorm(*norm)
    return nn.Sequential(modules)


def bcresnet_mod_1(
    num_classes: int = 10,
    *,
    c: int = 10,
    norm: Norm = "resnorm",
    lam: float = 0.1,
    eps: float = 1e-5,
    dropout: float = 0.1,
) -> BCResNetMod:
    """BC-ResNet-Mod-1: c = 10, 8,055 parameters with ten classes."""
    return BCResNetMod(num_classes, c=c, norm=norm, lam=lam, eps=eps, dropout=dropout)


def bcresnet_mod_8(
    num_classes: int = 10,
    *,
    c: int = 80,
    norm: Norm = "resnorm",
    lam: float = 0.1,
    eps: float = 1e-5,
    dropout: float = 0.1,
) -> BCResNetMod:
    """BC-ResNet-Mod-8: c = 80, 314,970 parameters with ten classes."""
    return BCResNetMod(num_classes, c=c, norm=norm, lam=lam, eps=eps, dropout=dropout)
