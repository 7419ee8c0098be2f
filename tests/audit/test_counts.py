"""The same network counts the same, whichever file it comes from; a foreign file counts as stored."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from transformer_toys import METADATA, quantised_transformer

import edgeasc
from edgeasc.audit.document import ModelAudit
from edgeasc.audit.memory import Step, live_bytes
from edgeasc.audit.sharing import share_bands
from edgeasc.audit.stored_count import count_stored
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor
from edgeasc.graph.model import Conv
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor

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


@pytest.mark.parametrize(
    ("second", "total"),
    [
        ([1, -2, 3, -4], 4),
        ([-1, 2, 3, -4], 4),  # the gain of the first channel is negative
        ([0, 0, -3, 4], 4),  # and here it is too small for any product to matter
        ([1, 2, 3, -4], 8),  # signs within a channel are another pattern
        ([1, 2, 3, 4], 8),
    ],
)
def test_bands_share_their_weights_but_for_a_sign_per_channel(second: list[int], total: int) -> None:
    """The file's own word that edgeasc wrote it is not believed beyond that."""
    rows = [("w0", [1, -2, 3, -4]), ("w1", second)]
    weights = [StoredTensor(n, (2, 1, 1, 2), "int8", 8, np.array(v, np.int8), n, storage=n) for n, v in rows]
    ends = [StoredTensor(name, (1, 1, 1, 2), "int8", 8) for name in ("x", "y0", "y1")]
    convs = [StoredOperator(f"layer/b{n}", "CONV_2D", (2, n), (3 + n,)) for n in (0, 1)]
    model = StoredModel("tflite", (*weights, *ends), tuple(convs), (2,), (3, 4), {})
    assert count_stored(share_bands(model)).parameters.total == total


def with_function() -> onnx.ModelProto:
    """A function of the file's own that holds its weights itself."""
    weights = numpy_helper.from_array(np.ones((4, 4), np.float32))
    nodes = [helper.make_node("Constant", [], ["w"], value=weights), helper.make_node("MatMul", ["a", "w"], ["b"])]
    function = helper.make_function("own", "F", ["a"], ["b"], nodes, [helper.make_opsetid("", 17)])
    return _model([helper.make_node("F", ["x"], ["y"], domain="own")], [function])


def with_attribute() -> onnx.ModelProto:
    """A custom operator that has its weights in attributes."""
    weights = numpy_helper.from_array(np.ones((4, 4), np.float32))
    return _model([helper.make_node("G", ["x"], ["y"], domain="own", blob=b"0" * 1000, floats=[1.0, 2.0], w=weights)])


def _model(nodes: list[onnx.NodeProto], functions: list[onnx.FunctionProto] | None = None) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, functions=functions or [], opset_imports=opsets)


@pytest.mark.parametrize(("model", "hidden"), [(with_function(), 16), (with_attribute(), 16 + 2 + 1000)])
def test_a_limit_on_weights_fails_where_some_are_out_of_sight(
    tmp_path: Path, model: onnx.ModelProto, hidden: int
) -> None:
    onnx.save(model, tmp_path / "model.onnx")
    limits = {"parameters": 10**6, "macs": 10**6, "file": 10**6}
    found = edgeasc.audit(tmp_path / "model.onnx", "1MiB", ["deployed"], limits=limits, arena=False).models[0]
    assert found.hidden == hidden
    verdicts = {limit.name: limit.passed for limit in found.limits}
    assert verdicts == {"deployed bytes": False, "parameters": False, "macs": False, "file": True}
    (tmp_path / "edgeasc.toml").write_text(
        '[[models]]\npath = "model.onnx"\n[models.limits]\nnonzero_bytes = "1MB"\nrules = { deployed = "1MB" }'
    )
    (judged,) = edgeasc.check(tmp_path / "edgeasc.toml").models
    assert {check.name: check.status for check in judged.checks} == {
        "nonzero_bytes": "unknown",
        "deployed bytes": "unknown",
    }


def test_a_limit_on_operations_fails_where_a_side_is_open(tmp_path: Path) -> None:
    """An exported model whose number of frames is free: one frame would pass any limit."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "frames", 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [numpy_helper.from_array(np.eye(4, dtype="f4"), "w")])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    found = edgeasc.audit(tmp_path / "model.onnx", limits={"macs": 10**6, "ram": 10**6}, arena=False).models[0]
    assert not any(limit.passed for limit in found.limits)
    (tmp_path / "edgeasc.toml").write_text('[[models]]\npath = "model.onnx"\n[models.limits]\nmacs = "1M"\nram = "1MB"')
    (judged,) = edgeasc.check(tmp_path / "edgeasc.toml").models
    assert {check.status for check in judged.checks} == {"unknown"}


def test_weights_packed_as_whole_numbers_and_sparse_constants_count(tmp_path: Path) -> None:
    values = helper.make_tensor("v", TensorProto.FLOAT, [2], [1.0, 2.0])
    sparse = helper.make_sparse_tensor(values, helper.make_tensor("i", TensorProto.INT64, [2], [0, 5]), [4, 4])
    nodes = [
        helper.make_node("Constant", [], ["s"], sparse_value=sparse),
        helper.make_node("MatMul", ["x", "s"], ["m"]),
        helper.make_node("Cast", ["q"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "scale"], ["w"]),
        helper.make_node("MatMul", ["m", "w"], ["y"]),
    ]
    model = _model(nodes)
    scale, whole = np.array(0.1, np.float32), np.arange(16, dtype=np.int32).reshape(4, 4)
    model.graph.initializer.extend([numpy_helper.from_array(whole, "q"), numpy_helper.from_array(scale, "scale")])
    onnx.save(model, tmp_path / "model.onnx")
    found = audited(tmp_path / "model.onnx").parameters
    assert (found.total, found.nonzero, found.nonzero_bytes) == (16 + 16, 2 + 15, 4 * (2 + 15))


def test_islands_are_listed_by_operator(tmp_path: Path) -> None:
    graph = quantised_transformer().freeze(METADATA)
    (tmp_path / "t.onnx").write_bytes(onnx_bytes(graph))
    (tmp_path / "t.tflite").write_bytes(tflite_bytes(graph))
    audits = [edgeasc.audit(tmp_path / name, arena=False).models[0] for name in ("t.onnx", "t.tflite")]
    assert any("2 attention, 4 channel_norm, 2 gelu" in note for note in audits[0].notes)
    (found,) = (item for item in audits[1].findings if item.code == "W105")
    assert all(name in str(found) for name in ("BATCH_MATMUL", "SOFTMAX", "GELU"))
