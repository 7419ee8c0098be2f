"""Folding the layers of transformers: which of them become islands of form `island`, and how the class token is added.

A class token before the others and a position for each are one operation on integers: a zero frame before the tokens,
then a sum with one constant, whose first column is the token plus its position.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import fx, nn

from edgeasc.compress.steps import AddStep, Step
from edgeasc.compress.transformer_steps import AttentionStep, ChannelNormStep, GeluStep, Learned, ZeroPadStep
from edgeasc.errors import BadInput
from edgeasc.graph.model import Form
from edgeasc.nn.sequence import Attention, ChannelNorm, ClassToken


class Folding(Protocol):
    """What a handler needs of the walk through the network."""

    form: Form
    steps: list[Step]

    def emit(self, node: fx.Node, step: Step) -> None:
        """Append `step`, which makes the value of `node`."""
        ...


def fold_gelu(folding: Folding, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
    """GELU, by its definition; the tanh approximation is another function."""
    assert isinstance(module, nn.GELU)
    if module.approximate != "none":
        raise BadInput(
            "compress", f"layer {name!r}: GELU with approximate={module.approximate!r} has no quantised form"
        )
    _check_form(folding, name, "GELU")
    folding.emit(node, GeluStep(name, inputs))


def fold_channel_norm(folding: Folding, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
    """Layer norm over channels, gain and offset in float."""
    assert isinstance(module, ChannelNorm)
    _check_form(folding, name, "layer norm over channels")
    gain, offset = module.weight.detach().clone(), module.bias.detach().clone()
    folding.emit(node, ChannelNormStep(name, inputs, gain, offset, module.eps))


def fold_attention(folding: Folding, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
    """Attention without its linear layers, which are convolutions of their own."""
    assert isinstance(module, Attention)
    _check_form(folding, name, "attention")
    folding.emit(node, AttentionStep(name, inputs, module.heads))


def fold_class_token(folding: Folding, node: fx.Node, name: str, module: nn.Module, inputs: tuple[str, ...]) -> None:
    """Token and positions as a padding and a sum."""
    assert isinstance(module, ClassToken)
    with torch.no_grad():
        added = module.positions.detach().clone()
        added[..., :1] += module.token
    pad, constant = ZeroPadStep(f"{name}/pad", inputs, (1, 0)), Learned(f"{name}/positions", added)
    folding.steps += [pad, constant]
    folding.emit(node, AddStep(name, (pad.name, constant.name), relu=False))


def _check_form(folding: Folding, name: str, what: str) -> None:
    """Refuse in form `int8` what is a float region.

    Raises:
        BadInput: always in form `int8`, with the cure.
    """
    if folding.form == "int8":
        why = f"layer {name!r}: {what} is computed in float, which form 'int8' has not; compress with --form island"
        raise BadInput("compress", why)


TRANSFORMER_LAYERS = {
    nn.GELU: fold_gelu,
    ChannelNorm: fold_channel_norm,
    Attention: fold_attention,
    ClassToken: fold_class_token,
}
