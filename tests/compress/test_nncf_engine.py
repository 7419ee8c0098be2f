"""What is NNCF's alone: its ratio, where its quantisers stand, what they mean in int8, and resuming."""

from __future__ import annotations

import copy
import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seeded import SHAPE, features, lively_network
from tones import recipe, tones
from transformer_toys import Transformer

from edgeasc.compress.engine import find_engine
from edgeasc.compress.nncf_engine import _Masked, _refuse_sequences, quantized_by_nncf, ratio_for
from edgeasc.compress.nncf_grids import FoldedNetwork, Placement, hand_over, int8_grid, placement_of
from edgeasc.compress.nncf_library import load_nncf
from edgeasc.compress.prune import prunable
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.run import Request, compress_run
from edgeasc.compress.steps import SiluStep
from edgeasc.errors import BadInput, MissingDependency, UsageError
from edgeasc.graph.model import Form
from edgeasc.nn.registry import create_model
from edgeasc.runs import Run
from edgeasc.train.progress import Progress
from edgeasc.train.run import train_run

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nncf") is None, reason="nncf is not installed: pip install 'edgeasc[nncf]'"
)


def observed(form: Form) -> QuantNet:
    net = QuantNet(lively_network(), form, SHAPE).eval()
    net.observe([features(16, 100)])
    return net


@pytest.fixture(scope="module", params=["int8", "island"])
def behind_nncf(request: pytest.FixtureRequest) -> tuple[FoldedNetwork, Placement]:
    return quantized_by_nncf(observed(request.param), [features(16, 100)])


@pytest.fixture(scope="module")
def int8_behind_nncf() -> tuple[FoldedNetwork, Placement]:
    return quantized_by_nncf(observed("int8"), [features(16, 100)])


def form_of(hooked: FoldedNetwork) -> Form:
    return "island" if any(isinstance(step, SiluStep) for step in hooked.steps().values()) else "int8"


def kept(sizes: list[int], ratio: float) -> int:
    """What NNCF keeps: it cuts down to and including the weight at place int((n - 1) * ratio)."""
    return sum(n - 1 - int((n - 1) * ratio) for n in sizes)


@given(sizes=st.lists(st.integers(1, 500), min_size=1, max_size=20), part=st.floats(0.01, 1.0))
def test_the_ratio_keeps_at_least_what_is_asked_for_and_little_more(sizes: list[int], part: float) -> None:
    keep = max(1, int(part * sum(sizes)))
    ratio = ratio_for(sizes, keep)
    if kept(sizes, 0.0) < keep:
        assert ratio == 0.0
    else:
        assert kept(sizes, ratio) >= keep
        assert ratio > 1 - 1e-9 or kept(sizes, ratio + 1e-9) < keep


