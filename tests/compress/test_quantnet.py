"""The fake-quantised network: folded exactly, frozen faithfully, equal to its own integers."""

import numpy as np
import pytest
import torch
from seeded import SHAPE, features, lively_network, quantised
from torch import nn

from edgeasc.compress.prune import apply_masks, magnitude_masks, prunable
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.errors import BadInput, UsageError
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.kernels.conv import accumulator_bound
from edgeasc.graph.model import Conv, Form, Mul, Rsqrt, Silu
from edgeasc.graph.reference import logits


@pytest.fixture(params=["int8", "island"])
def form(request: pytest.FixtureRequest) -> Form:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize("norm", ["resnorm", "pre-resnorm", "freqin", "none"])
def test_folding_changes_nothing(form: Form, norm: str) -> None:
    network = lively_network(norm=norm)
    x = features(8, 1)
    with torch.no_grad():
        gap = (QuantNet(network, form, SHAPE).eval()(x) - network(x)).abs().max()
    assert gap < 1e-5


def test_every_tensor_lies_on_its_grid(form: Form) -> None:
    net = quantised(form)
    seen: dict[str, torch.Tensor] = {}
    for step in net.ordered():
        step.register_forward_hook(lambda module, _, y: seen.__setitem__(module.name, y))
    with torch.no_grad(), running(net, "fake"):
        y = net(features(4, 2))
    integers = net.integers(net.output, y)
    assert torch.equal(net.reals(net.output, integers), y)
    assert integers.min() >= -128 and integers.max() <= 127


def test_exact_forward_equals_the_numpy_reference(form: Form) -> None:
    net = quantised(form)
    x = features(40, 3)
    with torch.no_grad(), running(net, "exact"):
        y = net(x).numpy()
        integers = net.integers("input", net.place("input", x)).numpy().astype(np.int8)
    assert np.array_equal(y, logits(net.freeze(), integers))


def test_fake_forward_is_close_to_the_exact_one(form: Form) -> None:
    net = quantised(form)
    x = features(40, 3)
    with torch.no_grad():
        with running(net, "fake"):
            fake = net(x)
        with running(net, "exact"):
            exact = net(x)
    # The two differ in rounding alone; an untrained network amplifies single steps, but not to the size of its output.
    assert (fake - exact).abs().mean() < 0.25 * fake.std()


def test_exact_forward_passes_the_gradient_of_the_fake_one() -> None:
    net = quantised("int8")
    x = features(4, 5)
    gradients = {}
    for mode in ("fake", "exact"):
        net.zero_grad()
        with running(net, mode):  # type: ignore[arg-type]
            net(x).sum().backward()
        parameters = dict(net.named_parameters())
        gradients[mode] = {name: p.grad.clone() for name, p in parameters.items() if p.grad is not None}
    assert set(gradients["fake"]) == set(gradients["exact"])
    flat = {mode: torch.cat([g.flatten() for g in of.values()]) for mode, of in gradients.items()}
    # Not equal: one step more or less in a value decides which ReLU and which clip is open.
    assert nn.functional.cosine_similarity(flat["fake"], flat["exact"], dim=0) > 0.7


def test_training_on_the_grid_lowers_the_loss() -> None:
    net = quantised("int8")
    x, y = features(32, 6), torch.arange(32) % 5
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.01, momentum=0.9)
    losses = []
    with running(net, "fake"):
        for _ in range(40):
            loss = nn.functional.cross_entropy(net(x), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.9 * losses[0]


def test_pruned_weights_are_zero_integers(form: Form) -> None:
    network = lively_network()
    weights = prunable(network)
    masks = magnitude_masks(weights, 150, "global")
    apply_masks(weights, masks)
    net = QuantNet(network, form, SHAPE).eval()
    net.observe([features(16, 100)])
    for node in net.freeze().convs():
        assert not np.any(node.weight[masks[node.name].numpy() == 0])


def test_a_dead_channel_keeps_its_bias_within_half_an_output_step() -> None:
    network = lively_network()
    with torch.no_grad():
        network.stem.conv.weight[2] = 0.0  # type: ignore[union-attr, index]
    net = QuantNet(network, "int8", SHAPE).eval()
    net.observe([features(16, 100)])
    graph = net.freeze()
    stem = next(graph.convs())
    source, result = graph[stem.inputs[0]], graph[stem.output]
    real = stem.bias[0, 2] * float(source.scale) * float(stem.scale[0, 2])
    wanted = next(s for s in net.ordered() if s.name == "stem.conv").offset[2].item()  # type: ignore[union-attr, index]
    assert abs(real - wanted) <= 0.51 * float(result.scale)


def test_a_tiny_weight_under_a_large_bias_stays_inside_int32() -> None:
    network = lively_network()
    with torch.no_grad():
        network.stem.conv.weight[1] *= 1e-7  # type: ignore[union-attr, index, operator]
        network.stem.bn.weight[1] = 1.0  # type: ignore[union-attr, index]
        network.stem.bn.running_var[1] = 1.0  # type: ignore[union-attr, index]
        network.stem.bn.bias[1] = 40.0  # type: ignore[union-attr, index]
    net = QuantNet(network, "int8", SHAPE).eval()
    net.observe([features(16, 100)])
    stem = next(net.freeze().convs())
    assert accumulator_bound(stem, 0).max() < 2**31


@pytest.mark.parametrize("layer", ["stem.conv", "stage1.0.freq_dw"])
def test_weights_far_louder_than_the_output_range_still_export(layer: str) -> None:
    network = lively_network()
    net = QuantNet(network, "int8", SHAPE).eval()
    net.observe([features(16, 100)])
    net.scales[net.index[layer]] *= 1e-5
    assert tflite_bytes(net.freeze())


def test_int8_form_has_no_island_and_island_form_has_no_rsqrt() -> None:
    kinds = {form: {type(node) for node in quantised(form).freeze().nodes} for form in ("int8", "island")}
    assert Rsqrt in kinds["int8"] and Silu not in kinds["int8"]
    assert Silu in kinds["island"] and Rsqrt not in kinds["island"] and Mul not in kinds["island"]


def test_sub_band_layers_keep_one_weight_for_all_bands() -> None:
    convs = {node.name: node for node in quantised("int8").freeze().nodes if isinstance(node, Conv)}
    layer = convs["stage1.0.freq_dw"]
    assert layer.bands == 4 and layer.weight.shape == (4, 1, 3, 1) and layer.bias.shape == (4, 4)


def test_layer_names_are_module_paths() -> None:
    network = lively_network()
    modules = dict(network.named_modules())
    for node in quantised("int8").freeze().nodes:
        assert node.name.split("/")[0] in modules


def test_too_small_an_eps_is_refused_with_the_option_to_set() -> None:
    with pytest.raises(UsageError, match=r"model\.options\.eps"):
        QuantNet(lively_network(eps=1e-5), "int8", SHAPE)


def test_a_layer_without_quantised_form_is_refused_by_name() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh())
    with pytest.raises(BadInput, match=r"'1' \(Tanh\)"):
        QuantNet(network, "int8", (1, 1, 8, 8))


def test_freezing_twice_gives_the_same_integers(form: Form) -> None:
    net = quantised(form)
    for first, second in zip(net.freeze().convs(), net.freeze().convs(), strict=True):
        assert np.array_equal(first.weight, second.weight) and np.array_equal(first.bias, second.bias)
