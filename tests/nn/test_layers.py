"""Layers against plain formulations of the same arithmetic."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.errors import UsageError
from edgeasc.nn.layers import Add, FrequencyMean, GlobalFreqNorm, GlobalMean, ResNorm, SubSpectralNorm, trace


def features(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(2.0, 3.0, shape).astype(np.float32))


@pytest.mark.parametrize(("lam", "eps"), [(0.1, 1e-5), (0.0, 1e-3), (0.7, 1e-3)])
def test_resnorm_equals_loops_over_clips_and_frequencies(lam, eps):
    x = features(2, 3, 4, 5)
    expected = np.empty(x.shape)
    for clip in range(2):
        for frequency in range(4):
            part = x[clip, :, frequency].double().numpy()
            mean = part.sum() / part.size
            var = ((part - mean) ** 2).sum() / part.size
            expected[clip, :, frequency] = lam * part + (part - mean) / np.sqrt(var + eps)
    np.testing.assert_allclose(ResNorm(lam, eps)(x).numpy(), expected, atol=1e-5)


def test_resnorm_of_a_constant_bin_is_lambda_times_it():
    x = torch.full((1, 1, 2, 7), -13.8155)
    assert torch.equal(ResNorm(0.1, 1e-5)(x), 0.1 * x)


def test_resnorm_gradient_equals_that_of_the_formula_in_double():
    x = features(2, 3, 4, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(ResNorm(0.1, 1e-3), (x,))


def test_sub_spectral_norm_is_a_batch_norm_per_band():
    torch.manual_seed(0)
    layer = SubSpectralNorm(3, bands=4)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = features(2, 3, 8, 5)
    expected = torch.empty_like(x)
    for channel in range(3):
        for band in range(4):
            rows = x[:, channel, 2 * band : 2 * band + 2].double()
            normed = (rows - rows.mean()) / torch.sqrt(rows.var(correction=0) + 1e-5)
            index = channel * 4 + band
            expected[:, channel, 2 * band : 2 * band + 2] = normed * layer.weight[index] + layer.bias[index]
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=0)


def test_sub_spectral_norm_keeps_running_statistics_per_band():
    layer = SubSpectralNorm(2, bands=2)
    x = features(4, 2, 6, 5)
    layer(x)
    bands = x.reshape(4, 2, 2, 3, 5).permute(1, 2, 0, 3, 4).reshape(4, -1)  # index channel * 2 + band
    torch.testing.assert_close(layer.running_mean, 0.1 * bands.mean(1))
    torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * bands.var(1))


def test_sub_spectral_norm_refuses_a_frequency_axis_that_does_not_divide():
    with pytest.raises(UsageError, match="5 frequencies"):
        SubSpectralNorm(2)(features(1, 2, 5, 3))


def test_global_freq_norm_standardises_every_frequency_of_its_training_set():
    x = features(50, 1, 4, 6) * torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 4, 1)
    layer = GlobalFreqNorm()
    layer.set_statistics(x)
    out = layer(x)
    torch.testing.assert_close(out.mean((0, 1, 3)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std((0, 1, 3), correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_global_freq_norm_statistics_load_into_a_fresh_layer():
    layer, fresh = GlobalFreqNorm(), GlobalFreqNorm()
    layer.set_statistics(features(5, 1, 4, 6))
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh.mean, layer.mean)


def test_means_and_add_equal_numpy():
    x = features(2, 3, 4, 5)
    np.testing.assert_allclose(FrequencyMean()(x), x.numpy().mean(2, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(GlobalMean()(x), x.numpy().mean((2, 3)), atol=1e-5)
    np.testing.assert_array_equal(Add()(x, x[:, :, :1]), x.numpy() + x.numpy()[:, :, :1])


def test_trace_keeps_leaf_modules_whole_and_shares_parameters():
    network = nn.Sequential(nn.Conv2d(1, 4, 1), SubSpectralNorm(4), ResNorm())
    graph = trace(network)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["0", "1", "2"]
    assert graph.get_submodule("0").weight is network[0].weight
