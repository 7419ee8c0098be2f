"""The TFLite writer: what stands in the file, read back with the `tflite` package, independently of our reader."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tflite
from graph_builder import bcresnet
from one_op import graph_of, random_conv, tensor

from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.model import Add, Form, IntegerGraph, Logistic, Mul, Node, Rsqrt, Sub

CODES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
FORMS: list[Form] = ["int8", "island"]


class File:
    """A `.tflite` file taken apart."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.model = tflite.Model.GetRootAsModel(payload, 0)
        assert self.model.SubgraphsLength() == 1
        self.graph = self.model.Subgraphs(0)
        self.tensors = [self.graph.Tensors(i) for i in range(self.graph.TensorsLength())]
        self.operators = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]
        self.buffers = [self.model.Buffers(i) for i in range(self.model.BuffersLength())]

    def tensor(self, name: str) -> Any:
        (found,) = (t for t in self.tensors if t.Name().decode() == name)
        return found

    def code(self, operator: Any) -> tuple[str, int]:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        assert code.BuiltinCode() == code.DeprecatedBuiltinCode()
        return CODES[code.BuiltinCode()], code.Version()

    def writes(self, name: str) -> tuple[str, int]:
        (found,) = (op for op in self.operators if self.tensors[op.Outputs(0)].Name().decode() == name)
        return self.code(found)

    def metadata(self) -> dict[str, bytes]:
        entries = [self.model.Metadata(i) for i in range(self.model.MetadataLength())]
        return {e.Name().decode(): self.buffers[e.Buffer()].DataAsNumpy().tobytes() for e in entries}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_graph_gives_the_same_bytes(form: Form) -> None:
    assert tflite_bytes(bcresnet(form, seed=0)) == tflite_bytes(bcresnet(form, seed=0))


@pytest.mark.parametrize("form", FORMS)
def test_there_is_no_transpose_and_no_reshape(form: Form) -> None:
    file = File(tflite_bytes(bcresnet(form)))
    assert not {"TRANSPOSE", "RESHAPE", "CUSTOM"} & {file.code(op)[0] for op in file.operators}


@pytest.mark.parametrize("form", FORMS)
def test_scales_and_zero_points_are_the_graphs_own(form: Form) -> None:
    graph = bcresnet(form)
    file = File(tflite_bytes(graph))
    for node in graph.nodes:
        q = file.tensor(node.name).Quantization()
        assert q.ScaleAsNumpy().tolist() == [float(graph[node.output].scale)]
        assert q.ZeroPointAsNumpy().tolist() == [graph[node.output].zero_point]


def test_layer_names_are_tensor_names_and_bands_are_parts_of_them() -> None:
    graph = bcresnet("int8")
    file = File(tflite_bytes(graph))
    names = {t.Name().decode() for t in file.tensors}
    assert {node.name for node in graph.nodes} <= names
    for part in ("pad", "b0", "b3", "b0/slice", "b0/weight", "b3/bias"):
        assert f"stage1.0.dw_f/{part}" in names
    assert {op.Outputs(0) for op in file.operators}.isdisjoint(i for i, t in enumerate(file.tensors) if t.Buffer())


def test_sub_bands_are_sliced_depthwise_convolutions() -> None:
    file = File(tflite_bytes(bcresnet("int8")))
    assert file.writes("stage1.0.dw_f/pad") == ("PAD", 2)
    assert file.writes("stage1.0.dw_f/b2/slice") == ("SLICE", 2)
    assert file.writes("stage1.0.dw_f/b2") == ("DEPTHWISE_CONV_2D", 3)
    assert file.writes("stage1.0.dw_f") == ("CONCATENATION", 2)


