"""The names of the networks. Looking a name up is light; torch is imported only to build."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING

from edgeasc.errors import UsageError
from edgeasc.extras import missing
from edgeasc.specs import nearest

if TYPE_CHECKING:
    from torch import nn

MODELS = {
    "bcresnet-mod-1": "edgeasc.nn.bcresnet_mod:bcresnet_mod_1",
    "bcresnet-mod-8": "edgeasc.nn.bcresnet_mod:bcresnet_mod_8",
    "bcresnet-8": "edgeasc.nn.bcresnet:bcresnet_8",
    "cnn6": "edgeasc.nn.panns:cnn6",
    "cnn10": "edgeasc.nn.panns:cnn10",
    "cnn10-resnet22": "edgeasc.nn.fusion:cnn10_resnet22",
    "cnn14": "edgeasc.nn.panns:cnn14",
    "eat-s-aa": "edgeasc.nn.eat:eat_s_aa",
    "eat-s-gmme": "edgeasc.nn.eat:eat_s_gmme",
    "mobilenet-v1": "edgeasc.nn.panns:mobilenet_v1",
    "resnet22": "edgeasc.nn.panns:resnet22",
    "wideresnet28-2": "edgeasc.nn.panns:wideresnet28_2",
}


def list_models() -> list[str]:
    """The names `create_model` knows, sorted."""
    return sorted(MODELS)


def create_model(name: str, num_classes: int = 10, **options: bool | int | float | str) -> nn.Module:
    """A freshly initialised network `[B, 1, n_mels, n_frames] -> logits [B, num_classes]`.

    Args:
        options: what the family's builder takes, such as `c=40` or `norm="freqin"`.

    Raises:
        UsageError: an unknown name or option (with the nearest known one), or a value of the wrong kind.
        MissingDependency: torch is not installed.
    """
    if name not in MODELS:
        raise UsageError("model", f"unknown model {name!r}{nearest(name, list_models())}")
    if num_classes < 2:
        raise UsageError("model", f"{num_classes} classes; a classifier needs at least 2")
    module, function = MODELS[name].split(":")
    try:
        build = getattr(import_module(module), function)
    except ModuleNotFoundError as error:
        raise missing(error.name) or error from None
    _check_options(name, options, inspect.signature(build))
    network: nn.Module = build(num_classes, **options)
    return network


def _check_options(name: str, options: dict[str, bool | int | float | str], signature: inspect.Signature) -> None:
    known = {
        key: parameter.default
        for key, parameter in signature.parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for key, value in options.items():
        if key not in known:
            raise UsageError("model", f"{name} has no option {key!r}{nearest(key, list(known))}")
        wanted = type(known[key])
        # An int is a fine float; a bool is an int to Python, but not to a reader of a recipe.
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise UsageError("model", f"option {key} of {name} must be {wanted.__name__}, found {value!r}")
