"""GMME pooling: counts, shapes, and its output against the paper's equations in einsum and plain loops."""

import pytest
import torch
from torch import nn

from edgeasc.errors import UsageError
from edgeasc.nn.gmme import Gmme
from edgeasc.nn.layers import count_parameters, trace
from edgeasc.nn.registry import create_model

SETTINGS = {(32, 8): (8_692, 2_156), (32, 16): (17_380, 4_304), (64, 16): (33_764, 8_400)}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("frequencies", [64, 256])
def test_parameters_of_one_module_do_not_depend_on_the_frequencies(setting, frequencies):
    patch, gates = setting
    wide = Gmme(frequencies, patch=patch, gates=gates)
    literal = Gmme(frequencies, patch=patch, gates=gates, width=1, slopes="one")
    assert (count_parameters(wide), count_parameters(literal)) == SETTINGS[setting]


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("frequencies", [6, 7])
@pytest.mark.parametrize("frames", [24, 25])
def test_any_size_gives_twice_the_frequencies_and_whole_strides_of_frames(stride, frequencies, frames):
    layer = Gmme(frequencies, patch=8, stride=stride)
    assert layer(torch.zeros(2, frequencies, 1, frames)).shape == (2, 2 * frequencies, 1, frames // stride)


def windows(image, kernel, stride):
    """All patches of `image [B, f, t]` that the layer looks at, [B, f / s, t / s, *kernel]: cut out by plain loops."""
    top, left = ((side - stride) // 2 for side in kernel)
    rows, columns = image.shape[1] // stride, image.shape[2] // stride
    wide = torch.zeros(image.shape[0], image.shape[1] + 2 * kernel[0], image.shape[2] + 2 * kernel[1])
    wide[:, kernel[0] : -kernel[0], kernel[1] : -kernel[1]] = image
    result = torch.empty(image.shape[0], rows, columns, *kernel)
    for row in range(rows):
        for column in range(columns):
            y, x = row * stride - top + kernel[0], column * stride - left + kernel[1]
            result[:, row, column] = wide[:, y : y + kernel[0], x : x + kernel[1]]
    return result


def by_equations(layer, x, patch, stride):
    """Equations 1 to 5, written with einsum."""

    def branch(module, kernel):
        conv, act = module[-2], module[-1]
        z = torch.einsum("bftuv,cuv->bcft", windows(x[:, :, 0], kernel, stride), conv.weight[:, 0])
        return prelu(z + conv.bias.view(1, -1, 1, 1), act)

    def prelu(z, act):
        return torch.where(z >= 0, z, act.weight.view(1, -1, 1, 1) * z)

    frequency = branch(layer.frequency, (patch, 2 * stride))
    time = branch(layer.time, (2 * stride, patch))
    whole = branch(layer.whole, (2 * stride, 2 * stride))
    half = whole.shape[1]
    gate = torch.sigmoid(time[:, :half]) * torch.sigmoid(frequency[:, :half])
    feature = prelu(time[:, half:] * frequency[:, half:], layer.feature_act)
    mixed = torch.einsum("bcft,oc->boft", whole + gate * feature, layer.point.weight[:, :, 0, 0])
    mixed = mixed + layer.point.bias.view(1, -1, 1, 1)
    return torch.stack([mixed[:, o, f] for o in range(mixed.shape[1]) for f in range(mixed.shape[2])], 1)[:, :, None]


@pytest.mark.parametrize("slopes", ["channel", "one"])
@pytest.mark.parametrize("patch, stride, frequencies, frames", [(8, 2, 6, 10), (6, 2, 8, 7), (9, 3, 9, 13)])
def test_output_equals_the_equations(slopes, patch, stride, frequencies, frames):
    torch.manual_seed(0)
    layer = Gmme(frequencies, patch=patch, gates=4, stride=stride, slopes=slopes)
    for module in layer.modules():
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.1, 0.9)
    x = torch.randn(2, frequencies, 1, frames)
    torch.testing.assert_close(layer(x), by_equations(layer, x, patch, stride))


@pytest.mark.parametrize("frequencies", [20, 24, 32, 34])
def test_gradients_of_a_patch_as_tall_as_the_image_equal_those_in_double_precision(frequencies):
    """Padded inside the convolution they are garbage in torch 2.13: `_branch` tells."""
    torch.manual_seed(0)
    layer = Gmme(frequencies, patch=32, gates=2)
    double = Gmme(frequencies, patch=32, gates=2).double()
    double.load_state_dict(layer.state_dict())
    x = torch.randn(2, frequencies, 1, 60)
    for _ in range(3):  # what is read beyond the end differs from time to time
        layer.zero_grad()
        layer(x).square().sum().backward()
    double(x.double()).square().sum().backward()
    for found, expected in zip(layer.parameters(), double.parameters(), strict=True):
        torch.testing.assert_close(found.grad.double(), expected.grad, rtol=1e-3, atol=1e-3)


def test_missing_rows_are_zeros_and_the_surplus_is_cut():
    torch.manual_seed(0)
    odd, even = Gmme(7, patch=8), Gmme(8, patch=8)
    even.load_state_dict(odd.state_dict())
    x = torch.randn(1, 7, 1, 12)
    torch.testing.assert_close(odd(x), even(nn.functional.pad(x, (0, 0, 0, 0, 0, 1)))[:, :14])


@pytest.mark.parametrize("name", ["cnn6", "cnn10"])
def test_pool_of_a_convolutional_network_halves_images_and_hands_on_four_times_the_channels(name):
    network = create_model(name, 4, width=1 / 16, pool="gmme").eval()
    x = torch.randn(2, 1, 64, 83)
    assert network.body.block1(x).shape == (2, 16, 32, 41)
    assert network(x).shape == (2, 4)
    assert {node.op for node in list(trace(network).graph.nodes)[1:-1]} == {"call_module"}


def test_pool_of_images_keeps_pairs_of_mels_together():
    """With gates shut and one global tap, output (o, c, f) is the value at the first of the two mels of channel c."""
    network = create_model("cnn6", 4, width=1 / 16, pool="gmme")
    pool = network.body.block1.pool
    with torch.no_grad():
        for parameter in pool.parameters():
            parameter.zero_()
        pool[1].whole[0].weight[0, 0, 1, 1] = 1.0
        pool[1].point.weight[:, 0] = 1.0
    x = torch.rand(1, 4, 64, 6)
    torch.testing.assert_close(pool(x), x[:, :, ::2, ::2].repeat(1, 4, 1, 1))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"width": 1, "gates": 3}, "even number"),
        ({"patch": 1}, "leave gaps"),
        ({"slopes": "two"}, "one of channel, one"),
    ],
)
def test_impossible_sizes_are_refused(options, words):
    with pytest.raises(UsageError, match=words):
        Gmme(8, **options)


def test_mels_that_do_not_halve_are_refused():
    with pytest.raises(UsageError, match="multiple of 8"):
        create_model("cnn10", 4, width=1 / 16, pool="gmme", n_mels=66)


def test_an_unknown_pool_is_refused():
    with pytest.raises(UsageError, match="'average' or 'gmme'"):
        create_model("cnn10", 4, pool="max")
