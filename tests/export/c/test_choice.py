"""The storage of a layer is the smallest, or the fastest by the model, or the best of both shares."""

import numpy as np
import pytest
from graph_builder import bcresnet
from hypothesis import given
from hypothesis import strategies as st
from one_op import random_conv, random_int8

from edgeasc.bench.mcu.emulate import bench_emulated
from edgeasc.cli import main
from edgeasc.errors import UsageError
from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.c.bundle import bundle, read_bundle
from edgeasc.export.c.choice import Pixels, choose, instructions, parse_optimise, smallest_together
from edgeasc.export.c.sparse import storages, store
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.verify import verify_folder
from edgeasc.graph.model import Conv
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import c_artefact


def pruned(density, seed=1, shape=(80, 80)):
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 128, shape).astype(np.int8)
    weights[rng.random(shape) >= density] = 0
    return weights


densities = st.floats(0.0, 1.0)
pixels = st.builds(Pixels, st.integers(1, 300).map(lambda n: 4 * n), st.sampled_from([1, 2, 4]))


@given(densities, pixels)
def test_size_is_the_fewest_bytes_and_speed_the_fewest_modelled_instructions(density, pixels):
    weights = pruned(density)
    found = storages(weights)
    assert choose(weights, pixels, "size").bytes == min(stored.bytes for stored in found)
    fastest = choose(weights, pixels, "speed")
    assert instructions(fastest, weights, pixels) == min(instructions(stored, weights, pixels) for stored in found)


@given(densities, pixels)
def test_balanced_is_no_worse_than_either_in_the_sum_of_both_shares(density, pixels):
    weights = pruned(density)
    dense = store(weights, "dense")

    def shares(stored):
        return stored.bytes / dense.bytes + instructions(stored, weights, pixels) / instructions(dense, weights, pixels)

    chosen = shares(choose(weights, pixels, "balanced"))
    assert chosen <= min(shares(choose(weights, pixels, end)) for end in ("size", "speed"))


def test_a_layer_without_zeros_is_dense_and_an_empty_one_is_not():
    for optimise in ("size", "speed", "balanced"):
        assert choose(pruned(1.0), Pixels(100, 1), optimise).storage == "dense"
    for optimise in ("size", "balanced"):
        assert choose(pruned(0.0), Pixels(100, 1), optimise).storage == "delta8"


def test_one_layer_is_no_reason_for_a_kernel_of_its_own():
    nibbles = [pruned(0.11, seed) for seed in range(20)]
    scattered = pruned(0.01)
    assert choose(scattered, Pixels(100, 1), "size").storage == "delta8"
    assert smallest_together([*nibbles, scattered]) == ["nibble"] * 21
    assert smallest_together([scattered] * 200 + [pruned(1.0)]) == ["delta8"] * 200 + ["dense"]
    assert smallest_together([]) == []


def test_dense_can_be_forced():
    assert choose(pruned(0.1), Pixels(100, 1), "dense").storage == "dense"


def test_an_unknown_goal_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'speed'"):
        parse_optimise("sped")


@pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm")
@pytest.mark.parametrize("storage", ["dense", "delta8", "nibble", "bitmap"])
def test_the_model_is_near_the_instructions_of_an_emulated_core(monkeypatch, storage):
    rng = np.random.default_rng(5)
    graph = random_conv(rng, (90, 4, 33), 70, (1, 1))
    graph.nodes[0].weight[rng.random((70, 90, 1, 1)) >= 0.15] = 0
    weights = graph.nodes[0].weight[:, :, 0, 0]
    monkeypatch.setattr("edgeasc.export.c.lower.choose", lambda *_: store(weights, storage))
    row, _ = bench_emulated(c_artefact(bundle(graph)), "cortex-m4", random_int8(rng, 1, 90, 4, 33))
    modelled = instructions(store(weights, storage), weights, Pixels(4 * 33, 1))
    assert modelled == pytest.approx(row["instructions"], rel=0.25)


def sparse_network():
    graph = bcresnet("int8")
    rng = np.random.default_rng(6)
    for node in graph.nodes:
        if isinstance(node, Conv) and node.weight.shape[2:] == (1, 1):
            node.weight[rng.random(node.weight.shape) >= 0.2] = 0
    return graph


def test_what_was_optimised_for_is_in_the_folder_and_derived_again(tmp_path):
    (tmp_path / "x.onnx").write_bytes(onnx_bytes(dummy_graph("int8")))
    kept = {}
    for optimise in ("size", "speed"):
        export_artefacts(tmp_path / "x.onnx", tmp_path / optimise, c=True, tflite=False, optimise=optimise, clips=3)
        kept[optimise] = read_bundle(tmp_path / optimise / "c").facts
        assert verify_folder(tmp_path / optimise)["passed"]
    assert {name: facts["optimise"] for name, facts in kept.items()} == {"size": "size", "speed": "speed"}


@pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm")
def test_the_bench_stores_weights_as_asked_and_stays_equal(tmp_path, capsys):
    (tmp_path / "x.onnx").write_bytes(onnx_bytes(sparse_network()))
    assert main(["bench", str(tmp_path / "x.onnx"), "--target", "qemu:cortex-m4", "--optimise", "size"]) == 0
    assert "3/3" in capsys.readouterr().out
