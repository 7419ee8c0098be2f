"""EAT-S: published counts, its layers against torch's own one-dimensional ones, lengths."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeasc.errors import UsageError
from edgeasc.nn.eat import Down, EncoderLayer, ResidualBlock
from edgeasc.nn.gmme import Gmme
from edgeasc.nn.layers import count_parameters, trace
from edgeasc.nn.registry import create_model
from edgeasc.nn.sequence import Attention, BlurPool

ESC, URBAN = {}, {"samples": 90_112}
SPEECH = {"samples": 16_384, "factors": "4 4 4"}
SMALL = {"samples": 2_048, "factors": "4 4", "channels": 4, "embedding": 16, "layers": 2, "heads": 2}


def meta(name, classes, **options):
    with torch.device("meta"):
        return create_model(name, classes, **options).eval()


@pytest.mark.parametrize(
    "classes, options, total", [(50, ESC, 5_183_618), (10, URBAN, 5_175_386), (35, SPEECH, 1_971_955)]
)
def test_parameters_with_anti_aliased_pooling_equal_the_papers(classes, options, total):
    assert count_parameters(meta("eat-s-aa", classes, **options)) == total


@pytest.mark.parametrize(
    "patch, gates, pooling, printed", [(32, 8, 17_384, 3.232), (32, 16, 34_760, 3.249), (64, 16, 67_528, 3.282)]
)
def test_parameters_with_gmme_for_esc_50_equal_the_papers_to_the_digits_printed(patch, gates, pooling, printed):
    network = meta("eat-s-gmme", 50, patch=patch, gates=gates)
    assert sum(count_parameters(module) for module in network.modules() if isinstance(module, Gmme)) == pooling
    assert round(count_parameters(network) / 1e6, 3) == printed


@pytest.mark.parametrize("patch, gates, pooling", [(32, 8, 4_312), (32, 16, 8_608), (64, 16, 16_800)])
def test_the_literal_reading_has_a_quarter_of_the_printed_pooling(patch, gates, pooling):
    network = meta("eat-s-gmme", 50, patch=patch, gates=gates, width=1, slopes="one")
    assert sum(count_parameters(module) for module in network.modules() if isinstance(module, Gmme)) == pooling


@pytest.mark.parametrize("classes, options", [(50, ESC), (10, URBAN), (35, SPEECH)])
def test_pooling_is_all_that_differs_and_as_large_on_every_data_set(classes, options):
    anti_aliased, gated = meta("eat-s-aa", classes, **options), meta("eat-s-gmme", classes, **options)
    replaced = sum(count_parameters(module) for name, module in anti_aliased.part2.named_children() if "pool" in name)
    assert count_parameters(gated) == count_parameters(anti_aliased) - replaced + 17_384


def macs_of(network, kinds, samples):
    """Multiply-accumulates of every module of `kinds`, from the shapes that hooks see."""
    found = {}

    def hook(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            found[module] = output[0].numel() * module.weight[0].numel()

    for kind in kinds:
        for module in kind.modules():
            module.register_forward_hook(hook)
    network(torch.zeros(1, 1, 1, samples, device="meta"))
    return sum(found.values())


@pytest.mark.parametrize("options, each", [(ESC, 244_056_064), (SPEECH, 69_730_304)])
def test_multiply_accumulates_of_each_gmme_equal_the_count_from_the_paper(options, each):
    network = meta("eat-s-gmme", 50, **options)
    for pool in (network.part2.pool1, network.part2.pool2):
        assert macs_of(network, [pool], options.get("samples", 114_688)) == each


@pytest.mark.parametrize("name", ["eat-s-aa", "eat-s-gmme"])
@pytest.mark.parametrize("options, shape", [(ESC, (128, 112)), (URBAN, (128, 88)), (SPEECH, (128, 64))])
def test_tokens_of_the_three_data_sets(name, options, shape):
    network = meta(name, 10, **options)
    sound = torch.zeros(1, 1, 1, options.get("samples", 114_688), device="meta")
    tokens = network.project(network.part2(network.part1(network.start(sound))))
    assert tuple(tokens.shape) == (1, shape[0], 1, shape[1])


@pytest.mark.parametrize("name", ["eat-s-aa", "eat-s-gmme"])
@pytest.mark.parametrize("samples", [2_048, 2_049, 2_113, 2_999])
def test_inputs_of_odd_lengths_give_logits(name, samples):
    network = create_model(name, 4, **SMALL | {"samples": samples}).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 1, 1, samples)).shape == (2, 4)


def test_another_stride_of_gmme_leaves_fewer_tokens():
    network = create_model("eat-s-gmme", 4, **SMALL | {"samples": 8_192}, stride=4, patch=16).eval()
    assert network.token.positions.shape[3] - 1 == 8_192 // 4 // 4 // 4 // 4


@pytest.mark.parametrize("name", ["eat-s-aa", "eat-s-gmme"])
def test_trace_is_module_calls_alone(name):
    operations = [node.op for node in trace(create_model(name, 4, **SMALL)).graph.nodes]
    assert set(operations[1:-1]) == {"call_module"}


@pytest.mark.parametrize("frames", [32, 33, 35])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_down_equals_one_dimensional_layers(factor, frames):
    torch.manual_seed(0)
    layer = Down(3, factor)
    nn.init.normal_(layer.conv[1].weight)
    layer.conv[1].running_mean.normal_()
    layer.eval()
    x = torch.randn(2, 3, 1, frames)
    y = functional.pad(x[:, :, 0], ((factor + 1) // 2, factor // 2), mode="reflect")
    y = functional.conv1d(y, layer.conv[0].weight[:, :, 0])
    norm = layer.conv[1]
    y = functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    y = functional.leaky_relu(y, 0.2)
    assert y.shape[2] == frames
    y = functional.pad(y, (factor, factor), mode="reflect")
    taps = torch.tensor([*range(1, factor + 1), factor + 1, *range(factor, 0, -1)]) / (factor + 1) ** 2
    expected = torch.stack([y[..., i : i + 2 * factor + 1] @ taps for i in range(0, frames, factor)], 2)
    torch.testing.assert_close(layer(x)[:, :, 0], expected)


def test_the_anti_aliasing_filter_is_neither_parameter_nor_part_of_a_checkpoint():
    pool = BlurPool(4, 2)
    assert count_parameters(pool) == 0 and not pool.state_dict()
    taps = torch.tensor([1.0, 2.0, 3.0, 2.0, 1.0]) / 9
    torch.testing.assert_close(pool.weight, taps.expand(4, 1, 1, 5))


def test_a_residual_block_is_the_sum_of_its_three_ways():
    torch.manual_seed(0)
    block = ResidualBlock(3, 3).eval()
    x = torch.randn(1, 3, 1, 40)
    expected = torch.einsum("bchw,oc->bohw", x, block.shortcut.weight[:, :, 0, 0]) + block.shortcut.bias.view(
        1, -1, 1, 1
    )
    unit = (1 + block.frequency[1].eps) ** -0.5  # a batch norm that has seen nothing
    expected += functional.leaky_relu(
        torch.einsum("bchw,oc->bohw", x, block.frequency[0].weight[:, :, 0, 0]) * unit, 0.2
    )
    wide = functional.pad(x[:, :, 0], (21, 21), mode="reflect")
    taps = block.time[1].weight[:, 0, 0]  # [C, 15]
    time = sum(taps[None, :, i, None] * wide[:, :, 3 * i : 3 * i + 40] for i in range(15))
    expected += functional.leaky_relu(time * unit, 0.2)[:, :, None]
    torch.testing.assert_close(block(x), expected)


def torch_layer(layer, channels, heads):
    """torch's own post-norm layer with the weights of ours."""
    theirs = nn.TransformerEncoderLayer(channels, heads, 4 * channels, activation="gelu", batch_first=True)
    state = {
        "self_attn.in_proj_weight": torch.cat([p.weight[:, :, 0, 0] for p in (layer.query, layer.key, layer.value)]),
        "self_attn.in_proj_bias": torch.cat([p.bias for p in (layer.query, layer.key, layer.value)]),
        "self_attn.out_proj": layer.mixed[0],
        "linear1": layer.feed[0],
        "linear2": layer.feed[3],
        "norm1": layer.norm1,
        "norm2": layer.norm2,
    }
    tensors = {}
    for key, value in state.items():
        if isinstance(value, nn.Module):
            tensors[f"{key}.weight"] = value.weight.flatten(1) if value.weight.ndim == 4 else value.weight
            tensors[f"{key}.bias"] = value.bias
        else:
            tensors[key] = value
    theirs.load_state_dict(tensors)
    return theirs.eval()


