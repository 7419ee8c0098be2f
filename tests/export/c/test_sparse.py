"""Stored weights are the weights, and the cheapest storage is taken by exact count."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeasc.export.c.sparse import delta8, smallest, storage_bytes, undelta8

matrices = st.tuples(st.integers(1, 5), st.integers(1, 700)).flatmap(
    lambda shape: arrays.arrays(np.int8, shape, elements=st.integers(-127, 127), fill=st.just(np.int8(0)))
)


@given(matrices)
def test_a_stream_stands_for_its_weights(weights):
    assert np.array_equal(undelta8(*delta8(weights), weights.shape[1]), weights)


@given(matrices)
def test_the_stream_costs_two_bytes_per_weight_and_two_per_bridge_of_a_gap(weights):
    bridges = sum(
        (gap - 1) // 255 if gap else 0 for row in weights for gap in np.diff(np.flatnonzero(row), prepend=0).tolist()
    )
    assert storage_bytes(weights)["delta8"] == 2 * np.count_nonzero(weights) + 2 * bridges + 2 * len(weights)


def test_half_the_weights_are_where_dense_and_sparse_cost_the_same():
    weights = np.ones((1, 100), np.int8)
    weights[0, 49:] = 0
    assert storage_bytes(weights) == {"dense": 100, "delta8": 100} and smallest(weights) == "dense"
    weights[0, 48] = 0
    assert smallest(weights) == "delta8"
