"""CNN10 and ResNet22 as one network: published counts, and one layer on both embeddings side by side."""

import pytest
import torch

from edgeasc.nn.layers import count_parameters
from edgeasc.nn.registry import create_model


def test_parameter_counts_equal_the_papers():
    with torch.device("meta"):
        network = create_model("cnn10-resnet22", 5)
    assert count_parameters(network) == 67_569_807
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 12_805


def test_free_branches_learn():
    with torch.device("meta"):
        network = create_model("cnn10-resnet22", 5, free=True)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create_model("cnn10-resnet22", 4, width=1 / 32).eval()


def test_the_logits_are_one_layer_on_both_embeddings_side_by_side(network):
    x = torch.randn(3, 1, 64, 70)
    with torch.no_grad():
        network.from_first.bias.uniform_(-1, 1)
        both = torch.cat([branch.embedding(x).flatten(1) for branch in (network.first, network.second)], 1)
        weight = torch.cat([network.from_first.weight, network.from_second.weight], 1).flatten(1)
        torch.testing.assert_close(network(x), both @ weight.T + network.from_first.bias)
    assert both.shape == (3, 512 // 32 + 2048 // 32)


def test_a_branch_embeds_as_the_network_alone_and_takes_its_weights(network):
    torch.manual_seed(1)
    alone = create_model("resnet22", 4, width=1 / 32).eval()
    network.second.load_state_dict(alone.state_dict())
    seen = []
    handle = alone.head.classifier.fc.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    x = torch.randn(2, 1, 64, 66)
    with torch.no_grad():
        alone(x)
        torch.testing.assert_close(network.second.embedding(x), seen[0])
    handle.remove()


def test_a_step_moves_the_one_layer_alone(network):
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    network.train()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.randn(4, 1, 64, 70)).square().sum().backward()
    optimizer.step()
    moved = {name for name, parameter in network.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {"from_first.weight", "from_first.bias", "from_second.weight"}
