"""Networks on waveforms, and GMME pools of images, through folding, the grid and the integer graph to every runtime."""

from __future__ import annotations

import subprocess
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from judges import builtin_ref, tflm
from one_op import tensor
from sequence_toys import MAKERS, clips, inputs, lively
from torch import Tensor, nn

import edgeasc
from edgeasc.compress.fold import fold_network
from edgeasc.compress.inventory import costs_of, inventory
from edgeasc.compress.prune import prunable
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.sequence_steps import PReluStep
from edgeasc.compress.steps import ConvStep
from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.count import count
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.reference import Reference
from edgeasc.nn.sequence import Multiply, Regroup
from edgeasc.runtime.native_c import build_host


@pytest.fixture(scope="module", params=[(name, form) for name in MAKERS for form in ("int8", "island")], ids=str)
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, QuantNet]:
    name, form = request.param
    network, shape = lively(name)
    net = QuantNet(network, form, shape).eval()
    net.observe([inputs(shape, 16, 100)])
    return network, net


@pytest.fixture(scope="module")
def graph(pair: tuple[nn.Module, QuantNet]) -> IntegerGraph:
    return pair[1].freeze({"edgeasc.form": pair[1].form})


def test_the_folded_network_computes_what_the_trained_one_does(pair: tuple[nn.Module, QuantNet]) -> None:
    network, net = pair
    x = inputs(net.input_shape, 4, 9)
    with torch.no_grad(), running(net, "float"):
        torch.testing.assert_close(net(x), network(x), rtol=1e-4, atol=1e-4)


def test_the_fake_quantised_network_is_near_the_float_one(pair: tuple[nn.Module, QuantNet]) -> None:
    network, net = pair
    x = inputs(net.input_shape, 32, 9)
    with torch.no_grad(), running(net, "fake"):
        off, spread = (net(x) - network(x)).abs().mean(), network(x).std()
    assert off < 0.15 * spread


def test_the_integer_exact_forward_equals_the_reference(pair: tuple[nn.Module, QuantNet], graph: IntegerGraph) -> None:
    net, integers = pair[1], clips(graph)
    real = net.reals("input", torch.from_numpy(integers).long())
    with torch.no_grad(), running(net, "exact"):
        found = net.integers(net.output, net(real)).numpy()
    ours = Reference(graph).run(integers)[graph.output]
    assert len(np.unique(ours)) > 10
    np.testing.assert_array_equal(found, ours)


def test_tflite_reference_kernels_and_tflm_equal_the_reference(graph: IntegerGraph) -> None:
    if graph.form == "island":  # which rounds once: only C computes its integers
        graph = IntegerGraph("int8", graph.input, graph.output, graph.tensors, graph.nodes)
    integers = clips(graph)
    ours, model = Reference(graph).run(integers)[graph.output], tflite_bytes(graph)
    np.testing.assert_array_equal(builtin_ref(model, integers), ours)
    np.testing.assert_array_equal(tflm(model, integers), ours)


def test_the_onnx_file_gives_back_the_graph(graph: IntegerGraph) -> None:
    payload = onnx_bytes(graph)
    read, integers = read_onnx(payload), clips(graph)
    assert onnx_bytes(read) == payload
    np.testing.assert_array_equal(
        Reference(read).run(integers)[read.output], Reference(graph).run(integers)[graph.output]
    )


def test_onnx_runtime_is_near_the_fake_quantised_network(pair: tuple[nn.Module, QuantNet], graph: IntegerGraph) -> None:
    net, integers = pair[1], clips(graph, 50)
    session = onnxruntime.InferenceSession(onnx_bytes(graph), providers=["CPUExecutionProvider"])
    with torch.no_grad(), running(net, "fake"):
        expected = net(net.reals("input", torch.from_numpy(integers).long())).numpy()
    found = session.run(None, {"input": integers})[0]
    assert np.abs(found - expected).mean() < 0.01


@pytest.mark.needs("gcc")
def test_c_computes_the_integers_of_the_reference(graph: IntegerGraph, tmp_path: Path) -> None:
    integers = clips(graph, 2)
    program, _, sanitised = build_host(bundle(graph), tmp_path, sanitise=True)
    done = subprocess.run([program], input=integers.tobytes(), capture_output=True, check=True)
    assert sanitised
    found = np.frombuffer(done.stdout, np.int8).reshape(len(integers), -1)
    np.testing.assert_array_equal(found, Reference(graph).run(integers)[graph.output])


