"""Islands of transformers in the quantised ONNX file: written, read, computed by ONNX Runtime; others' spellings."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from one_op import graph_of, random_int8, tensor
from onnx import helper, numpy_helper
from transformer_toys import quantised_transformer, waves

from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.errors import BadInput
from edgeasc.graph import simulate
from edgeasc.graph.model import Attention, ChannelNorm, Gelu, IntegerGraph, Node, ZeroPad
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.graph.reference import Reference

C, T = 12, 7


@pytest.fixture(scope="module")
def net() -> QuantNet:
    return quantised_transformer()


def run(payload: bytes, inputs: dict[str, np.ndarray], optimised: bool = False) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    return np.asarray(onnxruntime.InferenceSession(payload, options, ["CPUExecutionProvider"]).run(None, inputs)[0])


def island(kind: type[Node]) -> IntegerGraph:
    """The graph of one island on `[1, 12, 1, 7]`; attention takes the input three times."""
    rng = np.random.default_rng(4)
    x, y = tensor("x", (1, C, 1, T), 0.03, -5), tensor("y", (1, C, 1, T), 0.025, 7)
    gain, offset = (rng.normal(1.0, 0.4, C).astype(np.float32) for _ in range(2))
    nodes: dict[type[Node], Node] = {
        Gelu: Gelu("op", ("x",), "y"),
        ChannelNorm: ChannelNorm("op", ("x",), "y", gain, offset, eps=float(np.float32(1e-5))),
        Attention: Attention("op", ("x", "x", "x"), "y", heads=3),
    }
    return graph_of(nodes[kind], x, y, form="island")


def same_fields(first: Node, second: Node) -> bool:
    return type(first) is type(second) and all(
        np.array_equal(getattr(first, field.name), getattr(second, field.name)) for field in dataclasses.fields(first)
    )


def test_reading_gives_back_what_was_written(net: QuantNet) -> None:
    graph = net.freeze({"edgeasc.labels": '["a", "b", "c", "d", "e"]'})
    read = read_onnx(onnx_bytes(graph))
    assert read.form == "island" and read.metadata == graph.metadata
    assert all(same_fields(a, b) for a, b in zip(graph.nodes, read.nodes, strict=True))
    assert set(read.tensors) == set(graph.tensors)
    for name, grid in graph.tensors.items():
        assert all(np.array_equal(getattr(grid, f.name), getattr(read[name], f.name)) for f in dataclasses.fields(grid))
    assert onnx_bytes(read) == onnx_bytes(graph)


def test_the_file_passes_the_full_onnx_checker(net: QuantNet) -> None:
    onnx.checker.check_model(onnx.load_from_string(onnx_bytes(net.freeze())), full_check=True)


@pytest.mark.parametrize("optimised", [False, True])
@pytest.mark.parametrize("kind", [Gelu, ChannelNorm, Attention])
def test_onnx_runtime_computes_each_island_within_a_tie(kind: type[Node], optimised: bool) -> None:
    graph = island(kind)
    values = random_int8(np.random.default_rng(1), 8, C, 1, T)
    found = run(onnx_bytes(graph), {"x": values}, optimised) / graph["y"].scale + graph["y"].zero_point
    expected = Reference(graph).run(values)["y"]
    assert len(np.unique(expected)) > 40
    assert np.abs(found - expected).max() < 1.01 and np.mean(np.abs(found - expected) > 0.5) < 5e-3


def test_onnx_runtime_takes_batches_and_agrees_with_the_fake_quantised_network(net: QuantNet) -> None:
    x = waves(64, 9)
    with torch.no_grad(), running(net, "fake"):
        expected = net(x).numpy()
        integers = net.integers("input", net.place("input", x)).numpy().astype(np.int8)
    found = run(onnx_bytes(net.freeze()), {"input": integers})
    assert np.abs(found - expected).mean() < 0.01
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.97


def qdq(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], opset: int = 18) -> bytes:
    """A file of one region from `real` to `result`, tensors `x` and `y` of island(); `nodes` in between."""
    grids = {"sx": np.float32(0.03), "zx": np.int8(-5), "sy": np.float32(0.025), "zy": np.int8(7)}
    ends = [
        helper.make_node("DequantizeLinear", ["x", "sx", "zx"], ["real"]),
        *nodes,
        helper.make_node("QuantizeLinear", ["result", "sy", "zy"], ["y"]),
        helper.make_node("DequantizeLinear", ["y", "sy", "zy"], ["out"]),
    ]
    body = helper.make_graph(
        ends, "foreign",
        [helper.make_tensor_value_info("x", onnx.TensorProto.INT8, ["batch", C, 1, T])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in {**grids, **constants}.items()],
    )  # fmt: skip
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=9).SerializeToString()


def make(op: str, inputs: str, output: str, **options: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], **options)


def test_gelu_of_opset_20_and_with_its_factors_turned_round_are_recognised() -> None:
    short = qdq([make("Gelu", "real", "result")], {}, opset=20)
    turned = qdq(
        [
            make("Mul", "real root", "scaled"),
            make("Erf", "scaled", "erf"),
            make("Add", "one erf", "raised"),
            make("Mul", "half raised", "part"),
            make("Mul", "real part", "result"),
        ],
        {"root": np.float32(0.5**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    )
    assert [type(read_onnx(payload).nodes[0]) for payload in (short, turned)] == [Gelu, Gelu]


def test_the_tanh_approximation_of_gelu_is_refused() -> None:
    with pytest.raises(BadInput, match="Gelu"):
        read_onnx(qdq([make("Gelu", "real", "result", approximate="tanh")], {}, opset=20))


def test_layer_normalization_between_transpositions_is_a_channel_norm() -> None:
    expected = island(ChannelNorm)
    node = expected.nodes[0]
    assert isinstance(node, ChannelNorm)
    payload = qdq(
        [
            make("Transpose", "real", "last", perm=[0, 2, 3, 1]),
            make("LayerNormalization", "last gain offset", "normal", axis=-1, epsilon=1e-5),
            make("Transpose", "normal", "result", perm=[0, 3, 1, 2]),
        ],
        {"gain": node.gain, "offset": node.offset},
    )
    read = read_onnx(payload).nodes[0]
    assert isinstance(read, ChannelNorm) and read.eps == pytest.approx(1e-5)
    np.testing.assert_array_equal(read.gain, node.gain)
    values = random_int8(np.random.default_rng(2), 4, C, 1, T)
    found, ours = run(payload, {"x": values}), simulate.logits(expected, values).reshape(4, C, 1, T)
    assert np.mean(np.abs(found - ours) > 1e-6) < 0.01


def attention_nodes(**changes: object) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """softmax(q k^T / 2) v in three heads of width four, as `torch.onnx` spells it; `changes` spoil it."""
    perm, axis = changes.get("perm", [0, 1, 3, 2]), changes.get("axis", -1)
    nodes = [
        *(make("Reshape", "real split", part) for part in "qkv"),
        *(make("Transpose", part, f"{part}t", perm=perm) for part in "qv"),
        make("MatMul", "qt k", "scores"),
        make("Div", "scores root", "scaled"),
        make("Softmax", "scaled", "shares", axis=axis),
        make("MatMul", "shares vt", "mixed"),
        make("Transpose", "mixed", "back", perm=[0, 1, 3, 2]),
        make("Reshape", "back whole", "result"),
    ]
    split, whole = np.array(changes.get("split", [0, 3, 4, T])), np.array(changes.get("whole", [0, C, 1, T]))
    return nodes, {"split": split, "whole": whole, "root": np.float32(changes.get("root", 2.0))}


def test_attention_that_divides_by_the_root_of_the_width_is_recognised() -> None:
    graph = read_onnx(qdq(*attention_nodes()))
    assert same_fields(dataclasses.replace(graph.nodes[0], name="op"), island(Attention).nodes[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"axis": 2},
        {"root": 3.0},
        {"split": [0, 4, 3, T]},
        {"split": [0, C, 1, T], "root": 2.0},
        {"perm": [0, 1, 2, 3]},
        {"whole": [0, T, 1, C]},
    ],
    ids=["softmax over queries", "another factor", "other heads", "heads as channels", "not turned", "joined wrongly"],
)
def test_what_only_looks_like_attention_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        read_onnx(qdq(*attention_nodes(**changes)))


def test_zeros_before_a_sequence_survive_and_other_constants_are_refused() -> None:
    nodes = [make("Pad", "real pads value", "result")]
    pads = np.array([0, 0, 0, 1, 0, 0, 0, 2])
    grids = {"sy": np.float32(0.03), "zy": np.int8(-5)}
    read = read_onnx(qdq(nodes, {"pads": pads, "value": np.float32(0), **grids})).nodes[0]
    assert isinstance(read, ZeroPad) and read.padding == (1, 2)
    with pytest.raises(BadInput, match="mode reflect"):
        read_onnx(qdq(nodes, {"pads": pads, "value": np.float32(1), **grids}))


def test_a_constant_that_differs_from_clip_to_clip_is_refused() -> None:
    nodes = [make("DequantizeLinear", "added sx zero", "more"), make("Add", "real more", "result")]
    constants = {"added": np.ones((2, C, 1, T), np.int8), "zero": np.int8(0)}
    with pytest.raises(BadInput, match="differs from clip to clip"):
        read_onnx(qdq(nodes, constants))
