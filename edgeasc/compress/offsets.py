"""Which sub-band biases a budget keeps: those whose loss the network would feel most.

A bias set to zero raises the loss by about half its square times the Fisher information of it (Le Cun et al., "Optimal
Brain Damage", NIPS 1989, equation 5, with the Fisher information in the place of the Hessian's diagonal, as in Theis et
al., arXiv 1801.05787, section 2.1). Its own size says little: one band of a channel may be heard and another not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeasc.compress.steps import ConvStep, Step

CLIPS_AT_ONCE, MOST_CLIPS = 4, 240
PART = 0.125  # of the biases that are left, the most that go before the others are judged anew


def banded(steps: Iterable[Step]) -> list[ConvStep]:
    """The steps with sub-band biases that a budget may take; norms of their own keep theirs."""
    return [step for step in steps if isinstance(step, ConvStep) and step.is_banded]


def cut_offsets(network: nn.Module, steps: Sequence[ConvStep], keep: int, inputs: Sequence[Tensor]) -> None:
    """Mask all but `keep` of the sub-band biases of `steps` and set them to zero, the least missed first.

    They go a few at a time: which one is missed depends on those that are left.

    Args:
        network: inputs to logits, through `steps`, with gradients.
        inputs: batches to judge the biases on; those of `judged_on`.
    """
    left = sum(int(step.offset_mask.sum()) for step in steps)
    while left > keep:
        left = max(keep, int(left * (1 - PART)))
        information = fisher(network, [step.offset for step in steps], inputs)
        keep_worthiest(steps, [step.offset.square() * f for step, f in zip(steps, information, strict=True)], left)


def judged_on(batches: Iterable[Tensor]) -> list[Tensor]:
    """The first clips of `batches` in small batches, since each makes one estimate."""
    return list(islice((part for batch in batches for part in batch.split(CLIPS_AT_ONCE)), MOST_CLIPS // CLIPS_AT_ONCE))


@torch.no_grad()
def keep_worthiest(steps: Sequence[ConvStep], worth: Sequence[Tensor], keep: int) -> None:
    """Mask all biases but the `keep` of the most worth; those masked before do not come back."""
    left = [torch.where(step.offset_mask > 0, own, -1.0).flatten() for step, own in zip(steps, worth, strict=True)]
    mask = torch.zeros(sum(len(own) for own in left))
    mask[torch.cat(left).argsort(descending=True, stable=True)[:keep].cpu()] = 1.0
    for step, part in zip(steps, mask.split([len(own) for own in left]), strict=True):
        step.offset_mask.mul_(part.view_as(step.offset).to(step.offset))
        step.offset.mul_(step.offset_mask)


def fisher(network: nn.Module, parameters: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """The Fisher information of every value of `parameters`: the mean square of one input's gradient.

    The gradient is of the log-likelihood of labels that the network itself draws. It is zero in the mean, so that the
    square of a batch's mean gradient, times the batch's size, is an estimate without bias.
    """
    draws, training = torch.Generator().manual_seed(0), network.training
    network.eval()
    information = [torch.zeros_like(parameter) for parameter in parameters]
    for batch in inputs:
        with torch.enable_grad():
            logits = network(batch)
            labels = torch.multinomial(logits.detach().softmax(1).cpu(), 1, generator=draws)[:, 0].to(logits.device)
            gradients = torch.autograd.grad(F.cross_entropy(logits, labels), list(parameters))
        for found, gradient in zip(information, gradients, strict=True):
            found.add_(gradient.square(), alpha=len(batch) / len(inputs))
    network.train(training)
    return information
