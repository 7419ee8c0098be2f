"""Magnitude pruning keeps exactly what was asked for."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgeasc.compress.prune import apply_masks, magnitude_masks, prunable, ramped_keep
from edgeasc.nn.registry import create_model


def toy() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 1), nn.Conv2d(16, 4, 1, bias=True))


@settings(deadline=None, max_examples=30)
@given(keep=st.integers(3, 264), scope=st.sampled_from(["global", "layer"]))
def test_masks_keep_exactly_the_number_asked_for(keep: int, scope: str) -> None:
    masks = magnitude_masks(prunable(toy()), keep, scope)  # type: ignore[arg-type]
    assert sum(int(mask.sum()) for mask in masks.values()) == keep


def test_global_masks_keep_the_largest_weights_of_all_layers() -> None:
    weights = prunable(toy())
    masks = magnitude_masks(weights, 100, "global")
    kept = torch.cat([w[m.bool()].abs() for w, m in zip(weights.values(), masks.values(), strict=True)])
    lost = torch.cat([w[~m.bool()].abs() for w, m in zip(weights.values(), masks.values(), strict=True)])
    assert kept.min() >= lost.max()


def test_global_masks_leave_a_weight_in_a_layer_of_tiny_weights() -> None:
    network = toy()
    weights = prunable(network)
    with torch.no_grad():
        weights["2"].mul_(1e-6)
    assert int(magnitude_masks(weights, 50, "global")["2"].sum()) == 1


def test_layer_masks_prune_every_layer_alike() -> None:
    weights = prunable(create_model("bcresnet-mod-1"))
    masks = magnitude_masks(weights, round(0.11 * 6215), "layer")
    for name, weight in weights.items():
        share = 0.11 * weight.numel()
        assert abs(float(masks[name].sum()) - max(1.0, share)) <= 1.0, name


def test_bcresnet_mod_8_at_89_percent_keeps_33035_of_300320() -> None:
    weights = prunable(create_model("bcresnet-mod-8"))
    assert sum(weight.numel() for weight in weights.values()) == 300_320
    masks = magnitude_masks(weights, round(0.11 * 300_320), "global")
    assert sum(int(mask.sum()) for mask in masks.values()) == 33_035


def test_applied_masks_make_exact_zeros_and_touch_nothing_else() -> None:
    network = toy()
    before = {name: weight.detach().clone() for name, weight in prunable(network).items()}
    masks = magnitude_masks(prunable(network), 60, "global")
    apply_masks(prunable(network), masks)
    for name, weight in prunable(network).items():
        assert torch.equal(weight.detach(), before[name] * masks[name])


def test_pruning_again_never_revives_a_weight() -> None:
    network = toy()
    first = magnitude_masks(prunable(network), 120, "global")
    apply_masks(prunable(network), first)
    second = magnitude_masks(prunable(network), 60, "global")
    assert all(bool((second[name] <= first[name]).all()) for name in first)


def test_ramp_starts_below_the_total_falls_and_ends_at_the_goal() -> None:
    kept = [ramped_keep(100, 1000, epoch, 20) for epoch in range(20)]
    assert kept[0] < 1000 and kept == sorted(kept, reverse=True)
    assert kept[11:] == [100] * 9


def test_one_epoch_is_one_shot() -> None:
    assert ramped_keep(100, 1000, 0, 1) == 100
