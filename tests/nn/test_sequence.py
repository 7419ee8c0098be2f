"""Layers on sequences against formulations by plain loops and against torch's own."""

from __future__ import annotations

import torch
from torch import nn

from edgeasc.nn.layers import trace
from edgeasc.nn.sequence import (
    SEQUENCE_LEAVES,
    Attention,
    ChannelNorm,
    ChannelSlice,
    ClassToken,
    FirstToken,
    Multiply,
    Regroup,
)


def sequence(batch: int = 2, channels: int = 6, tokens: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, channels, 1, tokens, generator=torch.Generator().manual_seed(seed))


def test_attention_equals_a_loop_over_clips_heads_and_tokens() -> None:
    q, k, v = (sequence(seed=seed) for seed in range(3))
    expected = torch.empty_like(q)
    for clip in range(2):
        for head in range(3):
            rows = slice(2 * head, 2 * head + 2)
            for token in range(5):
                scores = torch.stack([q[clip, rows, 0, token] @ k[clip, rows, 0, other] for other in range(5)])
                weights = torch.softmax(scores / 2**0.5, 0)
                expected[clip, rows, 0, token] = sum(weights[other] * v[clip, rows, 0, other] for other in range(5))
    torch.testing.assert_close(Attention(3)(q, k, v), expected)


def test_attention_between_linear_layers_equals_torch_multi_head_attention() -> None:
    x, theirs = sequence(channels=8), nn.MultiheadAttention(8, 2, batch_first=True)
    tokens = x[:, :, 0].transpose(1, 2)
    projected = nn.functional.linear(tokens, theirs.in_proj_weight, theirs.in_proj_bias).transpose(1, 2)[:, :, None]
    mixed = Attention(2)(*projected.chunk(3, 1))[:, :, 0].transpose(1, 2)
    torch.testing.assert_close(theirs.out_proj(mixed), theirs(tokens, tokens, tokens)[0])


def test_channel_norm_equals_layer_norm_over_tokens() -> None:
    x, norm = sequence(), ChannelNorm(6)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    expected = nn.functional.layer_norm(x.movedim(1, -1), (6,), norm.weight, norm.bias).movedim(-1, 1)
    torch.testing.assert_close(norm(x), expected)


def test_the_class_token_comes_first_and_every_token_gets_its_position() -> None:
    x, layer = sequence(), ClassToken(6, 5)
    y = layer(x)
    torch.testing.assert_close(y[1, :, 0, 0], layer.token[0, :, 0, 0] + layer.positions[0, :, 0, 0])
    torch.testing.assert_close(y[1, :, 0, 3], x[1, :, 0, 2] + layer.positions[0, :, 0, 3])
    torch.testing.assert_close(FirstToken()(y), y[..., 0:1])


def test_regroup_there_and_back_changes_nothing_and_rows_are_channels() -> None:
    x = sequence()
    image = Regroup(1)(x)
    assert image.shape == (2, 1, 6, 5)
    torch.testing.assert_close(image[0, 0, 4], x[0, 4, 0])
    torch.testing.assert_close(Regroup(0)(image), x)


def test_channel_slice_and_multiply() -> None:
    x = sequence()
    torch.testing.assert_close(Multiply()(ChannelSlice(0, 3)(x), ChannelSlice(3, 6)(x)), x[:, :3] * x[:, 3:])


def test_the_tracer_keeps_every_sequence_layer_whole() -> None:
    network = nn.Sequential(ClassToken(6, 5), ChannelNorm(6), Regroup(1), Regroup(0), ChannelSlice(0, 4), FirstToken())
    kinds = {type(module) for module in network}
    assert kinds < set(SEQUENCE_LEAVES)
    called = [node.target for node in trace(network).graph.nodes if node.op == "call_module"]
    assert called == [str(number) for number in range(6)]
