"""CNN6 to WideResNet28-2: published counts, shapes of every clip length, the head against its own words."""

import pytest
import torch
from torch import nn

from edgeasc.errors import UsageError
from edgeasc.nn.layers import count_parameters, trace
from edgeasc.nn.panns import BasicBlock, SharedHead
from edgeasc.nn.registry import create_model

COUNTS = {
    "cnn6": (5, 4_569_669),
    "cnn10": (5, 4_951_493),
    "cnn14": (20, 79_714_772),
    "mobilenet-v1": (5, 4_261_253),
    "resnet22": (5, 62_605_509),
    "wideresnet28-2": (5, 1_487_973),
}
MACS = {
    "cnn6": 1_463_970_304,
    "cnn10": 1_923_901_952,
    "mobilenet-v1": 107_096_064,
    "resnet22": 2_009_368_576,
    "wideresnet28-2": 2_056_417_920,
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_equal_the_papers(name):
    classes, total = COUNTS[name]
    with torch.device("meta"):
        assert count_parameters(create_model(name, classes)) == total


@pytest.mark.parametrize("name", MACS)
def test_multiply_accumulates_of_150_frames_equal_the_count_from_the_paper(name):
    """Counted from the shapes that hooks see, head included."""
    found = 0

    def hook(module, inputs, output):
        nonlocal found
        found += output[0].numel() * module.weight[0].numel()

    with torch.device("meta"):
        network = create_model(name, 5).eval()
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(hook)
        network(torch.zeros(1, 1, 64, 150))
    assert found == MACS[name]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("frames", [64, 83, 101])
def test_clips_of_any_length_give_logits(name, frames):
    network = create_model(name, 4, width=1 / 32).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 1, 64, frames)).shape == (2, 4)


@pytest.mark.parametrize("name", COUNTS)
def test_trace_is_module_calls_alone(name):
    operations = [node.op for node in trace(create_model(name, 4, width=1 / 32)).graph.nodes]
    assert set(operations[1:-1]) == {"call_module"}


def test_the_head_is_maximum_plus_mean_of_the_mean_over_mels():
    torch.manual_seed(0)
    head = SharedHead(6, 3).eval()
    x = torch.randn(2, 6, 4, 9)
    profile = x.mean(2)  # [B, C, T]
    pooled = profile.max(2).values + profile.mean(2)
    hidden = torch.relu(pooled @ head.hidden.fc.weight[:, :, 0, 0].T + head.hidden.fc.bias)
    expected = hidden @ head.classifier.fc.weight[:, :, 0, 0].T + head.classifier.fc.bias
    torch.testing.assert_close(head(x), expected)


def test_mels_are_normed_each_by_its_own_statistics():
    torch.manual_seed(0)
    network = create_model("cnn6", 3, width=1 / 32).train()
    x = torch.randn(8, 1, 64, 20) * torch.arange(1, 65).view(1, 1, -1, 1) + 5
    normed = network.bn0(x)
    assert normed.mean((0, 1, 3)).abs().max() < 1e-5
    torch.testing.assert_close(normed.var((0, 1, 3), correction=0), torch.ones(64), rtol=1e-3, atol=1e-3)


def test_another_number_of_mels_is_refused():
    with pytest.raises(UsageError, match="40 mels at a norm over 64"):
        create_model("cnn10", 3, width=1 / 32)(torch.zeros(1, 1, 40, 64))


def test_a_residual_block_without_gain_passes_its_input():
    torch.manual_seed(0)
    block = create_model("resnet22", 3, width=1 / 32).eval().body.stage1[1]
    x = torch.rand(1, 2, 8, 9)
    torch.testing.assert_close(block(x), x)


def test_a_pooled_block_halves_and_a_strided_one_rounds_up():
    x = torch.zeros(1, 4, 8, 9)
    assert BasicBlock(4, 6, 2, pooled=True).eval()(x).shape == (1, 6, 4, 4)
    assert BasicBlock(4, 6, 2, pooled=False).eval()(x).shape == (1, 6, 4, 5)


def test_a_width_that_gives_no_whole_channels_is_refused():
    with pytest.raises(UsageError, match="whole"):
        create_model("cnn6", 3, width=0.3)
