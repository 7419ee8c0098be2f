"""Small networks on waveforms, and one of images with GMME pools: seeded, as after training."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from seeded import enliven
from torch import Tensor, nn

from edgeasc.compress.quantnet import QuantNet
from edgeasc.graph.model import Form, IntegerGraph
from edgeasc.nn.eat import Down, ResidualBlock
from edgeasc.nn.gmme import Gmme
from edgeasc.nn.layers import GlobalMean
from edgeasc.nn.registry import create_model
from edgeasc.nn.sequence import FirstToken

WAVE, IMAGE = (1, 1, 1, 600), (1, 1, 64, 40)


def waveform_network(odd: bool = False) -> nn.Module:
    """The convolutions of EAT-S, small: anti-aliased and GMME pooling, a residual block, the first token alone."""
    rows = 9 if odd else 8
    widen = nn.Conv2d(8, rows, 1)
    pool = Gmme(rows, patch=7 if odd else 8, gates=1, slopes="one" if odd else "channel")
    return nn.Sequential(
        OrderedDict(
            pad=nn.ReflectionPad2d((3, 3, 0, 0)), conv=nn.Conv2d(1, 4, (1, 7), bias=False), norm=nn.BatchNorm2d(4),
            act=nn.LeakyReLU(0.2), down=Down(4, 4), block=ResidualBlock(8, 3), widen=widen, pool=pool,
            first=FirstToken(), classifier=nn.Conv2d(2 * rows, 5, 1), flatten=GlobalMean(),
        )
    )  # fmt: skip


MAKERS = {
    "waveform": (lambda: waveform_network(), WAVE),
    "odd sizes": (lambda: waveform_network(odd=True), WAVE),
    "cnn6 with gmme": (lambda: create_model("cnn6", 4, width=1 / 32, pool="gmme"), IMAGE),
}


def inputs(shape: tuple[int, ...], n: int, seed: int) -> Tensor:
    """Waveforms in -1 .. 1, or log-mels."""
    x = torch.randn(n, *shape[1:], generator=torch.Generator().manual_seed(seed))
    return 0.3 * x if shape == WAVE else 3 * x - 5


def lively(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    make, shape = MAKERS[name]
    torch.manual_seed(5)
    network = enliven(make(), (inputs(shape, 8, seed) for seed in range(8)), 0.3, 0.2)
    for module in network.modules():
        if isinstance(module, nn.PReLU):
            nn.init.normal_(module.weight, 0.25, 0.3)
    return network, shape


def frozen(name: str, form: Form = "int8") -> IntegerGraph:
    """The integer graph of one of them."""
    network, shape = lively(name)
    net = QuantNet(network, form, shape).eval()
    net.observe([inputs(shape, 16, 100)])
    return net.freeze({"edgeasc.form": form})


def clips(graph: IntegerGraph, n: int = 6) -> np.ndarray:
    """Seeded int8 inputs."""
    source = graph[graph.input]
    real = inputs(source.shape, n, 7).numpy() / float(source.scale)
    return np.clip(np.rint(real) + source.zero_point, -128, 127).astype(np.int8)
