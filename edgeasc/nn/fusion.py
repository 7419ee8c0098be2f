"""Two trained networks as one: a single layer decides on the embeddings of both.

Source: Pellegrini, "Deep-learning-based central African primate species classification with MixUp and SpecAugment",
Interspeech 2021: embeddings of CNN10 and ResNet22 side by side, one fully connected layer, branches frozen.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgeasc.nn.layers import Add, GlobalMean
from edgeasc.nn.panns import PannsNetwork, cnn10, resnet22


class LateFusion(nn.Module):
    """`[B, 1, n_mels, T] -> logits [B, num_classes]` from the embeddings of two networks.

    One layer on the embeddings side by side is the sum of a layer on each, of which one has the bias: written so, it
    needs no operator that the branches do not have. The branches keep their own classifiers, which decide nothing
    here: so a trained network's weights fit a branch as they are.

    Args:
        free: the branches learn as well; otherwise the one layer alone does. Frozen weights are all that is frozen:
            dropout acts and batch norms follow their inputs, as in the published code.
    """

    IDLE = ("first.head.classifier", "second.head.classifier")  # of no use to the logits, and so not deployed

    def __init__(self, first: PannsNetwork, second: PannsNetwork, num_classes: int, free: bool) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.from_first = nn.Conv2d(first.head.n_features, num_classes, 1)
        self.from_second = nn.Conv2d(second.head.n_features, num_classes, 1, bias=False)
        self.add, self.flatten = Add(), GlobalMean()
        for layer in (self.from_first, self.from_second):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.from_first.bias)  # type: ignore[arg-type]
        for branch in (first, second):
            branch.requires_grad_(free)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.from_first(self.first.embedding(x)), self.from_second(self.second.embedding(x))
        logits: Tensor = self.flatten(self.add(first, second))
        return logits


def cnn10_resnet22(num_classes: int = 5, *, width: float = 1.0, n_mels: int = 64, free: bool = False) -> LateFusion:
    """CNN10 and ResNet22: with five classes 67,569,807 parameters, of which 12,805 learn unless `free`."""
    first, second = (build(num_classes, width=width, n_mels=n_mels) for build in (cnn10, resnet22))
    return LateFusion(first, second, num_classes, free)
