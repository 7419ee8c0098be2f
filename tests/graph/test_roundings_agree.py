"""Near a tie every float runtime rounds alike: LEAKY_RELU and ADD on scales that XNNPACK keeps, sums of integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from judges import litert
from one_op import graph_of, random_conv, random_int8, random_scale, tensor
from torch import Tensor, nn
from transformer_toys import SHAPE, lively_transformer, quantised_transformer, waves

from edgeasc.compress.exact import convolve_once
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import simulate
from edgeasc.graph.kernels.elementwise import portable_sum_scale
from edgeasc.graph.kernels.rectify import portable_slope_scale
from edgeasc.graph.model import Add, Conv, IntegerGraph, LeakyRelu, PRelu
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import onnx_artefact
from edgeasc.runtime.runner import open_runner

EVERY = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 1, 256)


def leaky(seed: int, portable: bool, slope: float = 0.2) -> IntegerGraph:
    """LEAKY_RELU of every int8 value, on a scale of its own or on the portable one next to it."""
    rng = np.random.default_rng(seed)
    source = tensor("x", EVERY.shape, random_scale(rng), int(rng.integers(-128, 128)))
    scale = float(source.scale) * rng.uniform(0.4, 1.2)
    if portable:
        scale = float(portable_slope_scale(source, scale, slope))
    output = tensor("y", EVERY.shape, scale, int(rng.integers(-128, 60)))
    return graph_of(LeakyRelu("leaky", ("x",), "y", slope=float(np.float32(slope))), source, output)


def differences(graph: IntegerGraph) -> int:
    return int(np.sum(litert(tflite_bytes(graph), EVERY) != simulate.run(graph, EVERY)["y"]))


def test_on_a_portable_scale_xnnpacks_leaky_relu_is_the_rounded_one_for_every_input() -> None:
    assert [differences(leaky(seed, True)) for seed in range(30)] == [0] * 30


@pytest.mark.parametrize("slope", [0.2, 0.25, 0.01])
def test_on_scales_of_their_own_more_values_differ(slope: float) -> None:
    own, portable = (sum(differences(leaky(seed, kind, slope)) for seed in range(30)) for kind in (False, True))
    assert own > 30 and portable < own


def test_the_portable_scale_is_at_most_a_few_percent_coarser() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        source = tensor("x", (1,), random_scale(rng), int(rng.integers(-128, 128)))
        scale = float(source.scale) * rng.uniform(0.3, 2.0)
        assert 1 - 1e-4 < float(portable_slope_scale(source, scale, 0.2)) / scale < 1.08


def sums(seed: int, portable: bool) -> IntegerGraph:
    """ADD of every int8 value and every constant, `[1, 256, 1, 256]`."""
    rng = np.random.default_rng(seed)
    first = tensor("x", EVERY.shape, random_scale(rng), int(rng.integers(-128, 128)))
    constant = EVERY.reshape(1, 256, 1, 1)
    scale = float(first.scale) * rng.uniform(0.1, 10)
    second = tensor("c", constant.shape, scale, int(rng.integers(-128, 128)), constant)
    scale = (float(first.scale) + scale) * rng.uniform(0.5, 1.0)
    if portable:
        scale = float(portable_sum_scale(first.scale, second.scale, np.float32(scale)))
    output = tensor("y", (1, 256, 1, 256), scale, int(rng.integers(-60, 60)))
    return graph_of(Add("add", ("x", "c"), "y"), first, second, output)


def test_on_portable_scales_fewer_sums_of_xnnpack_differ() -> None:
    """All 65,536 pairs on twelve pairs of scales: 10 on their own, 3 on portable ones, where float32 itself is near."""
    own, portable = (sum(differences(sums(seed, kind)) for seed in range(12)) for kind in (False, True))
    assert own > 5 and portable < own / 2


def test_a_portable_sum_is_less_than_a_percent_coarser() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        first, second, output = (np.float32(random_scale(rng)) for _ in range(3))
        assert 1 <= portable_sum_scale(first, second, output) / output < 1.01


def test_litert_computes_prelu_of_an_island_graph_in_float_and_as_the_float_twin() -> None:
    rng = np.random.default_rng(5)
    slope = rng.integers(-127, 128, 8).astype(np.int8)
    x, y = tensor("x", (1, 8, 1, 256), 0.157, 7), tensor("y", (1, 8, 1, 256), 0.104, -67)
    graph = graph_of(PRelu("prelu", ("x",), "y", slope=slope, slope_scale=np.float32(0.0024)), x, y, form="island")
    values = np.broadcast_to(EVERY, x.shape).copy()
    np.testing.assert_array_equal(litert(tflite_bytes(graph), values), simulate.run(graph, values)["y"])


@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("activation", ["none", "relu"])
def test_a_convolution_without_gradients_has_the_integers_of_the_float_twin(bands: int, activation: str) -> None:
    rng = np.random.default_rng(bands)
    graph = random_conv(rng, (6, 8, 9), 5, (3, 3), bands=bands, padding=(1, 1, 1, 1), activation=activation)
    values, node = random_int8(rng, 4, 6, 8, 9), graph.nodes[0]
    assert isinstance(node, Conv)
    real = torch.from_numpy(simulate.dequantise(values, graph["input"]).astype(np.float32))
    found = simulate.quantise(convolve_once(node, graph.tensors, real).numpy(), graph["output"])
    expected = simulate.run(graph, values)["output"]
    assert len(np.unique(expected)) > 50
    np.testing.assert_array_equal(found, expected)


class Rectified(nn.Module):
    """The transformer behind a LeakyReLU, whose roundings LiteRT leaves elsewhere on scales of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.leaky, self.rest = nn.LeakyReLU(0.2), lively_transformer()

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.leaky(x))


@pytest.mark.parametrize("which", ["transformer", "rectified"])
def test_onnx_runtime_and_litert_give_the_integers_of_the_fake_quantised_transformer(which: str) -> None:
    net = quantised_transformer()
    if which == "rectified":
        net = QuantNet(Rectified(), "island", SHAPE).eval()
        net.observe([waves(32, 100)])
    x, graph = waves(60, 9), net.freeze()
    with torch.no_grad(), running(net, "fake"):
        expected = net.integers(net.output, net(x)).numpy()
        integers = net.integers("input", net.place("input", x)).numpy().astype(np.int8)
    output = graph[graph.output]
    with open_runner(onnx_artefact(onnx_bytes(graph)), "onnxruntime") as runner:
        found = runner.predict(integers)
    for steps in (found / output.scale + output.zero_point, litert(tflite_bytes(graph), integers)):
        assert (np.abs(steps - expected).max(axis=1) < 0.1).mean() >= 0.9


def test_onnx_runtime_computes_our_convolutions_in_integers(tmp_path: Path) -> None:
    """The session option that our runner sets does it; without it most of them are computed in float."""
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry("session.qdqisint8allowed", "1")
    settings.optimized_model_filepath = str(tmp_path / "seen.onnx")
    settings.log_severity_level = 3
    graph = quantised_transformer().freeze()
    onnxruntime.InferenceSession(onnx_bytes(graph), settings, ["CPUExecutionProvider"])
    seen = [node.op_type for node in onnx.load(tmp_path / "seen.onnx").graph.node]
    assert "Conv" not in seen and seen.count("QLinearConv") == len(list(graph.convs()))
