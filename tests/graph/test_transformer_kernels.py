"""Layer norm over channels, attention and GELU on integers, against torch's own functions in float64."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from one_op import every_value, graph_of, random_int8, random_scale, random_zero_point, tensor

from edgeasc.errors import BadInput
from edgeasc.graph import simulate
from edgeasc.graph.count import count
from edgeasc.graph.kernels.transformer import MAX_TOKENS
from edgeasc.graph.model import Attention, ChannelNorm, Gelu, IntegerGraph, ZeroPad
from edgeasc.graph.reference import Reference
from edgeasc.graph.shapes import output_shape

SEEDS = range(12)


def reals(values: np.ndarray, grid: object) -> torch.Tensor:
    return torch.from_numpy(simulate.dequantise(values, grid))  # type: ignore[arg-type]


def half_away(real: torch.Tensor, grid: object) -> np.ndarray:
    steps = real.numpy() / float(grid.scale)  # type: ignore[attr-defined]
    whole = np.trunc(steps + np.copysign(0.5, steps)) + grid.zero_point  # type: ignore[attr-defined]
    return whole.clip(-128, 127).astype(np.int8)


def norm_graph(seed: int, shape: tuple[int, int, int] = (24, 2, 5)) -> IntegerGraph:
    rng = np.random.default_rng(seed)
    gain, offset = (rng.normal(at, 0.5, shape[0]).astype(np.float32) for at in (1.0, 0.0))
    node = ChannelNorm("norm", ("x",), "y", gain, offset, eps=1e-5)
    source = tensor("x", (1, *shape), random_scale(rng), random_zero_point(rng))
    return graph_of(node, source, tensor("y", (1, *shape), 0.035, random_zero_point(rng)), form="island")


def attention_inputs(seed: int, channels: int = 16, tokens: int = 11) -> tuple[Attention, list, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    shape = (1, channels, 1, tokens)
    scales = (0.05, 0.05, random_scale(rng))
    grids = [tensor(n, shape, s, random_zero_point(rng)) for n, s in zip("qkv", scales, strict=True)]
    output = tensor("y", shape, float(grids[2].scale) * 0.7, random_zero_point(rng))
    values = [random_int8(rng, 3, *shape[1:]) for _ in range(3)]
    return Attention("attention", ("q", "k", "v"), "y", heads=4), [*grids, output], values


def run_attention(node: Attention, grids: list, values: list[np.ndarray]) -> np.ndarray:
    kernel = Reference(IntegerGraph("island", "q", "y", {t.name: t for t in grids}, (node,))).kernels[0][1]
    return kernel(*values)


def torch_attention(node: Attention, grids: list, values: list[np.ndarray]) -> torch.Tensor:
    batch, channels, _, tokens = values[0].shape
    q, k, v = (
        reals(x, grid).reshape(batch, node.heads, -1, tokens).transpose(2, 3)
        for x, grid in zip(values, grids, strict=False)
    )
    mixed = F.scaled_dot_product_attention(q, k, v)
    return mixed.transpose(2, 3).reshape(batch, channels, 1, tokens)


@pytest.mark.parametrize("seed", SEEDS)
def test_channel_norm_is_torchs_layer_norm_rounded_half_away(seed: int) -> None:
    graph = norm_graph(seed)
    node, values = graph.nodes[0], random_int8(np.random.default_rng(seed + 100), 3, *graph["x"].shape[1:])
    assert isinstance(node, ChannelNorm)
    x = reals(values, graph["x"]).permute(0, 2, 3, 1)
    weights = (torch.from_numpy(v.astype(np.float64)) for v in (node.gain, node.offset))
    expected = F.layer_norm(x, (len(node.gain),), *weights, eps=node.eps).permute(0, 3, 1, 2)
    np.testing.assert_array_equal(Reference(graph).run(values)["y"], half_away(expected, graph["y"]))


def test_channels_that_are_all_equal_give_the_offset() -> None:
    graph = norm_graph(3)
    node, values = graph.nodes[0], np.full((1, 24, 2, 5), -77, np.int8)
    assert isinstance(node, ChannelNorm)
    expected = half_away(torch.from_numpy(node.offset.astype(np.float64)), graph["y"])
    np.testing.assert_array_equal(Reference(graph).run(values)["y"][0, :, 1, 4], expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_attention_is_torchs_own_rounded_half_away(seed: int) -> None:
    node, grids, values = attention_inputs(seed)
    expected = half_away(torch_attention(node, grids, values), grids[3])
    found = run_attention(node, grids, values)
    assert len(np.unique(found)) > 20
    # Exponentials are rounded to 2^-30, which moves a result over a tie about once in a million values.
    assert np.abs(found.astype(int) - expected).max() <= 1 and np.mean(found != expected) < 1e-3


def test_attention_does_not_depend_on_how_a_batch_is_cut() -> None:
    node, grids, values = attention_inputs(5, channels=32, tokens=40)
    whole = run_attention(node, grids, values)
    parts = [run_attention(node, grids, [v[i : i + 1] for v in values]) for i in range(3)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_attention_of_loud_queries_takes_the_one_key_that_fits() -> None:
    node, grids, values = attention_inputs(2)
    loud = [replace(grid, scale=np.float32(50)) for grid in grids[:2]] + grids[2:]
    found = run_attention(node, loud, values)
    expected = half_away(torch_attention(node, loud, values), grids[3])
    np.testing.assert_array_equal(found, expected)


def test_gelu_is_torchs_exact_one_for_every_input() -> None:
    source, output = tensor("x", (1, 1, 1, 256), 0.04, -10), tensor("y", (1, 1, 1, 256), 0.03, -100)
    values = every_value((1, 1, 256))
    found = Reference(graph_of(Gelu("gelu", ("x",), "y"), source, output, form="island")).run(values)["y"]
    np.testing.assert_array_equal(found, half_away(F.gelu(reals(values, source)), output))


def test_padding_puts_zero_points_round_the_frames() -> None:
    source, output = tensor("x", (1, 2, 3, 4), 0.1, 7), tensor("y", (1, 2, 3, 7), 0.1, 7)
    values = random_int8(np.random.default_rng(1), 2, 2, 3, 4)
    graph = graph_of(ZeroPad("pad", ("x",), "y", (1, 2)), source, output)
    found = Reference(graph).run(values)["y"]
    np.testing.assert_array_equal(found, F.pad(torch.from_numpy(values), (1, 2), value=7).numpy())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_float_simulation_is_within_a_tie_of_the_reference(seed: int) -> None:
    graph = norm_graph(seed)
    values = random_int8(np.random.default_rng(seed), 2, *graph["x"].shape[1:])
    ours, floats = Reference(graph).run(values)["y"], simulate.run(graph, values)["y"]
    assert np.abs(ours.astype(int) - floats).max() <= 1 and np.mean(ours != floats) < 0.01
    node, grids, inputs = attention_inputs(seed)
    tensors = {t.name: t for t in grids}
    np.testing.assert_allclose(simulate.real_output(node, inputs, tensors), torch_attention(node, grids, inputs))


def test_a_norm_counts_its_floats_and_attention_both_its_products() -> None:
    graph = norm_graph(0)
    layer = count(graph).layers[0]
    assert (layer.parameters, layer.bytes, layer.macs) == (48, 192, 0)
    node, grids, _ = attention_inputs(0)
    attention = IntegerGraph("island", "q", "y", {t.name: t for t in grids}, (node,))
    assert count(attention).macs == 11 * 11 * 16 + 11 * 16 * 11


@pytest.mark.parametrize(
    ("node", "shapes", "said"),
    [
        (Attention("a", ("q", "k", "v"), "y", heads=3), [(1, 16, 1, 4)] * 3, "do not divide by 3 heads"),
        (Attention("a", ("q", "k", "v"), "y"), [(1, 16, 2, 4)] * 3, "not three times"),
        (ChannelNorm("n", ("x",), "y", np.ones(3, np.float32), np.ones(3, np.float32)), [(1, 4, 1, 2)], "3 gains"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_by_name(node: object, shapes: list, said: str) -> None:
    with pytest.raises(BadInput, match=f"'{node.name}'.*{said}"):  # type: ignore[attr-defined]
        output_shape(node, shapes)  # type: ignore[arg-type]


def test_more_tokens_than_the_sums_hold_are_refused_by_name() -> None:
    node, grids, _ = attention_inputs(0)
    long = [replace(grid, shape=(1, 16, 1, MAX_TOKENS + 1)) for grid in grids]
    with pytest.raises(BadInput, match="attention over 16385 tokens"):
        Reference(IntegerGraph("island", "q", "y", {t.name: t for t in long}, (node,)))


def test_scores_of_a_long_sequence_are_not_kept_all_at_once() -> None:
    shape, rng = (1, 4, 1, 2500), np.random.default_rng(6)  # 25 million scores, 200 MB
    node = Attention("op", ("x", "x", "x"), "y", heads=4)
    graph = graph_of(node, tensor("x", shape, 0.02, 3), tensor("y", shape, 0.03, 0), form="island")
    values = random_int8(rng, *shape)
    found = {}
    for name, compute in (("integers", Reference(graph).run), ("floats", lambda x: simulate.run(graph, x))):
        tracemalloc.start()
        found[name] = compute(values)["y"].astype(int)
        assert tracemalloc.get_traced_memory()[1] < 100e6
        tracemalloc.stop()
    q = reals(values, graph["x"]).reshape(4, 2500, 1)
    expected = F.scaled_dot_product_attention(q, q, q).reshape(shape).numpy() / 0.03
    for integers in found.values():
        assert np.abs(integers - expected).max() < 0.51
