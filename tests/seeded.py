"""Seeded material for tests: a small trained-looking network, its input and its quantised form."""

from collections.abc import Iterable

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
    return enliven(network, (features(16, seed) for seed in range(20)), 0.6, 0.3)


def enliven(network: nn.Module, batches: Iterable[Tensor], gain: float, offset: float) -> nn.Module:
    """`network` with batch norms as after training: gains and offsets that spread so far, statistics of the batches."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, gain)
            nn.init.normal_(module.bias, 0.0, offset)
    network.train()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    return network.eval()


def quantised(form: Form, **options: object) -> QuantNet:
    """The observed QuantNet of `lively_network`."""
    net = QuantNet(lively_network(**options), form, SHAPE).eval()
    net.observe([features(16, 100), features(16, 101)])
    return net
