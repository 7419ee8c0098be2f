"""The second engine: pruning masks and fake-quantisation by NNCF, training and everything after it by us.

NNCF decides what is cut (layer by layer) and where scales go; `fit` trains its hooked networks with our teacher; the
result is handed over to a `QuantNet`, whose exact forward, freeze and parity are the native engine's. nncf 3.4.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgeasc.compress.equalise import equalise
from edgeasc.compress.nncf_grids import ISLANDS, FoldedNetwork, Placement, hand_over, placement_of
from edgeasc.compress.nncf_library import load_nncf, quiet, require_nncf
from edgeasc.compress.offsets import banded, cut_offsets, judged_on
from edgeasc.compress.prune import magnitude_masks, prunable, ramped_keep
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.solve import Plan
from edgeasc.errors import BadInput, UsageError
from edgeasc.nn.sequence import SEQUENCE_LEAVES
from edgeasc.specs import Recipe
from edgeasc.train.batches import ClipArrays
from edgeasc.train.checkpoint import Checkpoint
from edgeasc.train.loop import calibration_inputs, fit, plain_inputs
from edgeasc.train.norm_statistics import reestimate
from edgeasc.train.phase import Hooks, Phase
from edgeasc.train.progress import Progress
from edgeasc.train.weights import write_tensors

EXACT = "exact"  # the phase after NNCF's
CALIBRATION_BATCHES = 8
BEYOND = (*SEQUENCE_LEAVES, nn.PReLU, nn.LeakyReLU, nn.ReflectionPad2d)  # layers without a placement


@dataclass
class Nncf:
    """NNCF's masks and quantisers.

    Attributes:
        mode: NNCF's ranking. Its global one compares |w| / ||w|| of each tensor, which empties the large layers
            (at 89 % of a c = 10 network a point-wise layer loses 99.8 %), so that every layer is cut alike.
        left_without_scale: after `quantize`, the tensors for which TFLite needs a scale and NNCF had none.

    Raises:
        MissingDependency: nncf is not installed.
    """

    mode: str = "UNSTRUCTURED_MAGNITUDE_LOCAL"
    left_without_scale: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        require_nncf()

    def prune(
        self,
        network: nn.Module,
        training: ClipArrays,
        recipe: Recipe,
        plan: Plan,
        teacher: nn.Module,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> None:
        """Prune `network` in place to exactly the plan's number of weights.

        NNCF takes a ratio, which cuts floor((n - 1) * ratio) + 1 of the n weights of every layer. The ratio with the
        least surplus is chosen, and the smallest surviving weights of all layers are cut besides; where even ratio 0
        cuts too many, the largest ones come back. While the sparsity grows, weights may come back too: behind NNCF's
        masks they stay dense.
        """
        _refuse_sequences(network)
        example = next(plain_inputs(training, recipe))[:1]
        _refuse_unplaced(network, recipe, example)
        total = sum(weight.numel() for weight in prunable(network).values())
        if plan.keep >= total:
            return
        masked = _Masked(network.eval(), example, self.mode)
        spec = recipe.prune
        if progress is not None and spec.scope == "global":
            progress.note("nncf: every layer is cut alike; its global ranking would empty the large layers")

        def wanted(epoch: int) -> int:
            gradual = spec.schedule == "gradual"
            return ramped_keep(plan.keep, total, epoch, spec.epochs) if gradual else plan.keep

        def before_epoch(epoch: int) -> None:
            if epoch == 0 or wanted(epoch) != wanted(epoch - 1):
                masked.cut(wanted(epoch))

        def after_epoch(epoch: int) -> dict[str, Any]:
            reestimate(masked.network, plain_inputs(training, recipe))
            return {"sparsity": 1.0 - masked.kept() / total}

        fit(
            masked.network,
            training,
            Phase.fine_tuning(recipe, "prune", max(1, spec.epochs), spec.lr, reestimate=False),
            recipe,
            teacher=teacher,
            hooks=Hooks(before_epoch=before_epoch, after_epoch=after_epoch),
            checkpoint=checkpoint,
            progress=progress,
        )
        masked.bake(network)

    def quantize(
        self,
        network: nn.Module,
        training: ClipArrays,
        recipe: Recipe,
        plan: Plan,
        input_shape: tuple[int, ...],
        teacher: nn.Module,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> QuantNet:
        """The fake-quantised form of `network` with NNCF's scales; the last `exact_epochs` run the integer kernels.

        Raises:
            BadInput: a layer without quantised form, or a quantiser of NNCF's that fits no int8 grid, by name.
        """
        load_nncf()
        net = QuantNet(network.eval(), recipe.quantize.form, input_shape)
        equalise(net, calibration_inputs(training, recipe))
        spec = recipe.quantize
        exact = min(spec.exact_epochs, spec.epochs)
        position = checkpoint.position() if checkpoint is not None else None
        if position is None or position.phase != EXACT:
            net.observe(calibration_inputs(training, recipe))
            hooked, placement = quantized_by_nncf(net, list(calibration_inputs(training, recipe)))
            self.left_without_scale = placement.by_hand
            if progress is not None:
                total = len(placement.activations)
                progress.note(f"nncf: scales for {total - len(placement.by_hand)} of {total} tensors, the others added")
            if spec.epochs > exact:
                _train_hooked(hooked, placement, training, recipe, plan, teacher, checkpoint, progress)
            hand_over(hooked, placement, net)
            with running(net, "float"):
                biased = banded(net.ordered())
                cut_offsets(net, biased, plan.keep_offsets, judged_on(calibration_inputs(training, recipe)))
        net.mode = "exact"
        if exact:
            # The learning rate goes on where one cosine over all epochs would be.
            lr = spec.lr * (1 + math.cos(math.pi * (1 - exact / spec.epochs))) / 2
            phase = Phase.on_grid(recipe, EXACT, exact, lr)
            fit(net, training, phase, recipe, teacher=teacher, checkpoint=checkpoint, progress=progress)
        elif checkpoint is not None:
            write_tensors(checkpoint.run.last, dict(net.state_dict()))  # the run's network, not NNCF's
        return net.eval()


def _train_hooked(
    hooked: FoldedNetwork,
    placement: Placement,
    training: ClipArrays,
    recipe: Recipe,
    plan: Plan,
    teacher: nn.Module,
    checkpoint: Checkpoint | None,
    progress: Progress | None,
) -> None:
    """Train behind NNCF's quantisers, zeros kept; sub-band biases that the plan has no room for go step by step."""
    spec, offsets = recipe.quantize, plan.costs.offsets
    epochs = spec.epochs - spec.exact_epochs
    biased, judged = banded(hooked.steps().values()), judged_on(calibration_inputs(training, recipe))

    def before_epoch(epoch: int) -> None:
        cut_offsets(hooked, biased, ramped_keep(plan.keep_offsets, offsets, epoch, epochs), judged)

    phase = Phase.on_grid(recipe, "quantize", epochs, spec.lr)
    hooks = Hooks(before_epoch=before_epoch, after_step=lambda step: hooked.apply_masks())
    fit(hooked, training, phase, recipe, teacher=teacher, hooks=hooks, checkpoint=checkpoint, progress=progress)


