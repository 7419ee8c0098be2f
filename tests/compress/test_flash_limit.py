"""`--limit flash=`: the plan keeps as many weights as fit, uneven zeros take no more, what cannot fit is refused."""

import numpy as np
import pytest
from graph_builder import bcresnet

from edgeasc.compress.flash import _fixed_bytes, _pointwise_bytes, keep_for_flash
from edgeasc.errors import CheckFailed
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.flash import code_bytes
from edgeasc.export.c.lower import is_pointwise
from edgeasc.graph.model import Conv


def flash_of(graph):
    text = bundle(graph)
    return text.facts["constant_bytes"] + code_bytes(text.files, len(text.facts["layers"]))


def prune(graph, densities):
    """Zeros of every point-wise layer, at one of `densities` in turn."""
    rng = np.random.default_rng(3)
    nodes = [node for node in graph.nodes if isinstance(node, Conv) and is_pointwise(node)]
    for index, node in enumerate(nodes):
        node.weight[rng.random(node.weight.shape) >= densities[index % len(densities)]] = 0
    return graph


@pytest.mark.parametrize("densities", [[0.3], [0.05, 0.55], [0.0, 0.6]])
def test_a_network_pruned_as_planned_fits_evenly_or_not(densities):
    planned = _fixed_bytes(bcresnet("int8")) + _pointwise_bytes(bcresnet("int8"), float(np.mean(densities)))
    assert flash_of(prune(bcresnet("int8"), densities)) <= planned


def test_a_smaller_limit_keeps_fewer_weights_and_all_fit_a_large_one():
    graph = bcresnet("int8")
    least, most = (_fixed_bytes(graph) + _pointwise_bytes(graph, part) for part in (0.0, 1.0))
    kept = [keep_for_flash(graph, limit) for limit in np.linspace(least, most, 5).astype(int).tolist()]
    assert kept == sorted(kept) and kept[0] < 0.05 and kept[-1] == 1.0


def test_the_plan_for_a_limit_is_within_it():
    graph = bcresnet("int8")
    fixed = _fixed_bytes(graph)
    limit = fixed + _pointwise_bytes(graph, 1.0) // 2
    kept = keep_for_flash(graph, limit)
    assert fixed + _pointwise_bytes(graph, kept) <= limit < fixed + _pointwise_bytes(graph, min(1.0, kept + 0.1))


def test_flash_that_no_sparsity_reaches_is_refused_with_the_smallest():
    with pytest.raises(CheckFailed, match=r"flash: .* is the smallest possible, more than 1,000"):
        keep_for_flash(bcresnet("int8"), 1000)
