"""The comparison of generated C measures what it says: equal conditions, every node counted, the dense form dense."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from graph_builder import GraphBuilder, bcresnet, clips

import edgeasc
from edgeasc.bench.mcu.boards import find_board
from edgeasc.graph.model import IntegerGraph

FOLDER = Path(edgeasc.__file__).parents[1] / "benchmarks"

C_OF_EMX = """
static const float weight0[1] = { 1.0f };
EMX_NODE_FN void node0_stem(const float a[1], float b[1]) {
    b[0] = a[0];
}
void net(const float in[1], float out[1]) {
    float tmp0[1];
    node0_stem(in, tmp0);
    node1_head_mean(tmp0,
        out);
    node2_real(tmp0, out);
}
"""


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The scripts as modules; they lie beside the package and are not installed."""
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(FOLDER))
    import c_compare
    import c_emx
    import c_networks

    yield SimpleNamespace(compare=c_compare, emx=c_emx, networks=c_networks)
    for name in ("c_compare", "c_emx", "c_layers", "c_networks"):
        sys.modules.pop(name, None)


def network(scripts: SimpleNamespace, graph: IntegerGraph, count: int) -> object:
    inputs = clips(graph, count)
    return scripts.networks.Network("toy", graph.form, "seeded", graph, inputs, inputs[:0])


def small() -> IntegerGraph:
    """A convolution, a sub-band one, a gate, a sum, a mean."""
    net = GraphBuilder("int8", (1, 16, 12), 0)
    x = net.conv("stem", "input", 4, (3, 3), relu=True)
    y = net.silu("silu", net.conv("dw", x, 4, (3, 1), bands=4, depthwise=True))
    return net.graph(net.mean("logits", net.add("sum", x, y), ("F", "T"), keep=False))


@pytest.fixture
def module(scripts: SimpleNamespace) -> ModuleType:
    return scripts.emx


def test_every_node_of_emx_is_counted_once_and_in_order(module: ModuleType) -> None:
    text, nodes = module.instrumented(C_OF_EMX)
    assert nodes == ["stem", "head_mean", "real"]
    assert [text.count(f"fw_after({index});") for index in range(4)] == [1, 1, 1, 0]
    assert (
        text.index("node0_stem(in") < text.index("fw_after(0)") < text.index("node1_head") < text.index("fw_after(1)")
    )


def test_the_dense_form_is_dense_and_the_others_are_not(scripts: SimpleNamespace) -> None:
    found = network(scripts, bcresnet("int8", c=16), 1)
    stored = {
        how: {layer["storage"] for layer in scripts.compare.our_bundle(found, how).facts["layers"]}
        for how in scripts.compare.OURS
    }
    assert stored["dense"] == {"dense", "none"} and stored["size"] > stored["dense"]


def test_agreement_tells_inputs_and_steps(scripts: SimpleNamespace) -> None:
    expected = np.array([[1, 2], [-128, 127], [0, 0]], np.int8)
    found = np.array([[1, 2], [127, 127], [0, 1]], np.int8)
    assert scripts.compare.agreement(found, expected) == {"runs": 3, "equal": 1, "max_steps": 255}


@pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm", "emx_onnx_cgen", "onnxruntime")
@pytest.mark.parametrize("kind", ["QDQ", "QOperator"])
def test_emx_computes_on_the_emulated_core_what_onnx_runtime_computes(scripts: SimpleNamespace, kind: str) -> None:
    """Within the step by which a float sum in another order moves a value over a rounding point."""
    found = network(scripts, small(), 3)
    measured = scripts.emx.measure(found.graph, kind, find_board("cortex-m4"), found.clips)
    steps = np.abs(measured.emulation.outputs.astype(int) - scripts.compare.onnxruntime_integers(found).astype(int))
    assert steps.max() <= 1
    assert len(measured.nodes) == len(measured.emulation.layers) > 5
    assert measured.emulation.stack_bytes > 4 * found.clips[0].size  # it keeps tensors there


@pytest.mark.needs("gcc", "tflite_micro")
def test_host_c_and_tflm_are_compared_element_by_element(scripts: SimpleNamespace) -> None:
    import c_equality

    found = network(scripts, small(), 4)
    expected = found.expected()
    for runtime in ("native-c", "tflm"):
        row = c_equality.row(found, runtime, c_equality.on_runtime(found, runtime, 60.0), expected)
        assert (row["elements"], row["elements_equal"], row["clips_equal"]) == (4 * found.classes, 4 * found.classes, 4)
    other = expected.copy()
    other[1, 0] ^= 1
    assert c_equality.row(found, "other", other, expected)["clips_equal"] == 3
    sys.modules.pop("c_equality", None)


@pytest.mark.needs("gcc", "arm-none-eabi-gcc", "qemu-system-arm")
def test_the_digest_of_every_layer_is_that_of_the_reference(scripts: SimpleNamespace) -> None:
    import c_layers

    found = network(scripts, small(), 3)
    expected = c_layers.reference_digests(found.graph, found.clips)
    assert len(set(expected)) == len(found.graph.nodes)
    assert c_layers.host_digests(found.graph, found.clips) == expected
    assert c_layers.core_digests(found.graph, found.clips, "cortex-m4", 60.0) == expected
    other = found.clips.copy()
    other[2, 0, 5, 5] ^= 1
    assert c_layers.reference_digests(found.graph, other)[0] != expected[0]


def test_seeded_networks_are_as_sparse_as_they_say(scripts: SimpleNamespace) -> None:
    import torch

    from edgeasc.recipes import load_recipe

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    recipe = load_recipe(scripts.networks.RECIPE)
    features = rng.normal(-5, 2, (12, 1, 64, 10)).astype(np.float32)
    scripts.networks.SEEDED = {"toy": (8, 0.6)}
    net, source = scripts.networks.seeded("toy", "island", recipe, features)
    graph = net.freeze()
    assert source == "seeded" and graph.form == "island"
    assert 0.6 <= scripts.networks.zeros(graph) < 0.65  # rounding to int8 makes a few more
