"""Equal channels before an int8 grid: every channel of a tensor shares one step, so that a loud one drowns the others.

Behind a convolution whose output only a depth-wise one reads, the loudness of each channel is free: what one multiplies
the other divides by, ReLU between them or not. Training lets it drift, above all where a norm follows. Source: Nagel
et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, section 4.1, here for the
ranges seen on clips and at no cost to the weights, whose steps are per channel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.steps import ConvStep

LEAST, MOST = 2, 16  # octaves that a channel is moved; nearer ones share a step well enough, and train on as they were


@torch.no_grad()
def equalise(net: QuantNet, batches: Iterable[Tensor]) -> None:
    """Bring the channels of every free tensor of `net` that stand out to the loudness of the middle one, in place.

    Factors are powers of two, so that the folded network computes what it did, to the bit.

    Args:
        batches: inputs of the network to hear the channels on.
    """
    pairs = list(free_pairs(net))
    heard = loudness(net, [first for first, _ in pairs], batches)
    for first, second in pairs:
        factor = torch.exp2(octaves(heard[first.name]))
        first.weight.mul_(factor.view(-1, 1, 1, 1))
        first.offset.mul_(factor)
        second.weight.div_(factor.view(-1, 1, 1, 1))


def octaves(maxima: Tensor) -> Tensor:
    """Whole octaves [C] by which to raise each channel to the middle one; silent channels and near ones stay."""
    heard = (maxima > 0) & maxima.isfinite()
    if not bool(heard.any()):
        return torch.zeros_like(maxima)
    wanted = (maxima[heard].median() / maxima).log2().round().clamp(-MOST, MOST)
    return torch.where(heard & (wanted.abs() >= LEAST), wanted, 0.0)


def free_pairs(net: QuantNet) -> Iterator[tuple[ConvStep, ConvStep]]:
    """Trained convolutions and the depth-wise ones that alone read them, a filter for each channel."""
    readers: dict[str, list[nn.Module]] = {}
    for step in net.ordered():
        sources = [step.surrogate.source] if step.surrogate is not None else []
        for name in [*step.inputs, *sources]:
            readers.setdefault(name, []).append(step)
    for first in net.ordered():
        match readers.get(first.name):
            case [ConvStep() as second] if isinstance(first, ConvStep) and first.gain is None:
                depthwise = second.groups == len(first.weight) == len(second.weight)
                if depthwise and not first.is_fixed and not second.is_fixed:
                    yield first, second


@torch.no_grad()
def loudness(net: QuantNet, steps: list[ConvStep], batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """The largest magnitude [C] of every channel behind `steps`, in the mean over batches."""
    heard: dict[str, list[Tensor]] = {step.name: [] for step in steps}

    def hear(step: nn.Module, _: object, output: Tensor) -> None:
        heard[str(step.name)].append(output.abs().amax((0, 2, 3)))

    hooks = [step.register_forward_hook(hear) for step in steps]
    try:
        with running(net, "float"):
            for batch in batches:
                net(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.stack(found).mean(0) for name, found in heard.items()}