@torch.no_grad()
def quantized_by_nncf(net: QuantNet, batches: list[Tensor]) -> tuple[FoldedNetwork, Placement]:
    """A copy of `net`'s steps behind NNCF's quantisers, every tensor with one.

    Asymmetric int8 activations with one scale each, symmetric weights with one scale for each channel, no correction
    of biases (they are trained), and no halved weight ranges. Float regions of form `island` stay out of it.
    """
    nncf = load_nncf()
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        OverflowFix,
        QuantizationParameters,
    )

    network = FoldedNetwork(net).eval()
    islands = [f"^{name}/.*" for name, step in network.steps().items() if isinstance(step, ISLANDS)]
    with quiet():
        hooked = nncf.quantize(
            network,
            nncf.Dataset(batches[:CALIBRATION_BATCHES]),
            preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.ANY,
            subset_size=CALIBRATION_BATCHES,
            ignored_scope=nncf.IgnoredScope(patterns=islands) if islands else None,
            advanced_parameters=AdvancedQuantizationParameters(
                overflow_fix=OverflowFix.DISABLE,
                quantize_outputs=True,
                disable_bias_correction=True,
                activations_quantization_params=QuantizationParameters(per_channel=False),
            ),
        )
        placement = placement_of(hooked, net, batches[0][:1])
    return hooked, placement