def test_every_runtime_s_files_count_alike(graph: IntegerGraph, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_bytes(graph))
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(graph))
    write_bundle(bundle(graph), tmp_path / "c")
    found = [edgeasc.audit(tmp_path / name, arena=False).models[0] for name in ("m.onnx", "m.tflite", "c")]
    assert len({(model.parameters.total, model.parameters.nonzero, model.macs) for model in found}) == 1


def test_the_solver_knows_the_bytes_of_the_deployed_network(
    pair: tuple[nn.Module, QuantNet], graph: IntegerGraph
) -> None:
    costs, counts = costs_of(pair[0], "deployed", graph.form), count(graph)
    assert counts.nonzero_bytes <= costs.total(costs.weights, costs.offsets) <= counts.stored_bytes


def test_fixed_filters_are_neither_pruned_nor_trained_and_are_deployed() -> None:
    network, shape = lively("waveform")
    assert not any("blur" in name for name in prunable(network))
    net = QuantNet(network, "int8", shape)
    net.observe([inputs(shape, 8, 1)])
    (blur,) = (step for step in net.ordered() if step.name == "down.blur")
    assert isinstance(blur, ConvStep) and blur.is_fixed
    assert not blur.weight.requires_grad and not blur.offset.requires_grad
    (node,) = (node for node in net.freeze().convs() if node.name == "down.blur")
    np.testing.assert_array_equal(node.weight[0, 0, 0], np.rint(127 / 5 * np.array([1, 2, 3, 4, 5, 4, 3, 2, 1])))


def test_slopes_learn_through_the_grid() -> None:
    network, shape = lively("waveform")
    net = QuantNet(network, "int8", shape).eval()
    net.observe([inputs(shape, 8, 1)])
    steps = [step for step in net.ordered() if isinstance(step, PReluStep)]
    with running(net, "exact"):
        net(inputs(shape, 4, 2)).square().sum().backward()
    assert len(steps) == 4 and all(step.slope.grad is not None and step.slope.grad.abs().sum() > 0 for step in steps)


def test_slopes_that_are_all_zero_stay_zero() -> None:
    step = PReluStep("act", ("x",), torch.zeros(3))
    node = step.node({name: tensor(name, (1, 3, 1, 4), 0.1) for name in ("x", "act")})
    assert not node.slope.any() and node.slope_scale > 0


def test_zeros_that_only_convolutions_read_become_their_padding() -> None:
    network, shape = lively("odd sizes")
    net = QuantNet(network, "int8", shape)
    net.observe([inputs(shape, 8, 1)])
    padding = {node.name: node.padding for node in net.freeze().convs()}
    # 9 rows and a zero one; a patch of 7 by 4 with stride 2 wants 5 and 2 more, the odd one behind
    assert padding["pool.frequency.1"] == (2, 1, 3 + 1, 1)
    assert padding["pool.time.1"] == (1, 2, 1 + 1, 3)
    assert padding["pool.whole.0"] == (1, 1, 1 + 1, 1)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Sequential(nn.ZeroPad2d((1, 1, 0, 0)), nn.LeakyReLU()), r"layer '1' \(LeakyReLU\) reads zeros"),
        (nn.ReflectionPad2d((0, 0, 1, 1)), "layer '': reflection along frequency"),
        (nn.LeakyReLU(-0.1), "layer '': a negative slope of -0.1"),
    ],
)
def test_layers_without_a_quantised_form_are_named(layer: nn.Module, said: str) -> None:
    network = layer if isinstance(layer, nn.Sequential) else nn.Sequential(OrderedDict({"layer": layer}))
    with pytest.raises(BadInput, match=said.replace("''", "'layer'")):
        fold_network(network, "int8")


def test_of_two_regroupings_in_a_row_the_last_is_left() -> None:
    steps = fold_network(nn.Sequential(Regroup(0), Regroup(1), Regroup(6), nn.LeakyReLU(0.1)), "int8")
    assert [(step.name, step.inputs) for step in steps] == [("2", ("input",)), ("3", ("2",))]
    assert steps[0](torch.zeros(1, 2, 9, 5)).shape == (1, 6, 3, 5)


def test_a_tensor_times_itself_has_both_operands() -> None:
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.product = Multiply()

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.product(x, x)
            return result

    (step,) = fold_network(Square(), "int8")
    assert step.inputs == ("input", "input")


def test_the_inventory_lists_slopes_and_no_fixed_filter() -> None:
    network, shape = lively("waveform")
    net = QuantNet(network, "int8", shape)
    net.observe([inputs(shape, 8, 1)])
    names = {row["name"]: row for row in inventory(network, net.freeze())["tensors"]}
    assert names["pool.feature_act.weight"]["total"] == 2 and "down.blur.weight" not in names
