"""Packed requantisation gives, for every accumulator that can occur, what the full multipliers give."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_op import random_conv, random_int8

from edgeasc.export.c.lower import lower
from edgeasc.export.c.requant import LEADING_ONE, equal_multipliers, fewest_bits, pack_requant, reachable
from edgeasc.graph.kernels.arrays import requantizer
from edgeasc.graph.kernels.conv import ConvParameters, conv_parameters
from edgeasc.graph.reference import run

FORMS = ["int8", "island"]


def one_entry(form, multiplier, shift, zero_point, low):
    one = np.array([[1]], np.int64)
    return ConvParameters(form, one, one * 0, one * multiplier, one * shift, zero_point, max(low, -128), 127)


def outputs(parameters, multiplier, x):
    shift = parameters.shift.ravel()
    found = requantizer(parameters.form)(x, np.int64(multiplier), shift) + parameters.output_zero_point
    return found.clip(parameters.low, parameters.high)


entries = st.builds(
    one_entry,
    st.sampled_from(FORMS),
    st.integers(LEADING_ONE, 2 * LEADING_ONE - 1),
    st.integers(-14, 2),
    st.integers(-128, 127),
    st.sampled_from([-128, -128, 5]),
)
ranges = st.tuples(st.integers(-60_000, 60_000), st.integers(0, 60_000)).map(lambda pair: (pair[0], sum(pair)))


@settings(max_examples=300)
@given(entries, ranges)
def test_both_ends_of_the_interval_give_the_same_outputs_for_every_accumulator(parameters, ends):
    least, most = equal_multipliers(parameters, *(np.array([end], np.int64) for end in ends))
    x = np.arange(ends[0], ends[1] + 1, dtype=np.int64)
    expected = outputs(parameters, parameters.multiplier[0, 0], x)
    assert least[0] <= parameters.multiplier[0, 0] <= most[0]
    for multiplier in (least[0], most[0], fewest_bits(least, most)[0]):
        assert np.array_equal(outputs(parameters, multiplier, x), expected)


@settings(max_examples=200)
@given(entries, ranges)
def test_just_outside_the_interval_some_output_differs(parameters, ends):
    least, most = equal_multipliers(parameters, *(np.array([end], np.int64) for end in ends))
    x = np.arange(ends[0], ends[1] + 1, dtype=np.int64)
    expected = outputs(parameters, parameters.multiplier[0, 0], x)
    if least[0] > LEADING_ONE:
        assert not np.array_equal(outputs(parameters, least[0] - 1, x), expected)
    if most[0] < 2 * LEADING_ONE - 1:
        assert not np.array_equal(outputs(parameters, most[0] + 1, x), expected)


@given(st.integers(LEADING_ONE, 2 * LEADING_ONE - 1), st.integers(0, 5000))
def test_the_chosen_multiplier_has_the_most_zeros_at_its_end(least, width):
    most = min(least + width, 2 * LEADING_ONE - 1)
    (chosen,) = fewest_bits(np.array([least]), np.array([most]))
    zeros = max((m & -m).bit_length() for m in range(least, most + 1))
    assert least <= chosen <= most and (int(chosen) & -int(chosen)).bit_length() == zeros


def packed(graph):
    (node,) = graph.nodes
    parameters = conv_parameters(node, graph[graph.input], graph[graph.output], graph.form)
    return pack_requant(node, graph[graph.input].zero_point, parameters, parameters.bias), parameters


def test_accumulators_reach_the_bounds_and_no_further():
    graph = random_conv(np.random.default_rng(1), (3, 2, 4), 5, (1, 1), bands=2, signs=True)
    (node,) = graph.nodes
    source = graph[graph.input]
    parameters = conv_parameters(node, source, graph[graph.output], graph.form)
    low, high = reachable(node, source.zero_point, parameters)
    corners = np.stack(np.meshgrid(*[[-128, 127]] * 3), axis=-1).reshape(-1, 3) - source.zero_point
    sums = corners @ node.weight[:, :, 0, 0].astype(np.int64).T  # [corners, C]
    x = sums[:, None] * parameters.sign + parameters.bias  # [corners, bands, C]
    assert np.array_equal(x.min(axis=0).ravel(), low) and np.array_equal(x.max(axis=0).ravel(), high)


@pytest.mark.parametrize("form", FORMS)
def test_a_layer_takes_one_word_per_band_and_channel(form):
    graph = replace(random_conv(np.random.default_rng(2), (6, 8, 5), 4, (1, 1), bands=4, signs=True), form=form)
    arrays = {array.role: array for array in lower(graph).steps[0].arrays}
    assert arrays["scales"].ctype == "uint32_t" and arrays["scales"].values.size == 16


def test_an_output_that_no_input_changes_is_a_constant():
    graph = random_conv(np.random.default_rng(3), (6, 8, 5), 4, (1, 1))
    graph.nodes[0].weight[2] = 0
    found, parameters = packed(graph)
    assert found.words[2] == 0 and found.multiplier[2] == 0 and np.count_nonzero(found.words) == 3
    expected = run(graph, random_int8(np.random.default_rng(4), 1, 6, 8, 5))[graph.output][0, 2]
    assert np.all(expected == found.bias[2] + parameters.output_zero_point)


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("form", FORMS)
def test_multipliers_that_are_too_long_take_two_words_and_equal_the_reference(compiled, monkeypatch, form):
    monkeypatch.setattr("edgeasc.export.c.requant.fewest_bits", lambda least, most: least | 1)
    rng = np.random.default_rng(5)
    graph = replace(random_conv(rng, (6, 8, 5), 40, (1, 1), bands=4, signs=True), form=form)
    graph.nodes[0].scale[0, 0] *= 64  # shifts far apart: a code of many bits
    found, _ = packed(graph)
    assert found.code_bits == 0 and found.words.size == 2 * 160
    values = random_int8(rng, 6, 6, 8, 5)
    assert np.array_equal(compiled(graph, values), run(graph, values)[graph.output].reshape(6, -1))
