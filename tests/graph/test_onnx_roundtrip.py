"""The quantised ONNX file carries the whole graph, and ONNX Runtime computes it."""

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from seeded import features, quantised

from edgeasc.compress.quantnet import running
from edgeasc.errors import BadInput
from edgeasc.graph.model import Form, IntegerGraph, Pad, QTensor
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes


@pytest.fixture(params=["int8", "island"])
def form(request: pytest.FixtureRequest) -> Form:
    return request.param  # type: ignore[no-any-return]


def assert_same_graph(first: IntegerGraph, second: IntegerGraph) -> None:
    assert (first.form, first.input, first.output) == (second.form, second.input, second.output)
    assert first.metadata == second.metadata
    assert len(first.nodes) == len(second.nodes)
    for a, b in zip((*first.nodes, *first.tensors.values()), (*second.nodes, *second.tensors.values()), strict=True):
        assert type(a) is type(b)
        for field in dataclasses.fields(a):
            left, right = getattr(a, field.name), getattr(b, field.name)
            assert np.array_equal(left, right), f"{a.name}.{field.name}"


def test_reading_gives_back_what_was_written(form: Form) -> None:
    graph = quantised(form).freeze({"edgeasc.labels": '["a", "b", "c", "d", "e"]'})
    read = read_onnx(onnx_bytes(graph))
    order = sorted(graph.tensors)
    same_order = [dataclasses.replace(g, tensors={name: g.tensors[name] for name in order}) for g in (graph, read)]
    assert_same_graph(*same_order)


def test_writing_is_deterministic(form: Form) -> None:
    graph = quantised(form).freeze()
    assert onnx_bytes(graph) == onnx_bytes(read_onnx(onnx_bytes(graph)))


def test_the_file_passes_the_full_onnx_checker(form: Form) -> None:
    model = onnx.load_from_string(onnx_bytes(quantised(form).freeze()))
    onnx.checker.check_model(model, full_check=True)


def test_the_file_has_no_transpose_or_reshape(form: Form) -> None:
    model = onnx.load_from_string(onnx_bytes(quantised(form).freeze()))
    assert not {"Transpose", "Reshape"} & {node.op_type for node in model.graph.node}


def test_onnx_runtime_without_optimisation_equals_the_fake_quantised_network(form: Form) -> None:
    net = quantised(form)
    x = features(40, 9)
    with torch.no_grad(), running(net, "fake"):
        expected = net(x).numpy()
        integers = net.integers("input", net.place("input", x)).numpy().astype(np.int8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(onnx_bytes(net.freeze()), options, ["CPUExecutionProvider"])
    actual = session.run(None, {"input": integers})[0]
    # Both round once, from float sums that may differ in the last bit: a few values at ties move by one step.
    assert np.abs(actual - expected).mean() < 0.01
    assert (actual.argmax(1) == expected.argmax(1)).mean() >= 0.97


def test_two_layers_of_one_name_are_not_written_with_shared_constants() -> None:
    tensors = {name: QTensor(name, (1, 2, 1, n), np.float32(0.1), 0) for name, n in (("x", 5), ("a", 7), ("y", 8))}
    nodes = Pad("pad", ("x",), "a", before=1, after=1), Pad("pad", ("a",), "y", before=0, after=1)
    with pytest.raises(BadInput, match=r"both make 'pad\.pads'"):
        onnx_bytes(IntegerGraph("int8", "x", "y", tensors, nodes))
