"""The ladder of a transformer: runtimes without one of its operators say so, the others are held to its limits."""

from __future__ import annotations

import pytest
import torch
from one_op import graph_of, tensor
from transformer_toys import METADATA, SHAPE, Transformer, quantised_transformer

from edgeasc.audit.arena import measure_arena
from edgeasc.audit.runtimes import read_runtime
from edgeasc.compress.quantnet import QuantNet
from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle
from edgeasc.export.parity import compute_judges, measure_parity, random_inputs
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.model import Attention, IntegerGraph
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import onnx_artefact, tflite_artefact
from edgeasc.runtime.catalogue import RUNTIMES
from edgeasc.runtime.runner import open_runner


@pytest.fixture(scope="module")
def graph() -> IntegerGraph:
    return quantised_transformer().freeze(METADATA)


@pytest.fixture(scope="module")
def rungs(graph: IntegerGraph) -> dict[str, dict]:
    inputs = random_inputs(graph)
    artefacts = [onnx_artefact(onnx_bytes(graph)), tflite_artefact(tflite_bytes(graph))]
    document = measure_parity("island", artefacts, inputs, compute_judges(graph, inputs))
    return {rung["name"]: rung for rung in document["rungs"]}


def test_the_rung_of_tflm_is_not_run_and_names_gelu(rungs: dict[str, dict]) -> None:
    assert rungs["tflm"]["passed"] is None and rungs["tflm"]["why"] == "not run: tflm has no operator GELU"


@pytest.mark.parametrize("name", ["onnxruntime", "litert"])
def test_float_runtimes_are_near_the_fake_quantised_network(name: str, rungs: dict[str, dict]) -> None:
    assert rungs[name]["clips"] == 200 and rungs[name]["passed"], rungs[name]


def test_reference_kernels_are_measured_for_information(rungs: dict[str, dict]) -> None:
    assert rungs["tflite-reference"]["passed"] is None and rungs["tflite-reference"]["top1"] > 0.9


def test_what_a_runtime_is_said_to_lack_its_table_of_operators_does_not_list() -> None:
    lacking = [runtime for runtime in RUNTIMES.values() if runtime.lacks]
    assert [runtime.name for runtime in lacking] == ["tflm"]
    assert not set(lacking[0].lacks) & read_runtime("tflm").known


def test_a_runner_of_tflm_refuses_the_file_by_the_operator(graph: IntegerGraph) -> None:
    artefact = tflite_artefact(tflite_bytes(graph))
    with pytest.raises(BadInput, match=r"tflm: .*no operator GELU"):
        open_runner(artefact, "tflm")
    why = measure_arena(artefact).why
    assert why == "TFLM does not run it: has no operator GELU, which the model needs"


def test_c_refuses_attention_by_name() -> None:
    ends = tensor("x", (1, 8, 1, 4), 0.1), tensor("y", (1, 8, 1, 4), 0.1)
    node = Attention("layers.0.attention", ("x", "x", "x"), "y", heads=2)
    with pytest.raises(BadInput, match=r"'attention' of layers\.0\.attention; export it to TFLite"):
        bundle(graph_of(node, *ends, form="island"))


def test_without_gelu_tflm_runs_the_whole_transformer() -> None:
    torch.manual_seed(0)
    network = Transformer().eval()
    for layer in network.layers:
        layer.gelu = torch.nn.ReLU()  # type: ignore[assignment]
    net = QuantNet(network, "island", SHAPE).eval()
    net.observe([torch.randn(16, *SHAPE[1:]).clamp(-1, 1)])
    graph = net.freeze(METADATA)
    inputs = random_inputs(graph, 32)
    document = measure_parity("island", [tflite_artefact(tflite_bytes(graph))], inputs, compute_judges(graph, inputs))
    (rung,) = (rung for rung in document["rungs"] if rung["name"] == "tflm")
    assert not rung["why"] and rung["max_steps"] <= 10
