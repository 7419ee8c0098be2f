"""Seeded material for tests: a small trained-looking network, its input and its quantised form."""

import torch
from torch import Tensor, nn

from edgeasc.compress.quantnet import QuantNet
from edgeasc.graph.model import Form
from edgeasc.nn.registry import create_model

SHAPE = (1, 1, 32, 20)


def features(n: int, seed: int) -> Tensor:
    """Log-mel-like input [n, 1, 32, 20] with one silent clip and one silent bin."""
    generator = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(n, *SHAPE[1:], generator=generator) - 5
    x[0] = -13.8
    x[:, :, 3] = -13.8
    return x


def lively_network(**options: object) -> nn.Module:
    """BC-ResNet-Mod, c = 4, with batch-norm statistics and gains of both signs."""
    torch.manual_seed(7)
    network = create_model("bcresnet-mod-1", 5, **{"c": 4, "eps": 1e-2, **options})  # type: ignore[arg-type]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.6)
            nn.init.normal_(module.bias, 0.0, 0.3)
    network.train()
    with torch.no_grad():
        for seed in range(20):
            network(features(16, seed))
    return network.eval()


def quantised(form: Form, **options: object) -> QuantNet:
    """The observed QuantNet of `lively_network`."""
    net = QuantNet(lively_network(**options), form, SHAPE).eval()
    net.observe([features(16, 100), features(16, 101)])
    return net