def test_nncf_cuts_every_layer_alike_and_we_cut_the_last_few() -> None:
    masked = _Masked(lively_network(), features(1, 0), "UNSTRUCTURED_MAGNITUDE_LOCAL")
    total = sum(weight.numel() for weight in masked.weights.values())
    masked.cut(total // 3)
    assert masked.kept() == total // 3
    for name, weight in masked.weights.items():
        assert abs(int(masked.masks[name].sum()) - weight.numel() / 3) <= 2 + 0.05 * weight.numel(), name


def test_the_masks_keep_the_largest_weights_of_a_layer() -> None:
    masked = _Masked(lively_network(), features(1, 0), "UNSTRUCTURED_MAGNITUDE_LOCAL")
    masked.cut(500)
    for name, weight in masked.weights.items():
        mask, size = masked.masks[name], weight.detach().abs()
        assert size[mask].min() >= size[~mask].max(), name


def test_masked_weights_stay_dense_until_they_are_baked() -> None:
    network = lively_network()
    masked = _Masked(network, features(1, 0), "UNSTRUCTURED_MAGNITUDE_LOCAL")
    masked.cut(300)
    assert all(bool(weight.all()) for weight in masked.weights.values())
    masked.bake(network)
    assert sum(int((weight != 0).sum()) for weight in prunable(network).values()) == 300
    with torch.no_grad():
        torch.testing.assert_close(network(features(4, 1)), masked.network(features(4, 1)))


@pytest.mark.parametrize("form", ["int8", "island"])
def test_the_folded_network_computes_what_the_network_computes(form: Form) -> None:
    network, x = lively_network(), features(4, 1)
    with torch.no_grad():
        torch.testing.assert_close(FoldedNetwork(observed(form))(x), network(x), rtol=1e-4, atol=1e-4)


def test_nncf_leaves_fused_layers_without_a_scale_and_they_get_one(
    behind_nncf: tuple[FoldedNetwork, Placement],
) -> None:
    hooked, placement = behind_nncf
    assert "stage1.0.temp_dw" in placement.by_hand
    assert ("stage1.0.silu/sigmoid" in placement.by_hand) == (form_of(hooked) == "int8")
    assert "stem.conv" not in placement.by_hand
    assert set(placement.weights) == set(prunable(lively_network()))


@pytest.mark.parametrize("behind_nncf", ["island"], indirect=True)
def test_islands_stay_out_of_nncf(behind_nncf: tuple[FoldedNetwork, Placement]) -> None:
    hooked, _ = behind_nncf
    from nncf.torch.function_hook.hook_storage import decode_hook_name
    from nncf.torch.function_hook.wrapper import get_hook_storage

    island = next(name for name, step in hooked.steps().items() if step.name == "stage1.norm")
    inside = [decode_hook_name(name)[:2] for name, _ in get_hook_storage(hooked).named_hooks() if f"{island}/" in name]
    assert all(kind == "post_hooks" for kind, _ in inside) and len(inside) == 1  # its result alone


def test_the_network_handed_over_computes_what_nncf_trained(
    behind_nncf: tuple[FoldedNetwork, Placement],
) -> None:
    hooked, placement = behind_nncf
    net, x = observed(form_of(hooked)), features(40, 3)
    hand_over(hooked, placement, net)
    with torch.no_grad(), running(net, "fake"):
        theirs, ours = hooked(x), net(x)
    # Biases snapped to their grid and weights on ours alone: single steps, which an untrained network amplifies.
    assert (theirs - ours).abs().mean() < 0.25 * theirs.std()


def quantizer(low: float, span: float, **changes: Any) -> Any:
    load_nncf()
    from nncf.common.quantization.structs import QuantizationScheme
    from nncf.torch.quantization.layers import AsymmetricQuantizer, PTQuantizerSpec, SymmetricQuantizer

    scheme = QuantizationScheme.SYMMETRIC if "signedness_to_force" in changes else QuantizationScheme.ASYMMETRIC
    spec = {"num_bits": 8, "signedness_to_force": None, "narrow_range": False, "half_range": False, "scale_shape": (1,)}
    built = PTQuantizerSpec(**{**spec, **changes}, mode=scheme, logarithm_scale=False)
    if scheme == QuantizationScheme.SYMMETRIC:
        result = SymmetricQuantizer(built)
        result._scale_param_storage.data.fill_(low + span)
        return result
    result = AsymmetricQuantizer(built)
    result.input_low.data.fill_(low)
    result._input_range_param_storage.data.fill_(span)
    return result


@pytest.mark.parametrize(
    "theirs",
    [
        pytest.param((-1.3, 4.7, {}), id="asymmetric"),
        pytest.param((0.2, 5.0, {}), id="asymmetric above zero"),
        pytest.param((0.0, 3.0, {"signedness_to_force": False}), id="unsigned"),
        pytest.param((0.0, 3.0, {"signedness_to_force": True}), id="signed"),
    ],
)
def test_an_int8_grid_rounds_as_the_quantiser_does(theirs: tuple[float, float, dict[str, bool]]) -> None:
    low, span, changes = theirs
    made = quantizer(low, span, **changes)
    scale, zero_point = int8_grid("x", made)
    x = torch.linspace(-8, 8, 4001)
    with torch.no_grad():
        difference = made.quantize(x) - torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -128, 127)
    assert (difference.abs() > 1e-4 * scale).float().mean() < 0.002  # exact ties may fall to either side
    assert difference.abs().max() < 1.001 * scale


def test_unsigned_levels_become_zero_point_minus_128() -> None:
    assert int8_grid("x", quantizer(0.0, 2.55, signedness_to_force=False)) == (pytest.approx(0.01), -128)


def test_one_scale_for_each_channel_of_a_tensor_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"'stem\.conv': 3 scales"):
        int8_grid("stem.conv", quantizer(0.0, 1.0, scale_shape=(1, 3, 1, 1)))


def test_levels_that_are_not_int8s_are_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"'stem\.conv': levels 0 to 15"):
        int8_grid("stem.conv", quantizer(0.0, 1.0, num_bits=4))


def test_a_quantiser_inside_a_fused_layer_is_refused_by_name(
    int8_behind_nncf: tuple[FoldedNetwork, Placement],
) -> None:
    net, hooked = observed("int8"), copy.deepcopy(int8_behind_nncf[0])
    from nncf.torch.function_hook.wrapper import register_post_function_hook

    step = next(name for name, step in hooked.steps().items() if step.name == "stem.conv")
    register_post_function_hook(hooked, f"{step}/conv2d/0", 0, quantizer(0.0, 1.0))
    with pytest.raises(BadInput, match=r"'stem\.conv': a quantiser at step\d+/conv2d/0"):
        placement_of(hooked, net, features(1, 0))


