"""Transformers in TensorFlow Lite: each island in the runtimes that have its operators, then a whole network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from judges import builtin_ref, litert, tflm
from one_op import graph_of, random_int8, random_scale, random_zero_point, tensor
from transformer_toys import quantised_transformer, waves

import edgeasc
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.count import count
from edgeasc.graph.model import Attention, ChannelNorm, Gelu, IntegerGraph, Node, ZeroPad
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.reference import Reference
from edgeasc.graph.tflite_read import read_tflite

C, T = 24, 9
Runtime = Callable[[bytes, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def net() -> QuantNet:
    return quantised_transformer()


def island(kind: type[Node], seed: int) -> IntegerGraph:
    rng = np.random.default_rng(seed)
    scales = {Gelu: random_scale(rng, 5e-3, 0.05), ChannelNorm: random_scale(rng), Attention: 0.03}
    x = tensor("x", (1, C, 1, T), scales[kind], random_zero_point(rng))  # type: ignore[index]
    spread = {Gelu: 100 * float(x.scale), ChannelNorm: 4.0, Attention: 80 * float(x.scale)}[kind]  # type: ignore[index]
    y = tensor("y", (1, C, 1, T), spread / 127, random_zero_point(rng))
    gain, offset = (rng.normal(at, 0.4, C).astype(np.float32) for at in (1.0, 0.0))
    nodes: dict[type[Node], Node] = {
        Gelu: Gelu("op", ("x",), "y"),
        ChannelNorm: ChannelNorm("op", ("x",), "y", gain, offset),
        Attention: Attention("op", ("x", "x", "x"), "y", heads=4),
    }
    return graph_of(nodes[kind], x, y, form="island")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("kind", "runtime"),
    [(kind, runtime) for kind in (Gelu, ChannelNorm, Attention) for runtime in (builtin_ref, litert)]
    + [(kind, tflm) for kind in (ChannelNorm, Attention)],
)
def test_runtimes_compute_each_island_within_a_tie(kind: type[Node], runtime: Runtime, seed: int) -> None:
    graph = island(kind, seed)
    values = random_int8(np.random.default_rng(seed + 50), 4, C, 1, T)
    ours, theirs = Reference(graph).run(values)["y"], runtime(tflite_bytes(graph), values)
    assert len(np.unique(ours)) > 20
    assert np.abs(theirs.astype(int) - ours).max() <= 1 and np.mean(theirs != ours) < 5e-3


@pytest.mark.parametrize("runtime", [builtin_ref, litert, tflm])
def test_zeros_before_a_sequence_are_zero_points_in_every_runtime(runtime: Runtime) -> None:
    x, y = tensor("x", (1, 3, 1, 5), 0.1, 11), tensor("y", (1, 3, 1, 8), 0.1, 11)
    graph, values = (
        graph_of(ZeroPad("pad", ("x",), "y", (1, 2)), x, y),
        random_int8(np.random.default_rng(0), 3, 3, 1, 5),
    )
    np.testing.assert_array_equal(runtime(tflite_bytes(graph), values), Reference(graph).run(values)["y"])


def test_padding_that_changes_the_scale_is_refused_by_name() -> None:
    x, y = tensor("x", (1, 3, 1, 5), 0.1), tensor("y", (1, 3, 1, 6), 0.2)
    with pytest.raises(BadInput, match="pad: padding cannot change the scale"):
        tflite_bytes(graph_of(ZeroPad("pad", ("x",), "y", (1, 0)), x, y))


def test_litert_agrees_with_the_fake_quantised_network(net: QuantNet) -> None:
    x, graph = waves(64, 9), net.freeze()
    with torch.no_grad(), running(net, "fake"):
        expected = net(x).numpy()
        integers = net.integers("input", net.place("input", x)).numpy().astype(np.int8)
    output = graph[graph.output]
    found = (litert(tflite_bytes(graph), integers).astype(np.float32) - output.zero_point) * output.scale
    assert np.abs(found - expected).mean() < 0.01
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.97


def test_the_file_says_which_release_knows_its_operators(net: QuantNet) -> None:
    model = read_tflite(tflite_bytes(net.freeze()))
    assert model.metadata["min_runtime_version"].rstrip("\0") == "2.9.0"


def test_onnx_and_tflite_count_parameters_and_attentions_products_alike(net: QuantNet, tmp_path: Path) -> None:
    graph = net.freeze()
    (tmp_path / "m.onnx").write_bytes(onnx_bytes(graph))
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(graph))
    onnx, tflite = (edgeasc.audit(tmp_path / name, arena=False).models[0] for name in ("m.onnx", "m.tflite"))
    assert onnx.parameters == tflite.parameters and onnx.parameters.total == count(graph).parameters
    assert onnx.macs == tflite.macs == count(graph).macs
