"""The same network counts the same, whichever file it comes from; a foreign file counts as stored."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeasc
from edgeasc.audit.document import ModelAudit
from edgeasc.audit.memory import Step, live_bytes
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor
from edgeasc.graph.model import Conv

INT8, INT32 = np.dtype(np.int8), np.dtype(np.int32)


def audited(path: Path) -> ModelAudit:
    return edgeasc.audit(path, arena=False).models[0]


@pytest.mark.parametrize("form", ["int8", "island"])
def test_onnx_and_tflite_of_one_network_count_the_same(artefacts: Path, form: str) -> None:
    first, second = audited(artefacts / f"{form}.onnx"), audited(artefacts / f"{form}.tflite")
    assert first.parameters == second.parameters
    assert first.macs == second.macs
    rows = [{row.name: (row.parameters, row.nonzero, row.bytes, row.macs) for row in m.layers} for m in (first, second)]
    assert rows[0] == rows[1]


def test_counts_are_those_of_the_integer_graph(artefacts: Path) -> None:
    convs = list(dummy_graph().convs())
    weights = sum(int(np.count_nonzero(conv.weight)) for conv in convs)
    biases = sum(int(np.count_nonzero(conv.bias)) for conv in convs)
    found = audited(artefacts / "int8.tflite").parameters
    assert (found.nonzero, found.nonzero_bytes) == (weights + biases, weights + 4 * biases)
    assert found.total == sum(conv.weight.size + conv.bias.size for conv in convs)


def test_equal_biases_of_two_layers_of_ours_count_twice(tmp_path: Path) -> None:
    graph = dummy_graph()
    nodes = tuple(
        dataclasses.replace(node, bias=np.zeros_like(node.bias)) if isinstance(node, Conv) else node
        for node in graph.nodes
    )
    path = tmp_path / "zeros.tflite"
    path.write_bytes(tflite_bytes(dataclasses.replace(graph, nodes=nodes)))
    assert audited(path).parameters.total == sum(conv.weight.size + conv.bias.size for conv in graph.convs())


def test_the_file_itself_stores_shared_weights_once_per_pattern_of_signs(artefacts: Path) -> None:
    model = audited(artefacts / "int8.tflite")
    banded = next(conv for conv in dummy_graph().convs() if conv.bands == 4)
    assert isinstance(banded, Conv)
    patterns = len(np.unique(banded.sign, axis=0))
    assert patterns > 1
    assert model.stored.total == model.parameters.total + (patterns - 1) * banded.weight.size


def test_the_sizes_of_the_file_are_its_own(artefacts: Path) -> None:
    path = artefacts / "int8.tflite"
    model = audited(path)
    assert model.file_bytes == path.stat().st_size
    assert 0 < model.gzip_bytes < model.file_bytes


def foreign_tflite(folder: Path, copies: int) -> Path:
    """Dense layers 4 -> 4 in a row that all store the same weights, with zero point 5."""
    model, weight = Model(), np.full((4, 4), 5, np.int8)
    weight[0, :3] = 1
    last = model.add_tensor(Tensor("in", (1, 4), INT8, np.float32(1)))
    model.inputs = [last]
    for number in range(copies):
        w = model.add_tensor(Tensor(f"w{number}", (4, 4), INT8, np.float32(1), 5, 0, weight))
        b = model.add_tensor(Tensor(f"b{number}", (4,), INT32, np.float32(1), 0, 0, np.array([1, 0, 2, 0], np.int32)))
        out = model.add_tensor(Tensor(f"out{number}", (1, 4), INT8, np.float32(1)))
        model.operators.append(Operator("FULLY_CONNECTED", 4, (last, w, b), (out,), "FullyConnectedOptions", {}))
        last = out
    model.outputs = [last]
    path = folder / "foreign.tflite"
    path.write_bytes(model.to_bytes())
    return path


def test_quantised_zeros_are_those_at_the_zero_point(tmp_path: Path) -> None:
    found = audited(foreign_tflite(tmp_path, 1)).parameters
    assert (found.total, found.nonzero, found.nonzero_bytes, found.bytes) == (20, 5, 3 + 2 * 4, 16 + 4 * 4)


def test_equal_buffers_count_once(tmp_path: Path) -> None:
    model = audited(foreign_tflite(tmp_path, 3))
    assert model.parameters.total == 20
    assert model.macs == 3 * 16


def foreign_onnx(folder: Path) -> Path:
    """A float network: 3 x 3 convolution, batch norm, Reshape, Gemm, with an open batch."""
    rng = np.random.default_rng(0)

    def constant(name: str, *shape: int, dtype: type = np.float32) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.normal(size=shape).astype(dtype), name)

    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "g", "o", "m", "v"], ["n"], "norm"),
        helper.make_node("GlobalAveragePool", ["n"], ["p"], "pool"),
        helper.make_node("Reshape", ["p", "shape"], ["r"], "reshape"),
        helper.make_node("Gemm", ["r", "k", "l"], ["y"], "head", transB=1),
    ]
    constants = [constant("w", 6, 1, 3, 3), constant("b", 6), constant("g", 6), constant("o", 6)]
    constants += [constant("m", 6), constant("v", 6), constant("k", 4, 6), constant("l", 4)]
    constants.append(numpy_helper.from_array(np.array([-1, 6], np.int64), "shape"))
    graph = helper.make_graph(
        nodes,
        "float",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 8, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        constants,
    )
    path = folder / "foreign.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    return path


def test_a_foreign_float_onnx_counts_as_stored(tmp_path: Path) -> None:
    model = audited(foreign_onnx(tmp_path))
    assert model.counted_by == "stored"
    assert model.parameters.total == 54 + 6 + 12 + 24 + 4
    assert model.parameters.nonzero_bytes == 4 * model.parameters.nonzero
    assert {item.what: item.elements for item in model.uncounted} == {
        "running statistics": 12,
        "shapes, indices and tables": 2,
    }


def test_a_foreign_onnx_has_macs_and_live_bytes(tmp_path: Path) -> None:
    model = audited(foreign_onnx(tmp_path))
    assert model.macs == 8 * 5 * 6 * 9 + 4 * 6
    assert model.peak_activation_bytes == 4 * 2 * 8 * 5 * 6
    assert model.peak_layer == "norm"


def test_a_tensor_lives_until_it_was_last_read() -> None:
    steps = [Step("a", (0,), (1,)), Step("b", (1,), (2,)), Step("c", (2, 0), (3,))]
    assert live_bytes(steps, {0: 10, 1: 20, 2: 5, 3: 1}, inputs=[0], outputs=[3]) == [30, 35, 16]


def test_constants_take_no_ram() -> None:
    assert live_bytes([Step("a", (0, 9), (1,))], {0: 3, 1: 4}, [0], [1]) == [7]