def test_a_zero_point_that_an_inverse_square_root_cannot_have_is_refused_by_name(
    int8_behind_nncf: tuple[FoldedNetwork, Placement],
) -> None:
    hooked, placement = int8_behind_nncf
    odd = replace(placement, activations={**placement.activations, "norm0/floored": quantizer(-1.0, 2.0)})
    with pytest.raises(BadInput, match="'norm0/floored': an inverse square root"):
        hand_over(hooked, odd, observed("int8"))


def test_weights_with_other_levels_are_refused_by_name(int8_behind_nncf: tuple[FoldedNetwork, Placement]) -> None:
    hooked, placement = int8_behind_nncf
    wide = quantizer(0.0, 1.0, signedness_to_force=True, scale_shape=(8, 1, 1, 1))
    odd = replace(placement, weights={**placement.weights, "stem.conv": wide})
    with pytest.raises(BadInput, match=r"'stem\.conv': weight levels -128 to 127"):
        hand_over(hooked, odd, observed("int8"))


def test_a_missing_library_is_named_with_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    for call in (load_nncf, lambda: find_engine("nncf")):
        with pytest.raises(MissingDependency, match=r"pip install 'edgeasc\[nncf\]'"):
            call()


def test_nncf_writes_nothing_to_standard_output_and_leaves_the_environment_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = dict(os.environ)
    quantized_by_nncf(observed("int8"), [features(16, 100)])
    assert capfd.readouterr().out == "" and dict(os.environ) == before


class StopAfter(Progress):
    """Stops when the first epoch of a phase is stored."""

    def __init__(self, phase: str) -> None:
        self.stop = phase

    def epoch(self, row: dict[str, Any]) -> None:
        if (row["phase"], row["epoch"]) == (self.stop, 1):
            raise KeyboardInterrupt


LONG = {"prune": {"epochs": 2}, "quantize": {"epochs": 4, "exact_epochs": 2}, "data": {"validation": 0.0}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset, parts = tones()
    out = tmp_path_factory.mktemp("runs") / "float"
    train_run(recipe(**LONG), dataset, parts, out)
    return out


@pytest.fixture(scope="module")
def compressed(trained: Path) -> Path:
    out = trained.parent / "nncf"
    compress_run(trained, tones()[0], out, Request(budget=1100, engine="nncf"))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["prune", "quantize", "exact"])
def test_a_compression_interrupted_in_any_phase_resumes_to_the_same_integers(
    phase: str, compressed: Path, trained: Path, tmp_path: Path
) -> None:
    out, dataset = tmp_path / "out", tones()[0]
    with pytest.raises(KeyboardInterrupt):
        compress_run(trained, dataset, out, Request(budget=1100, engine="nncf"), progress=StopAfter(phase))
    assert Run(out).info().state == "interrupted"
    compress_run(trained, dataset, out, Request(budget=1100, engine="nncf", resume=True))
    assert (out / "model.onnx").read_bytes() == (compressed / "model.onnx").read_bytes()


@pytest.mark.slow
def test_without_exact_epochs_the_run_still_holds_our_network(trained: Path, tmp_path: Path) -> None:
    from edgeasc.compress.quantized import load_quantized, net_predict
    from edgeasc.train.weights import read_tensors

    short = recipe(**{**LONG, "quantize": {"epochs": 1, "exact_epochs": 0}})
    compress_run(trained, tones()[0], tmp_path / "out", Request(budget=1100, engine="nncf", recipe=short))
    tensors, _ = read_tensors(tmp_path / "out" / "parity.safetensors")
    net = load_quantized(tmp_path / "out")
    source = net.tensors()["input"]
    reals = (tensors["inputs"].float() - source.zero_point) * float(source.scale)
    assert np.array_equal(net_predict(net, "exact")(reals.numpy()), tensors["reference"].numpy())


def test_a_transformer_is_refused_by_its_first_layer() -> None:
    with pytest.raises(UsageError, match=r"'token' \(ClassToken\); use --engine native"):
        _refuse_sequences(Transformer())


def test_a_gmme_pool_is_refused_before_any_training() -> None:
    with pytest.raises(UsageError, match=r"\(Regroup\); use --engine native"):
        _refuse_sequences(create_model("cnn6", 3, n_mels=8, width=0.0625, pool="gmme"))


@pytest.mark.parametrize("form", ["int8", "island"])
def test_a_network_with_a_quantiser_where_no_tensor_is_gets_refused_before_it_is_pruned(
    form: Form, tmp_path: Path
) -> None:
    small = recipe(
        model={"name": "cnn6", "options": {"width": 0.03125, "n_mels": 32}},
        train={"epochs": 1},
        quantize={"form": form, "epochs": 1},
    )
    dataset, parts = tones()
    train_run(small, dataset, parts, tmp_path / "float")
    with pytest.raises(UsageError, match=r"--engine: layer 'head.time_mean': .*; use --engine native"):
        compress_run(tmp_path / "float", dataset, tmp_path / "small", Request(sparsity=0.5, engine="nncf"))
    assert not (tmp_path / "small").exists()
