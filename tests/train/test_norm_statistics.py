"""Batch-norm statistics measured anew."""

import numpy as np
import torch
from torch import nn

from edgeasc.nn.layers import SubSpectralNorm
from edgeasc.train.norm_statistics import reestimate

BATCHES = [torch.from_numpy(np.random.default_rng(s).normal(s, 2, (4, 3, 8, 5)).astype(np.float32)) for s in (1, 2, 3)]


def test_statistics_become_the_mean_over_the_batches():
    network = nn.Sequential(nn.BatchNorm2d(3)).eval()
    reestimate(network, BATCHES)
    torch.testing.assert_close(network[0].running_mean, torch.stack([b.mean((0, 2, 3)) for b in BATCHES]).mean(0))
    torch.testing.assert_close(network[0].running_var, torch.stack([b.var((0, 2, 3)) for b in BATCHES]).mean(0))


def test_sub_spectral_norms_are_measured_too():
    norm = SubSpectralNorm(3)
    reestimate(norm, BATCHES)
    assert int(norm.num_batches_tracked) == 3


def test_modes_and_momenta_are_put_back():
    network = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(0.5))
    network[1].eval()
    reestimate(network, BATCHES)
    assert (network[0].training, network[1].training, network[0].momentum) == (True, False, 0.3)


def test_dropout_is_off_while_measuring():
    network = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm2d(3)).train()
    reestimate(network, BATCHES)
    torch.testing.assert_close(network[1].running_mean, torch.stack([b.mean((0, 2, 3)) for b in BATCHES]).mean(0))