def test_band_weights_carry_the_sign_and_vanish_where_it_is_zero() -> None:
    graph = bcresnet("int8")
    node = next(conv for conv in graph.convs() if conv.bands > 1)
    file = File(tflite_bytes(graph))
    assert {-1, 0, 1} == set(node.sign.ravel().tolist())
    for band in range(node.bands):
        stored = file.tensor(f"{node.name}/b{band}/weight")
        values = file.buffers[stored.Buffer()].DataAsNumpy().view(np.int8).reshape(3, -1)
        np.testing.assert_array_equal(values, (node.weight * node.sign[band][:, None, None, None]).reshape(-1, 3).T)
        np.testing.assert_array_equal(stored.Quantization().ScaleAsNumpy(), node.scale[band])


def test_weights_that_bands_share_are_stored_once() -> None:
    rng = np.random.default_rng(0)
    graph = random_conv(rng, (8, 16, 5), 8, (3, 1), padding=(1, 0, 1, 0), depthwise=True, bands=4)
    file = File(tflite_bytes(graph))
    assert len({file.tensor(f"conv/b{band}/weight").Buffer() for band in range(4)}) == 1


def test_equal_buffers_are_stored_once() -> None:
    file = File(tflite_bytes(bcresnet("island")))
    contents = [b.DataAsNumpy().tobytes() for b in file.buffers if b.DataLength()]
    assert len(contents) == len(set(contents)) > 10
    assert file.buffers[0].DataLength() == 0


@pytest.mark.parametrize("form", FORMS)
def test_constants_lie_on_sixteen_byte_boundaries(form: Form) -> None:
    payload = tflite_bytes(bcresnet(form))
    file = File(payload)
    starts = [b._tab.Vector(b._tab.Offset(4)) for b in file.buffers if b.DataLength()]
    assert starts and all(start % 16 == 0 for start in starts)
    assert payload[4:8] == b"TFL3"


def test_metadata_is_embedded() -> None:
    graph = bcresnet("int8")
    graph = replace(graph, metadata={**graph.metadata, "edgeasc.features": json.dumps({"n_mels": 32, "name": "é"})})
    entries = File(tflite_bytes(graph)).metadata()
    runtime = entries.pop("min_runtime_version")
    assert {key: value.decode() for key, value in entries.items()} == graph.metadata
    assert len(runtime) == 16 and runtime.rstrip(b"\0") == b"2.5.0"


def test_runtime_version_is_the_oldest_that_knows_every_operator() -> None:
    assert File(tflite_bytes(bcresnet("island"))).metadata()["min_runtime_version"].rstrip(b"\0") == b"1.14.0"


def test_a_product_that_grows_needs_version_three() -> None:
    def version(scale: float) -> tuple[str, int]:
        ends = tensor("a", (1, 1, 4, 4), 2.0), tensor("c", (1, 1, 4, 4), scale)
        return File(tflite_bytes(graph_of(Mul("op", ("a", "a"), "c"), *ends))).writes("op")

    assert [version(4.1), version(4.0)] == [("MUL", 2), ("MUL", 3)]


def test_islands_are_float_between_dequantize_and_quantize() -> None:
    file = File(tflite_bytes(bcresnet("island")))
    codes = [file.code(op) for op in file.operators]
    start = codes.index(("DEQUANTIZE", 2))
    assert [code for code, _ in codes[start : start + 11]] == [
        *("DEQUANTIZE", "MEAN", "SUB", "MUL", "MEAN", "ADD", "RSQRT", "MUL", "MUL", "ADD", "QUANTIZE")
    ]
    float_names = {t.Name().decode() for t in file.tensors if t.Type() == 0 and not t.Buffer()}
    assert all(name.startswith(("norm0/", "stage")) for name in float_names)


def test_operators_come_in_order_of_use() -> None:
    file = File(tflite_bytes(bcresnet("int8")))
    known = {file.graph.Inputs(0)} | {i for i, t in enumerate(file.tensors) if t.Buffer()}
    for operator in file.operators:
        assert set(operator.InputsAsNumpy().tolist()) <= known
        known.add(operator.Outputs(0))
    assert file.graph.Outputs(0) in known


