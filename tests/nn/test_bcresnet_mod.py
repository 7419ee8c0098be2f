"""BC-ResNet-Mod: counts of the paper, the block against einsum, names and trace."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgeasc.errors import UsageError
from edgeasc.nn.bcresnet_mod import BCResBlock, BCResNetMod
from edgeasc.nn.layers import GlobalFreqNorm, ResNorm, count_parameters, trace
from edgeasc.nn.registry import create_model

# Rows of the layer table in the project's reading of QTI table 1: module path, parameters at c = 10 and at c = 80.
LAYERS = [
    ("norm0", 0, 0),
    ("stem", 540, 4320),
    ("stage1.0", 480, 20640),
    ("stage1.1", 260, 7680),
    ("stage2.0", 645, 26160),
    ("stage2.1", 465, 16320),
    ("stage3.0", 1060, 47680),
    ("stage3.1", 720, 28160),
    ("stage4.0", 1575, 75600),
    ("stage4.1", 1025, 43200),
    ("stage4.2", 1025, 43200),
    ("head", 260, 2010),
]


@pytest.mark.parametrize(("name", "total"), [("bcresnet-mod-1", 8055), ("bcresnet-mod-8", 314970)])
def test_parameter_count_equals_the_papers(name, total):
    assert count_parameters(create_model(name)) == total


@pytest.mark.parametrize("column", [1, 2])
def test_parameters_per_layer_equal_the_table(column):
    network = create_model({1: "bcresnet-mod-1", 2: "bcresnet-mod-8"}[column])
    counted = {row[0]: count_parameters(network.get_submodule(row[0])) for row in LAYERS}
    assert counted == {row[0]: row[column] for row in LAYERS}
    assert sum(counted.values()) == count_parameters(network)


def test_convolution_weights_number_300320_in_33_tensors_at_c_80():
    weights = [m.weight.numel() for m in create_model("bcresnet-mod-8").modules() if isinstance(m, torch.nn.Conv2d)]
    assert (len(weights), sum(weights)) == (33, 300320)


def test_stages_have_the_shapes_of_the_table():
    network, shapes = BCResNetMod(c=10).eval(), {}
    for path in ("stem", "stage1", "stage2", "stage3", "stage4", "head.conv"):
        network.get_submodule(path).register_forward_hook(
            lambda module, inputs, output, path=path: shapes.update({path: tuple(output.shape[1:])})
        )
    with torch.no_grad():
        logits = network(torch.zeros(1, 1, 256, 334))
    assert shapes == {
        "stem": (20, 128, 167),
        "stage1": (10, 128, 167),
        "stage2": (15, 64, 83),
        "stage3": (20, 32, 41),
        "stage4": (25, 32, 41),
        "head.conv": (10, 32, 41),
    }
    assert logits.shape == (1, 10)


def plain_block(block, x):
    """The block in evaluation from its parameters, with einsum and shifted sums in place of torch's layers."""

    def affine(norm, value, bands):
        batch, channels, frequencies, frames = value.shape
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * gain
        split = value.reshape(batch, channels, bands, frequencies // bands, frames)
        shape = (1, channels, bands, 1, 1)
        return (split * gain.view(shape) + shift.view(shape)).reshape(value.shape)

    def depthwise(weight, value, axis):
        taps = weight.flatten(1)  # [C, 3]
        pad = [0, 0, 0, 0]
        pad[2 * (3 - axis)] = pad[2 * (3 - axis) + 1] = 1
        padded, size = functional.pad(value, pad), value.shape[axis]
        return sum(taps[:, k].view(1, -1, 1, 1) * padded.narrow(axis, k, size) for k in range(3))

    def pointwise(weight, value):
        return torch.einsum("oi,bift->boft", weight[:, :, 0, 0], value)

    transition = block.transition
    inner = x if transition is None else affine(transition.bn, pointwise(transition.conv.weight, x), 1).clamp(min=0)
    y = affine(block.ssn, depthwise(block.freq_dw.weight, inner, 2), 4)
    mean = y.sum(2, keepdim=True) / y.shape[2]
    normed = affine(block.temp_bn, depthwise(block.temp_dw.weight, mean, 3), 1)
    z = pointwise(block.pw.weight, normed / (1 + torch.exp(-normed)))
    out = y + z if transition is not None else (y + z) + x
    return out.clamp(min=0)


@pytest.mark.parametrize(("n_in", "transition"), [(6, True), (10, False)])
def test_block_equals_a_plain_formulation(n_in, transition):
    torch.manual_seed(1)
    block = BCResBlock(n_in, 10, transition=transition).eval()
    for module in block.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # sub-spectral norm included
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, n_in, 8, 9)).astype(np.float32))
    with torch.no_grad():
        torch.testing.assert_close(block(x), plain_block(block, x), atol=2e-5, rtol=1e-5)


def test_trace_is_module_calls_alone_under_readable_paths():
    nodes = list(trace(create_model("bcresnet-mod-1")).graph.nodes)
    assert [node.op for node in nodes] == ["placeholder", *["call_module"] * (len(nodes) - 2), "output"]
    block = ["transition.conv", "transition.bn", "transition.relu", "freq_dw", "ssn", "freq_mean", "temp_dw", "temp_bn"]
    block += ["silu", "pw", "dropout", "add", "relu"]
    targets = [node.target for node in nodes if node.op == "call_module"]
    assert targets[:4] == ["norm0", "stem.conv", "stem.bn", "stem.relu"]
    assert targets[4:17] == [f"stage1.0.{name}" for name in block]
    assert targets[17:28] == [f"stage1.1.{name}" for name in [*block[3:12], "add_identity", "relu"]]
    assert targets[28:30] == ["stage1.norm", "pool1"]
    assert targets[-3:] == ["stage4.norm", "head.conv", "head.mean"]


def test_trace_adds_in_the_order_y_z_then_identity():
    nodes = {node.target: node for node in trace(create_model("bcresnet-mod-1")).graph.nodes}
    y_z, identity = nodes["stage1.1.add"], nodes["stage1.1.add_identity"]
    assert [node.target for node in y_z.args] == ["stage1.1.ssn", "stage1.1.dropout"]
    assert [node.target for node in identity.args] == ["stage1.1.add", "stage1.0.relu"]


def test_traced_network_computes_the_same():
    network = create_model("bcresnet-mod-1").eval()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 1, 64, 34)).astype(np.float32))
    with torch.no_grad():
        assert torch.equal(trace(network)(x), network(x))


@pytest.mark.parametrize(
    ("norm", "places", "lam"), [("resnorm", 5, 0.1), ("pre-resnorm", 1, 0.1), ("freqin", 1, 0.0), ("none", 0, None)]
)
def test_norm_option_puts_resnorm_where_the_paper_does(norm, places, lam):
    norms = [m for m in create_model("bcresnet-mod-1", norm=norm).modules() if isinstance(m, ResNorm)]
    assert len(norms) == places
    assert all(m.lam == lam and m.eps == 1e-5 for m in norms)


def test_global_freqnorm_option_normalises_the_input_only():
    network = create_model("bcresnet-mod-1", norm="global-freqnorm")
    assert isinstance(network.norm0, GlobalFreqNorm)
    assert not any(isinstance(m, ResNorm) for m in network.modules())


def test_unknown_norm_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'resnorm'"):
        create_model("bcresnet-mod-1", norm="resnom")


def test_odd_width_is_refused():
    with pytest.raises(UsageError, match="c = 11"):
        create_model("bcresnet-mod-1", c=11)
