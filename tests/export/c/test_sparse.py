"""Stored weights are the weights, and the cheapest storage is taken by exact count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeasc.export.c.sparse import Stored, count_nonzero, restore, storages, store

SPARSE = ["delta8", "nibble", "bitmap"]
matrices = st.tuples(st.integers(1, 5), st.integers(1, 700)).flatmap(
    lambda shape: arrays.arrays(np.int8, shape, elements=st.integers(-128, 127), fill=st.just(np.int8(0)))
)
crowded = arrays.arrays(np.int8, st.tuples(st.integers(1, 3), st.integers(1, 600)), elements=st.integers(-128, 127))


@given(st.one_of(matrices, crowded))
def test_every_storage_stands_for_its_weights(weights):
    for stored in storages(weights):
        assert np.array_equal(restore(stored, *weights.shape), weights)


@given(matrices)
def test_values_other_than_zero_are_stored_once(weights):
    for stored in storages(weights):
        array, ctype = (stored.index, "uint8_t") if stored.values is None else (stored.values, "int8_t")
        assert count_nonzero(ctype, array.astype(np.int64), len(weights)) == np.count_nonzero(weights)
        assert stored.storage == "dense" or stored.bytes == np.count_nonzero(weights) + stored.index_bytes


def length_bytes(items):
    return 1 if items < 255 else 3


@given(matrices)
def test_a_pair_per_weight_and_per_bridge_of_a_gap_and_a_length_per_row(weights):
    expected = 0
    for row in weights:
        gaps = np.diff(np.flatnonzero(row), prepend=0).tolist()
        pairs = len(gaps) + sum((gap - 1) // 255 if gap else 0 for gap in gaps)
        expected += 2 * pairs + length_bytes(pairs)
    assert store(weights, "delta8").bytes == expected


@given(matrices)
def test_half_a_byte_of_position_per_weight_and_per_fifteen_channels_skipped(weights):
    expected = 0
    for row in weights:
        zeros_before = (np.diff(np.flatnonzero(row), prepend=-1) - 1).tolist()
        packed = -(-sum(1 + zeros // 15 for zeros in zeros_before) // 2)
        expected += len(zeros_before) + packed + length_bytes(packed)
    assert store(weights, "nibble").bytes == expected


@given(matrices)
def test_a_bitmap_costs_a_bit_per_weight_and_a_byte_per_value(weights):
    assert store(weights, "bitmap").bytes == len(weights) * -(-weights.shape[1] // 8) + np.count_nonzero(weights)


@pytest.mark.parametrize(("zeros", "expected"), [(0.0, "dense"), (0.6, "bitmap"), (0.8, "nibble"), (0.99, "delta8")])
def test_the_smallest_storage_depends_on_the_zeros(zeros, expected):
    rng = np.random.default_rng(1)
    weights = rng.integers(1, 128, (40, 200)).astype(np.int8)
    weights[rng.random(weights.shape) < zeros] = 0
    chosen = min(storages(weights), key=lambda stored: stored.bytes)
    assert chosen.storage == expected


@pytest.mark.parametrize("storage", SPARSE)
def test_an_empty_layer_takes_no_values(storage):
    stored = store(np.zeros((3, 20), np.int8), storage)
    assert stored.bytes == stored.index_bytes == (9 if storage == "bitmap" else 3)


@pytest.mark.parametrize("cut", [[3, 1, 7], [255, 1], []])
def test_an_index_that_ends_within_a_row_is_refused(cut):
    with pytest.raises(ValueError, match="an index"):
        restore(Stored("delta8", None, np.array(cut, np.uint8), 0), 1, 20)


@pytest.mark.parametrize("storage", ["delta8", "nibble"])
def test_an_index_that_leads_outside_the_row_is_refused(storage):
    stored = store(np.eye(1, 20, 19, dtype=np.int8), storage)
    with pytest.raises(ValueError, match="outside"):
        restore(stored, 1, 19)