def test_an_encoder_layer_equals_torch_transformer_encoder_layer():
    torch.manual_seed(0)
    layer = EncoderLayer(8, 2).eval()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 8, 1, 9)
    expected = torch_layer(layer, 8, 2)(x[:, :, 0].transpose(1, 2))
    torch.testing.assert_close(layer(x)[:, :, 0].transpose(1, 2), expected, rtol=1e-4, atol=1e-5)


def test_logits_read_the_class_token_behind_the_last_norm():
    torch.manual_seed(0)
    network = create_model("eat-s-gmme", 3, **SMALL).eval()
    x = torch.randn(2, 1, 1, 2_048)
    tokens = network.token(network.project(network.part2(network.part1(network.start(x)))))
    for layer in list(network.encoder)[:-1]:
        tokens = layer(tokens)
    first = functional.layer_norm(tokens[:, :, 0, 0], (16,))
    expected = first @ network.classifier.fc.weight[:, :, 0, 0].T + network.classifier.fc.bias
    torch.testing.assert_close(network(x), expected)


def test_dropout_of_attention_acts_in_training_alone():
    network = create_model("eat-s-aa", 3, **SMALL)
    assert {module.dropout for module in network.modules() if isinstance(module, Attention)} == {0.1}
    x = torch.randn(2, 1, 1, 2_048)
    with torch.no_grad():
        assert not torch.equal(network.train()(x), network(x))
        assert torch.equal(network.eval()(x), network(x))


def test_an_input_of_another_length_names_the_option_to_set():
    with pytest.raises(UsageError, match=r"model\.options\.samples"):
        create_model("eat-s-aa", 3, **SMALL).eval()(torch.zeros(1, 1, 1, 4_096))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"samples": 500}, "leaves 32 frames where 63 are reflected"),
        ({"factors": "4 x"}, "write numbers above 1"),
        ({"factors": ""}, "write numbers above 1"),
        ({"heads": 3}, "does not divide by heads = 3"),
    ],
)
def test_impossible_sizes_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        create_model("eat-s-gmme", 3, **SMALL | options)
