"""What a network costs: before training, for the solver; after it, as the inventory that the counting rules read.

Two forms. `training` is the network before folding: convolutions, norms, biases. `deployed` is the
integer graph: int8 weights and int32 biases, those of sub-band layers once per (channel, band).
"""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from edgeasc.compress.fold import fold_network
from edgeasc.compress.prune import deployed_modules, prunable
from edgeasc.compress.sequence_steps import PReluStep
from edgeasc.compress.solve import Costs
from edgeasc.compress.steps import ConvStep
from edgeasc.compress.transformer_steps import ChannelNormStep, Learned
from edgeasc.errors import UsageError
from edgeasc.graph.count import FLOAT_BYTES
from edgeasc.graph.model import Form, IntegerGraph
from edgeasc.nn.sequence import ChannelNorm

SCHEMA = 1
BIAS_BYTES = 4  # int32
RULES = ("deployed", "qti-report")


def costs_of(network: nn.Module, rule: str, form: Form) -> Costs:
    """What `network` costs under `rule`, as far as known before compression.

    Raises:
        UsageError: a rule the solver cannot aim at.
    """
    weights = prunable(network)
    total = sum(weight.numel() for weight in weights.values())
    if rule == "deployed":
        steps = fold_network(copy.deepcopy(network).eval(), form)
        convs = [step for step in steps if isinstance(step, ConvStep) and step.offset.requires_grad]
        biases = sum(step.offset.numel() for step in convs if not step.is_banded)
        offsets = sum(step.offset.numel() for step in convs if step.is_banded)
        taps = sum(step.weight.numel() for step in convs if step.is_norm)
        filters = sum(step.weight.numel() for step in steps if isinstance(step, ConvStep) and step.is_fixed)
        slopes = sum(step.slope.numel() for step in steps if isinstance(step, PReluStep))
        floats = sum(step.gain.numel() + step.offset.numel() for step in steps if isinstance(step, ChannelNormStep))
        added = sum(step.values.numel() for step in steps if isinstance(step, Learned))
        name = _sentence(
            {
                "biases at 32 bits": biases,
                "floats of norms": floats,
                "weights of norms": taps,
                "weights of fixed filters": filters,
                "slopes": slopes,
                "values of tokens": added,
            }
        )
        fixed = BIAS_BYTES * biases + FLOAT_BYTES * floats + taps + filters + slopes + added
        return Costs(rule, total, len(weights), fixed, name, offsets=offsets, offset_bytes=BIAS_BYTES)
    if rule == "qti-report":
        modules = [module for _, module in deployed_modules(network)]
        others = sum(p.numel() for module in modules for p in module.parameters(recurse=False)) - total
        return Costs(rule, total, len(weights), 2 * others, f"{others:,} other parameters at 16 bits")
    raise UsageError("compress", f"cannot solve for rule {rule!r}; choose one of {', '.join(RULES)}")


def _sentence(parts: dict[str, int]) -> str:
    """What a network has, numbers and names; the first always."""
    (first, number), *others = parts.items()
    further = [f"{count:,} {what if count > 1 else _one(what)}" for what, count in others if count]
    found = [f"{number:,} {first}", *further]
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def _one(what: str) -> str:
    """`weights of norms` as `weight of norms`."""
    first, *rest = what.split(" ")
    return " ".join([first.removesuffix("s"), *rest])


def inventory(network: nn.Module, graph: IntegerGraph) -> dict[str, Any]:
    """The document `inventory.json` of a pruned network and the integer graph made from it.

    Per tensor of the network before folding: `kind` (conv, norm, or bias: whatever else is added), `total`, `kept` by
    the mask, and `nonzero` as stored (for convolutions after rounding to int8).
    """
    rounded = {node.name: node.weight for node in graph.convs()}
    rows = []
    for name, module in deployed_modules(network):
        for key, parameter in module.named_parameters(recurse=False):
            kind = _kind(module, key)
            kept = int((parameter != 0).sum()) if kind == "conv" else parameter.numel()
            stored = rounded[name] if kind == "conv" and name in rounded else parameter.detach().numpy()
            rows.append(
                {
                    "name": f"{name}.{key}",
                    "kind": kind,
                    "total": parameter.numel(),
                    "kept": kept,
                    "nonzero": int((stored != 0).sum()),
                }
            )
    return {"schema": SCHEMA, "tensors": rows}


def _kind(module: nn.Module, key: str) -> str:
    if isinstance(module, nn.modules.batchnorm._BatchNorm | ChannelNorm):
        return "norm"
    return "conv" if isinstance(module, nn.Conv1d | nn.Conv2d) and key == "weight" else "bias"