def _refuse_sequences(network: nn.Module) -> None:
    """NNCF puts quantisers inside islands that it takes for products of its own, and hands back no slopes.

    Raises:
        UsageError: a network with layers on sequences, such as attention or a GMME pool, by layer.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, BEYOND):
            why = f"nncf has no placement for layer {name!r} ({type(layer).__name__}); use --engine native"
            raise UsageError("--engine", why)


def _refuse_unplaced(network: nn.Module, recipe: Recipe, example: Tensor) -> None:
    """Before hours of pruning: NNCF puts a quantiser where no int8 tensor of ours is.

    Raises:
        UsageError: so it does, with the layer.
    """
    net = QuantNet(copy.deepcopy(network).eval(), recipe.quantize.form, tuple(example.shape))
    net.observe([example])
    try:
        quantized_by_nncf(net, [example])
    except BadInput as error:
        raise UsageError("--engine", f"{error.why}; use --engine native") from error


class _Masked:
    """A copy of a network with NNCF's masks in front of its convolutions."""

    def __init__(self, network: nn.Module, example: Tensor, mode: str) -> None:
        nncf = load_nncf()
        from nncf.torch.function_hook.pruning.magnitude.algo import get_pruned_modules

        self.mode = getattr(nncf.PruneMode, mode)
        with quiet():
            self.network = nncf.prune(copy.deepcopy(network), mode=self.mode, ratio=0.0, examples_inputs=example)
        self.weights = prunable(self.network)
        hooks = {name.removesuffix(".weight"): hook for name, hook in get_pruned_modules(self.network).items()}
        if set(hooks) != set(self.weights):
            odd = ", ".join(sorted(set(hooks) ^ set(self.weights)))
            raise BadInput("nncf", f"masks and convolutions do not match: {odd}")
        self.masks: dict[str, Tensor] = {name: hook.binary_mask for name, hook in hooks.items()}

    def kept(self) -> int:
        """Weights that the masks let through."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    @torch.no_grad()
    def cut(self, keep: int) -> None:
        """Set NNCF's ratio so that `keep` weights stay, then the last few by magnitude."""
        from nncf.torch.function_hook.pruning.magnitude.algo import update_pruning_ratio

        update_pruning_ratio(self.network, self.mode, ratio_for([w.numel() for w in self.weights.values()], keep))
        # All of NNCF's survivors rank before all others; within both, magnitude counts.
        largest = max(float(weight.abs().max()) for weight in self.weights.values()) or 1.0
        ranks = {
            name: nn.Parameter(weight.abs().double() / (2 * largest) + self.masks[name])
            for name, weight in self.weights.items()
        }
        for name, mask in magnitude_masks(ranks, keep, "global").items():
            self.masks[name].copy_(mask.bool())

    @torch.no_grad()
    def bake(self, network: nn.Module) -> None:
        """Copy the trained parameters and statistics into `network`, pruned weights as exact zeros."""
        trained = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            tensor.copy_(trained[name])
        for name, weight in prunable(network).items():
            weight.mul_(self.masks[name].to(weight))


def ratio_for(sizes: list[int], keep: int) -> float:
    """NNCF's ratio that keeps the fewest weights of layers with `sizes` weights, but at least `keep`.

    0 where even that keeps fewer. A ratio r cuts floor((n - 1) * r) + 1 of n weights.
    """
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        kept = sum(n - 1 - int((n - 1) * middle) for n in sizes)
        low, high = (middle, high) if kept >= keep else (low, middle)
    return low