def test_same_padding_is_written_where_it_pads_alike() -> None:
    rng = np.random.default_rng(0)

    def codes(shape: tuple[int, int, int], kernel: tuple[int, int], **options: Any) -> list[str]:
        file = File(tflite_bytes(random_conv(rng, shape, 3, kernel, **options)))
        return [file.code(op)[0] for op in file.operators]

    assert codes((2, 8, 8), (3, 3), padding=(1, 1, 1, 1)) == ["CONV_2D"]
    assert codes((2, 9, 9), (3, 3), padding=(1, 1, 1, 1), stride=(2, 2)) == ["CONV_2D"]
    assert codes((2, 8, 8), (3, 3), padding=(1, 1, 1, 1), stride=(2, 2)) == ["PAD", "CONV_2D"]
    assert codes((2, 8, 8), (3, 3), padding=(0, 0, 1, 1), stride=(2, 2)) == ["CONV_2D"]


def test_padding_that_no_output_sees_is_left_out() -> None:
    rng = np.random.default_rng(0)
    graph = random_conv(rng, (1, 16, 12), 3, (5, 5), padding=(2, 2, 2, 2), stride=(2, 2))
    assert File(tflite_bytes(graph)).tensor("conv/pad").ShapeAsNumpy().tolist() == [1, 16 + 3, 12 + 3, 1]


def test_a_grouped_convolution_is_refused_by_name() -> None:
    graph = random_conv(np.random.default_rng(0), (4, 3, 3), 6, (1, 1))
    (node,) = graph.convs()
    grouped = graph_of(replace(node, groups=2, weight=node.weight[:, :2]), graph["input"], graph["output"])
    with pytest.raises(BadInput, match="conv: a convolution with 2 groups"):
        tflite_bytes(grouped)


@pytest.mark.parametrize(("factor", "what"), [(0.0, "is 0 in"), (1e9, r"is \d.*must be positive and below 256")])
def test_a_scale_that_no_runtime_takes_is_refused_by_name(factor: float, what: str) -> None:
    graph = random_conv(np.random.default_rng(0), (4, 3, 3), 6, (1, 1))
    (node,) = graph.convs()
    strange = graph_of(replace(node, scale=node.scale * np.float32(factor)), graph["input"], graph["output"])
    with pytest.raises(BadInput, match=f"conv: input scale .*{what}"):
        tflite_bytes(strange)


@pytest.mark.parametrize(
    ("node", "source", "output", "why"),
    [
        (Logistic("gate", ("x",), "y"), (0.1, 0), (1 / 255, -128), "gate: the output of LOGISTIC"),
        (Logistic("gate", ("x",), "y"), (0.1, 0), (1 / 256, -127), "gate: the output of LOGISTIC"),
        (Rsqrt("root", ("x",), "y"), (0.1, -127), (0.1, 0), "root: the input of RSQRT"),
        (Add("sum", ("x", "x"), "y"), (1.0, 0), (1e-6, 0), "sum: the output scale"),
        (Sub("difference", ("x", "x"), "y"), (1.0, 0), (1e-6, 0), "difference: the output scale"),
    ],
)
def test_scales_that_a_kernel_refuses_are_refused_by_name(
    node: Node, source: tuple[float, int], output: tuple[float, int], why: str
) -> None:
    ends = tensor("x", (1, 1, 2, 2), *source), tensor("y", (1, 1, 2, 2), *output)
    with pytest.raises(BadInput, match=why):
        tflite_bytes(graph_of(node, *ends))


def test_two_layers_of_one_name_are_refused() -> None:
    graph = bcresnet("int8")
    twice = tuple(replace(node, name="twin") for node in graph.nodes)
    with pytest.raises(BadInput, match="twin"):
        tflite_bytes(IntegerGraph("int8", graph.input, graph.output, graph.tensors, twice))


def test_quantisation_vectors_are_shared() -> None:
    payload = tflite_bytes(bcresnet("int8"))
    file = File(payload)
    vectors = [t.Quantization()._tab.Vector(t.Quantization()._tab.Offset(10)) for t in file.tensors if t.Quantization()]
    assert len(set(vectors)) < 0.5 * len(vectors)
