"""Transformers through folding and the grid: islands in form `island`, a refusal with the cure in form `int8`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from transformer_toys import CHANNELS, SHAPE, TOKENS, Transformer, lively_transformer, quantised_transformer, waves

from edgeasc.compress.inventory import costs_of, inventory
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.transformer_steps import ChannelNormStep, Learned
from edgeasc.errors import BadInput
from edgeasc.graph.count import count
from edgeasc.graph.model import Add, Attention, ChannelNorm, Gelu, ZeroPad
from edgeasc.graph.reference import Reference


@pytest.fixture(scope="module")
def net() -> QuantNet:
    return quantised_transformer()


def test_the_folded_network_computes_what_the_trained_one_does(net: QuantNet) -> None:
    x = waves(6, 9)
    with torch.no_grad(), running(net, "float"):
        torch.testing.assert_close(net(x), lively_transformer()(x), rtol=1e-4, atol=1e-4)


def test_the_grid_moves_the_logits_by_a_few_steps_only(net: QuantNet) -> None:
    x = waves(64, 9)
    with torch.no_grad():
        truth = lively_transformer()(x)
        with running(net, "fake"):
            found = net(x)
    assert truth.std() > 0.3 and (found - truth).abs().mean() < 0.1 * truth.std()


def test_the_integer_exact_forward_equals_the_reference(net: QuantNet) -> None:
    x, graph = waves(16, 5), net.freeze()
    with torch.no_grad(), running(net, "exact"):
        integers = net.integers("input", net.place("input", x))
        found = net.integers(net.output, net(x)).numpy()
    expected = Reference(graph).run(integers.numpy().astype(np.int8))[graph.output]
    assert len(np.unique(expected)) > 20
    np.testing.assert_array_equal(found, expected)


def test_a_class_token_is_a_zero_frame_and_one_sum(net: QuantNet) -> None:
    graph, network = net.freeze(), lively_transformer()
    pad, add = (next(node for node in graph.nodes if node.name == name) for name in ("token/pad", "token"))
    assert isinstance(pad, ZeroPad) and isinstance(add, Add) and pad.padding == (1, 0)
    constant = graph[add.inputs[1]]
    assert constant.shape == (1, CHANNELS, 1, TOKENS + 1) and constant.data is not None
    added = network.token.positions.detach().clone()
    added[..., 0] += network.token.token.detach()[..., 0]
    np.testing.assert_allclose(constant.data * constant.scale, added, atol=0.51 * float(constant.scale))


def test_every_layer_of_the_transformer_has_its_islands(net: QuantNet) -> None:
    nodes = net.freeze().nodes
    counts = {kind: sum(isinstance(node, kind) for node in nodes) for kind in (Gelu, ChannelNorm, Attention)}
    assert counts == {Gelu: 2, ChannelNorm: 4, Attention: 2}


@pytest.mark.parametrize("mode", ["fake", "exact"])
def test_a_step_on_the_grid_trains_norms_positions_and_convolutions(net: QuantNet, mode: str) -> None:
    net = QuantNet(lively_transformer(), "island", SHAPE)
    net.observe([waves(16, 1)])
    with running(net, mode):  # type: ignore[arg-type]
        nn.functional.cross_entropy(net(waves(8, 2)), torch.arange(8) % 5).backward()
    trained = [p for p in net.parameters() if p.requires_grad]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in trained)
    wanted = [s for s in net.ordered() if isinstance(s, ChannelNormStep | Learned)]
    assert len(wanted) == 5 and all(p.grad.abs().sum() > 0 for s in wanted for p in s.parameters())  # type: ignore[union-attr]


def test_a_norm_whose_gains_moved_is_computed_anew(net: QuantNet) -> None:
    net, x = quantised_transformer(), waves(8, 3)
    with torch.no_grad(), running(net, "exact"):
        before = net(x)
        norm = [step for step in net.ordered() if isinstance(step, ChannelNormStep)][-1]
        norm.gain.mul_(0.5)
        assert not torch.equal(net(x), before)


@pytest.mark.parametrize(
    ("layer", "what"), [("attention", "attention"), ("norm1", "layer norm over channels"), ("gelu", "GELU")]
)
def test_form_int8_refuses_by_name_with_the_cure(layer: str, what: str) -> None:
    class Without(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = getattr(Transformer().layers[0], layer)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.part(x, x, x) if layer == "attention" else self.part(x)

    with pytest.raises(BadInput, match=f"'part': {what} .* --form island"):
        QuantNet(Without(), "int8", (1, CHANNELS, 1, TOKENS))


def test_gelu_by_its_tanh_approximation_is_refused() -> None:
    with pytest.raises(BadInput, match="approximate='tanh'"):
        QuantNet(nn.Sequential(nn.GELU(approximate="tanh")), "island", SHAPE)


def test_the_solver_knows_the_bytes_of_floats_and_tokens(net: QuantNet) -> None:
    costs, counts = costs_of(lively_transformer(), "deployed", "island"), count(net.freeze())
    assert counts.nonzero_bytes <= costs.total(costs.weights, costs.offsets) <= counts.stored_bytes
    assert "floats of norms" in costs.fixed_name and "values of tokens" in costs.fixed_name


def test_the_inventory_has_norms_and_positions_apart_from_weights(net: QuantNet) -> None:
    rows = {row["name"]: row for row in inventory(lively_transformer(), net.freeze())["tensors"]}
    kinds = [rows[name]["kind"] for name in ("layers.0.norm1.weight", "token.positions", "layers.0.query.weight")]
    assert kinds == ["norm", "bias", "conv"]


def test_another_number_of_tokens_than_learned_is_refused(net: QuantNet) -> None:
    with pytest.raises(BadInput, match="add 'token'"):
        net.resized(320)


def test_the_same_value_may_be_query_key_and_value() -> None:
    class Self(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = Transformer().layers[0].attention

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.attention(x, x, x)

    network = Self().eval()
    net = QuantNet(network, "island", (1, CHANNELS, 1, TOKENS)).eval()
    x = torch.randn(2, CHANNELS, 1, TOKENS)
    with torch.no_grad():
        torch.testing.assert_close(net(x), network(x))


def test_a_constant_of_zeros_has_a_grid() -> None:
    step = Learned("zeros", torch.zeros(1, 3, 1, 2))
    grid = replace(step.tensor(replace(quantised_transformer().tensors()["input"], scale=step.scale)))
    assert grid.scale > 0 and not np.any(grid.data)
