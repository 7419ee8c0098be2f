"""Networks beside BC-ResNet-Mod through folding, the grid and the integer graph: every runtime computes the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from judges import builtin_ref, tflm
from seeded import enliven
from torch import Tensor, nn

import edgeasc
from edgeasc.compress.fold import fold_network
from edgeasc.compress.inventory import costs_of
from edgeasc.compress.offsets import banded, cut_offsets
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.steps import AvgPoolStep, ConvStep
from edgeasc.export.c.bundle import bundle
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import simulate
from edgeasc.graph.count import count
from edgeasc.graph.model import Conv, IntegerGraph
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.reference import Reference
from edgeasc.nn.registry import create_model
from edgeasc.runtime.native_c import build_host

NAMES = ("cnn6", "cnn10", "mobilenet-v1", "resnet22", "wideresnet28-2", "cnn10-resnet22", "bcresnet-8")
SHAPE = (1, 1, 64, 64)


def features(n: int, seed: int) -> Tensor:
    return 3 * torch.randn(n, *SHAPE[1:], generator=torch.Generator().manual_seed(seed)) - 5


def lively(name: str) -> nn.Module:
    """The network at a small part of its width, with statistics and gains of both signs."""
    torch.manual_seed(3)
    network = create_model(name, 4, c=4) if name == "bcresnet-8" else create_model(name, 4, width=1 / 32)
    return enliven(network, (features(8, seed) for seed in range(12)), 0.4, 0.2)


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, QuantNet]:
    network = lively(request.param)
    net = QuantNet(network, "int8", SHAPE).eval()
    net.observe([features(16, 100)])
    return network, net


@pytest.fixture(scope="module")
def graph(pair: tuple[nn.Module, QuantNet]) -> IntegerGraph:
    return pair[1].freeze({"edgeasc.form": "int8"})


def clips(graph: IntegerGraph, n: int = 6) -> np.ndarray:
    source = graph[graph.input]
    real = features(n, 7).numpy() / float(source.scale)
    return np.clip(np.rint(real) + source.zero_point, -128, 127).astype(np.int8)


def test_the_folded_network_computes_what_the_trained_one_does(pair: tuple[nn.Module, QuantNet]) -> None:
    network, net = pair
    x = features(4, 9)
    with torch.no_grad(), running(net, "float"):
        torch.testing.assert_close(net(x), network(x), rtol=1e-4, atol=1e-4)


def test_the_integer_exact_forward_equals_the_reference(pair: tuple[nn.Module, QuantNet], graph: IntegerGraph) -> None:
    net, integers = pair[1], clips(graph)
    real = net.reals("input", torch.from_numpy(integers).long())
    with torch.no_grad(), running(net, "exact"):
        found = net.integers(net.output, net(real)).numpy()
    np.testing.assert_array_equal(found, Reference(graph).run(integers)[graph.output])


def test_tflite_reference_kernels_and_tflm_equal_the_reference(graph: IntegerGraph) -> None:
    integers = clips(graph)
    ours, model = Reference(graph).run(integers)[graph.output], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, integers), ours)
    np.testing.assert_array_equal(tflm(model, integers), ours)


def test_the_onnx_file_gives_back_the_graph(graph: IntegerGraph) -> None:
    read, integers = read_onnx(onnx_bytes(graph)), clips(graph)
    assert [type(node) for node in read.nodes] == [type(node) for node in graph.nodes]
    np.testing.assert_array_equal(
        Reference(read).run(integers)[read.output], Reference(graph).run(integers)[graph.output]
    )


def test_onnx_and_tflite_count_alike(graph: IntegerGraph, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_bytes(graph))
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(graph))
    onnx, tflite = (edgeasc.audit(tmp_path / name, arena=False).models[0] for name in ("m.onnx", "m.tflite"))
    assert onnx.parameters == tflite.parameters
    assert onnx.macs == tflite.macs


def test_c_computes_the_integers_of_the_reference(graph: IntegerGraph, tmp_path: Path) -> None:
    integers = clips(graph, 2)
    program, _, sanitised = build_host(bundle(graph), tmp_path, sanitise=True)
    done = subprocess.run([program], input=integers.tobytes(), capture_output=True, check=True)
    assert sanitised
    found = np.frombuffer(done.stdout, np.int8).reshape(len(integers), -1)
    np.testing.assert_array_equal(found, Reference(graph).run(integers)[graph.output])


def test_a_norm_behind_an_average_pool_goes_into_the_convolution_before_it() -> None:
    steps = fold_network(lively("mobilenet-v1"), "int8")
    (stem,) = (step for step in steps if step.name == "body.stem.conv")
    assert isinstance(stem, ConvStep) and not stem.relu and stem.offset.abs().sum() > 0
    (pool,) = (step for step in steps if step.name == "body.stem.pool")
    assert isinstance(pool, AvgPoolStep) and pool.relu


def test_the_fake_quantised_network_pools_as_the_integers_do() -> None:
    net = QuantNet(lively("mobilenet-v1"), "int8", SHAPE).eval()
    net.observe([features(8, 1)])
    tensors, random = net.tensors(), np.random.default_rng(1)
    pools = [step for step in net.ordered() if isinstance(step, AvgPoolStep)]
    assert {step.relu for step in pools} == {True} and pools
    for step in pools:
        integers = torch.from_numpy(random.integers(-128, 128, (4, *net.shapes[step.inputs[0]][1:])))
        with torch.no_grad(), running(net, "fake"):
            fake = net._on_grid(step, [net.reals(step.inputs[0], integers)], tensors)
        exact = net.kernels.apply(step.node(tensors), tensors, [integers])
        np.testing.assert_array_equal(net.integers(step.name, fake).numpy(), exact.numpy())


def test_a_network_that_learnt_nothing_answers_alike_in_its_two_float_twins() -> None:
    """Average pooling leaves no halves to the last bit of a float: what is left are single steps of late layers."""
    net = QuantNet(lively("cnn10"), "int8", SHAPE).eval()
    net.observe([features(8, 1)])
    graph = net.freeze()
    integers = clips(graph, 12)
    real = net.reals("input", torch.from_numpy(integers).long())
    with torch.no_grad(), running(net, "fake"):
        fake = net(real).numpy()
    steps = np.abs(fake - simulate.logits(graph, integers)) / float(graph[graph.output].scale)
    assert steps.mean() < 0.1


def test_a_tensor_is_let_go_behind_its_last_reader(pair: tuple[nn.Module, QuantNet]) -> None:
    net = pair[1]
    order = {step.name: place for place, step in enumerate(net.ordered())}
    readers = {name: [s.name for s in net.ordered() if name in s.inputs] for name in net.index}
    for name, reading in readers.items():
        after = [step for step, done in net.done_after.items() if name in done]
        assert after == ([max(reading, key=order.__getitem__)] if reading else []), name


def test_the_norm_over_mels_is_one_tap_with_a_band_for_every_mel() -> None:
    net = QuantNet(lively("cnn6"), "int8", SHAPE).eval()
    first = net.freeze().nodes[0]
    assert isinstance(first, Conv) and first.bands == 64 and first.weight.shape == (1, 1, 1, 1)


def test_the_solver_knows_the_bytes_of_the_deployed_network(
    pair: tuple[nn.Module, QuantNet], graph: IntegerGraph
) -> None:
    """Nothing pruned: at least those that are not zero, at most those that are stored."""
    costs = costs_of(pair[0], "deployed", "int8")
    counts = count(graph)
    assert counts.nonzero_bytes <= costs.total(costs.weights, costs.offsets) <= counts.stored_bytes


def test_the_norm_over_mels_keeps_its_offsets_under_any_budget() -> None:
    net = QuantNet(lively("cnn6"), "int8", SHAPE).eval()
    first = next(step for step in net.ordered() if isinstance(step, ConvStep))
    cut_offsets(net, banded(net.ordered()), 0, [features(4, 1)])
    assert first.is_norm and bool(first.offset_mask.all())


def test_another_length_of_clip_keeps_weights_and_grids(pair: tuple[nn.Module, QuantNet]) -> None:
    longer = pair[1].resized(101).freeze()
    assert longer[longer.input].shape == (1, 1, 64, 101)
    assert longer[longer.output].scale == pair[1].freeze()[longer.output].scale
