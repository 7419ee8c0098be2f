"""From NNCF's quantisers to our grids: where it put one, where one must be added, and what each means in int8.

NNCF watches a `FoldedNetwork`, in which every step of a `QuantNet` is one child module, so that the names of NNCF's
operations say which of our tensors they make.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgeasc.compress.fold import INPUT
from edgeasc.compress.quantnet import QuantNet
from edgeasc.compress.steps import Constant, ConvStep, LogisticStep, ResNormStep, RsqrtStep, SiluStep, Step
from edgeasc.errors import BadInput

FEATURES = "features"  # NNCF knows an input by the argument's name
LOGISTIC_HIGH = 255.0 / 256.0  # largest value on the grid that TFLite gives a sigmoid
ISLANDS = (ResNormStep, SiluStep)


class FoldedNetwork(nn.Module):
    """The steps of a `QuantNet` in float, without grids of ours: `[B, 1, F, T] -> logits [B, n]`.

    Child `step7` is the step at position 7. Inside chains gradients take the chain's surrogate, as in `QuantNet`.
    """

    def __init__(self, net: QuantNet) -> None:
        super().__init__()
        self.output = net.output
        for position, step in enumerate(net.ordered()):
            self.add_module(f"step{position}", _Layer(step))

    def layers(self) -> Iterator[_Layer]:
        """The steps' modules in execution order."""
        return (child for child in self.children() if isinstance(child, _Layer))

    def steps(self) -> dict[str, Step]:
        """The steps by the name of the module that holds each."""
        return {name: child.step for name, child in self.named_children() if isinstance(child, _Layer)}

    def forward(self, features: Tensor) -> Tensor:
        values = {INPUT: features}
        for layer in self.layers():
            step = layer.step
            inputs = [values[name] for name in step.inputs] or [features]  # a constant only asks for the kind
            with torch.set_grad_enabled(torch.is_grad_enabled() and not step.inside):
                values[step.name] = layer(*inputs)
            if step.surrogate is not None and torch.is_grad_enabled():
                values[step.name] = step.surrogate.attach(values[step.name], values[step.surrogate.source])
        return values[self.output]

    def convs(self) -> dict[str, ConvStep]:
        """The convolutions by our names."""
        return {step.name: step for step in self.steps().values() if isinstance(step, ConvStep)}

    @torch.no_grad()
    def apply_masks(self) -> None:
        """Set the pruned weights and sub-band biases to zero again."""
        for conv in self.convs().values():
            conv.weight.mul_(conv.mask)
            conv.offset.mul_(conv.offset_mask)


class _Layer(nn.Module):
    """One step, its weight as a plain parameter: a product with the mask would hide it from NNCF."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    def forward(self, *inputs: Tensor) -> Tensor:
        step = self.step
        if isinstance(step, ConvStep):
            return step.affine(inputs[0], step.weight, step.offset)
        result: Tensor = step(*inputs)
        return result


@dataclass
class Placement:
    """The quantisers of a network that NNCF has quantised.

    Attributes:
        activations: quantiser by tensor.
        weights: quantiser by convolution.
        by_hand: tensors that NNCF left without a scale; they got one from us.
    """

    activations: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    by_hand: tuple[str, ...] = ()


def placement_of(network: FoldedNetwork, net: QuantNet, example: Tensor) -> Placement:
    """Where NNCF put quantisers in `network`; those that TFLite needs and NNCF left out are added, on `net`'s ranges.

    Raises:
        BadInput: a quantiser that no int8 grid of ours can express, by the layer's name.
    """
    from nncf.torch.function_hook.wrapper import get_hook_storage, register_post_function_hook
    from nncf.torch.quantization.layers import BaseQuantizer

    placement = Placement()
    last = _last_operations(network, example)
    makes = {operation: name for name, operation in last.items()}
    steps = network.steps()
    for name, quantizer in get_hook_storage(network).named_hooks():
        if isinstance(quantizer, BaseQuantizer):
            _note(placement, name, quantizer, makes, steps)
    needed = [INPUT, *(step.name for step in net.ordered() if not (isinstance(step, Constant) or _passes(step)))]
    placement.by_hand = tuple(name for name in needed if name not in placement.activations)
    for name in placement.by_hand:
        quantizer = _new_quantizer(net, name)
        register_post_function_hook(network, last[name], 0, quantizer)
        placement.activations[name] = quantizer
    return placement


def _passes(step: Step | None) -> bool:
    """Whether a step hands the grid of its input on."""
    return step is not None and step.grid == "input"


def _note(placement: Placement, hook: str, quantizer: Any, makes: dict[str, str], steps: dict[str, Step]) -> None:
    """Enter one quantiser of NNCF's under the tensor or the weights that it rounds."""
    from nncf.torch.function_hook.hook_storage import decode_hook_name

    kind, operation, port = decode_hook_name(hook)
    step = steps.get(operation.split("/")[0])
    if kind == "post_hooks" and operation in makes and not (isinstance(step, Constant) or _passes(step)):
        placement.activations[makes[operation]] = quantizer
    elif kind == "pre_hooks" and isinstance(step, ConvStep) and "/conv2d/" in operation and port == 1:
        placement.weights[step.name] = quantizer
    else:
        where = step.name if step is not None else operation
        raise BadInput("nncf", f"layer {where!r}: a quantiser at {operation} ({kind}, port {port}) fits no int8 tensor")


