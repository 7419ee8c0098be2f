"""BC-ResNet-8 as published for keyword spotting, with four sub-bands as the QTI report used it.

Source: Kim et al., "Broadcasted residual learning for efficient keyword spotting" (arXiv 2106.04140), table 1.
317,098 parameters with ten classes, 317,610 with a batch norm in the head (the published code).
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from edgeasc.nn.bcresnet_mod import WIDTHS, BCResBlock, conv_bn_relu
from edgeasc.nn.layers import GlobalMean


class BCResNet(nn.Module):
    """BC-ResNet: `[B, 1, n_mels, n_frames] -> logits [B, num_classes]`, all frames kept.

    Needs `n_mels / 8` divisible by `bands` and at least 5 (the head's kernel): 64 mels and more with 4 bands.
    """

    def __init__(
        self, num_classes: int = 10, *, c: int = 64, bands: int = 4, head_norm: bool = False, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.stem = conv_bn_relu(1, 2 * c, 5, (2, 1), 2)
        n1, n2, n3, n4 = (int(width * c) for width in WIDTHS)
        self.stage1 = _stage(2 * c, n1, 2, stride=1, dilation=1, bands=bands, dropout=dropout)
        self.stage2 = _stage(n1, n2, 2, stride=2, dilation=2, bands=bands, dropout=dropout)
        self.stage3 = _stage(n2, n3, 4, stride=2, dilation=4, bands=bands, dropout=dropout)
        self.stage4 = _stage(n3, n4, 4, stride=1, dilation=8, bands=bands, dropout=dropout)
        self.head = _head(n4, 4 * c, num_classes, head_norm)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage2(self.stage1(self.stem(x)))
        logits: Tensor = self.head(self.stage4(self.stage3(x)))
        return logits


def _stage(
    n_in: int, n_out: int, blocks: int, *, stride: int, dilation: int, bands: int, dropout: float
) -> nn.Sequential:
    """A transition block with the stage's stride over frequency, then `blocks - 1` normal ones."""
    return nn.Sequential(
        *(
            BCResBlock(
                n_out if index else n_in,
                n_out,
                transition=index == 0,
                dropout=dropout,
                bands=bands,
                stride=1 if index else stride,
                dilation=dilation,
            )
            for index in range(blocks)
        )
    )


def _head(n_in: int, n_hidden: int, num_classes: int, head_norm: bool) -> nn.Sequential:
    """Depth-wise 5x5 (no padding over frequency), 1x1, ReLU, mean, and the classifier."""
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    modules["dw"] = nn.Conv2d(n_in, n_in, 5, 1, (0, 2), groups=n_in, bias=False)
    modules["pw"] = nn.Conv2d(n_in, n_hidden, 1, bias=False)
    if head_norm:
        modules["bn"] = nn.BatchNorm2d(n_hidden)
    modules["relu"] = nn.ReLU()
    modules["mean"] = GlobalMean(keepdim=True)
    modules["conv"] = nn.Conv2d(n_hidden, num_classes, 1)
    modules["flatten"] = GlobalMean()  # of one value: the shape of the logits
    return nn.Sequential(modules)


def bcresnet_8(
    num_classes: int = 10, *, c: int = 64, bands: int = 4, head_norm: bool = False, dropout: float = 0.1
) -> BCResNet:
    """BC-ResNet-8: c = 64, 317,098 parameters with ten classes."""
    return BCResNet(num_classes, c=c, bands=bands, head_norm=head_norm, dropout=dropout)