def _last_operations(network: FoldedNetwork, example: Tensor) -> dict[str, str]:
    """NNCF's name of the operation that makes each of our tensors."""
    from nncf.torch.function_hook.nncf_graph.nncf_graph_builder import build_nncf_graph

    steps, last = network.steps(), {INPUT: FEATURES}
    for node in build_nncf_graph(network, example).topological_sort():
        step = steps.get(node.node_name.split("/")[0])
        if step is not None and "hook__" not in node.node_name:
            last[step.name] = node.node_name
    return last


def _new_quantizer(net: QuantNet, name: str) -> Any:
    """A quantiser of NNCF's on the range observed by `net`.

    What an inverse square root reads must have its zero at -128, and a sigmoid's grid is TFLite's.
    """
    from nncf.common.quantization.structs import QuantizationScheme
    from nncf.torch.quantization.layers import AsymmetricQuantizer, PTQuantizerSpec, SymmetricQuantizer

    step = next((step for step in net.ordered() if step.name == name), None)
    at = net.index[name]
    scale, zero_point = float(net.scales[at]), int(net.zero_points[at])
    positive = isinstance(step, LogisticStep) or name in _read_by_rsqrt(net)
    scheme = QuantizationScheme.SYMMETRIC if positive else QuantizationScheme.ASYMMETRIC
    spec = PTQuantizerSpec(
        num_bits=8,
        mode=scheme,
        signedness_to_force=False if positive else None,
        narrow_range=False,
        half_range=False,
        scale_shape=(1,),
        logarithm_scale=False,
    )
    if positive:
        quantizer = SymmetricQuantizer(spec)
        quantizer._scale_param_storage.data.fill_(LOGISTIC_HIGH if isinstance(step, LogisticStep) else 255 * scale)
        if isinstance(step, LogisticStep):
            quantizer.disable_gradients()
        return quantizer
    quantizer = AsymmetricQuantizer(spec)
    quantizer.input_low.data.fill_((-128 - zero_point) * scale)
    quantizer._input_range_param_storage.data.fill_(255 * scale)
    return quantizer


def _read_by_rsqrt(net: QuantNet) -> set[str]:
    return {name for step in net.ordered() if isinstance(step, RsqrtStep) for name in step.inputs}


@torch.no_grad()
def hand_over(network: FoldedNetwork, placement: Placement, net: QuantNet) -> None:
    """Give `net` the trained parameters and grids of `network`, weights as NNCF's quantisers round them.

    Raises:
        BadInput: a grid that is not an int8 grid of ours, by the tensor's name.
    """
    trained = network.convs()
    for step in net.ordered():
        if isinstance(step, ConvStep):
            other = trained[step.name]
            quantizer = placement.weights.get(step.name)
            if quantizer is None:
                raise BadInput("nncf", f"layer {step.name!r}: its weights got no quantiser")
            _check_weights(step.name, quantizer)
            step.weight.copy_(quantizer.quantize(other.weight) * other.mask)
            step.offset.copy_(other.offset)
            step.offset_mask.copy_(other.offset_mask)
            if step.gain is not None and other.gain is not None:
                step.gain.copy_(other.gain)
    lows, highs = torch.zeros(len(net.index), dtype=torch.float64), torch.ones(len(net.index), dtype=torch.float64)
    positive = _read_by_rsqrt(net)
    for name, quantizer in placement.activations.items():
        scale, zero_point = int8_grid(name, quantizer)
        if name in positive and zero_point != -128:
            raise BadInput("nncf", f"tensor {name!r}: an inverse square root reads it, its zero must be -128")
        at = net.index[name]
        lows[at], highs[at] = (-128 - zero_point) * scale, (127 - zero_point) * scale
    net.set_grids(lows, highs)


def int8_grid(name: str, quantizer: Any) -> tuple[float, int]:
    """Scale and int8 zero point of an activation quantiser; unsigned 0..255 becomes -128..127.

    Raises:
        BadInput: not one scale for the tensor, or not 256 levels.
    """
    low, high, scale, zero_point = quantizer.get_parameters_for_torch_fq()
    if scale.numel() != 1:
        raise BadInput("nncf", f"tensor {name!r}: {scale.numel()} scales, one for each channel; an int8 tensor has one")
    if (low, high) not in ((0, 255), (-128, 127)):
        raise BadInput("nncf", f"tensor {name!r}: levels {low} to {high} are not those of int8")
    return float(scale), int(zero_point) - (low + 128)


def _check_weights(name: str, quantizer: Any) -> None:
    if (quantizer.level_low, quantizer.level_high) != (-127, 127):
        levels = f"{quantizer.level_low} to {quantizer.level_high}"
        raise BadInput("nncf", f"layer {name!r}: weight levels {levels}, allowed are -127 to 127")
