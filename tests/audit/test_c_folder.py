"""A folder of generated C weighs what its graph weighs, and claims that its arrays do not show are refused."""

import hashlib
import json
import re

import numpy as np
import pytest
from graph_builder import bcresnet

from edgeasc.audit import audit
from edgeasc.audit.c_count import read_arrays
from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.graph.count import count
from edgeasc.graph.model import Conv


@pytest.fixture
def pruned():
    graph = bcresnet("int8")
    rng = np.random.default_rng(0)
    for node in graph.nodes:
        if isinstance(node, Conv):
            node.weight[rng.random(node.weight.shape) < 0.8] = 0
    return graph


@pytest.fixture
def folder(pruned, tmp_path):
    write_bundle(bundle(pruned), tmp_path)
    return tmp_path


def test_counts_are_those_of_the_graph(folder, pruned):
    (found,) = audit(folder).models
    expected = count(pruned)
    assert (found.format, found.counted_by) == ("c", "integer graph")
    assert found.parameters.total == expected.parameters and found.parameters.nonzero == expected.nonzero
    assert found.parameters.nonzero_bytes == expected.nonzero_bytes and found.macs == expected.macs
    assert sum(layer.bytes for layer in found.layers) == sum(layer.bytes for layer in expected.layers)


def test_what_the_c_stores_is_every_constant_once(folder):
    (found,) = audit(folder).models
    text = (folder / "weights.c").read_text()
    width = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "uint32_t": 4}
    size = sum(width[ctype] * len(values) for ctype, values in read_arrays(text).values())
    assert found.stored.bytes + sum(item.bytes for item in found.uncounted) == size


def test_a_budget_on_c_is_judged(folder):
    assert audit(folder, budget="500").passed is False and audit(folder, budget="64KiB").passed is True


def test_more_weights_than_the_arrays_have_are_no_claim_to_believe(folder):
    facts = json.loads((folder / "model.json").read_text())
    facts["layers"][1]["nonzero_weights"] = 10**6
    (folder / "model.json").write_text(json.dumps(facts))
    with pytest.raises(BadInput, match=r"1000000 weights that are not zero are claimed, weights\.c has"):
        audit(folder)


@pytest.mark.parametrize("damage", ["layers", "arrays", "arena_bytes", "input"])
def test_facts_that_lack_something_are_refused_by_name(folder, damage):
    facts = json.loads((folder / "model.json").read_text())
    del facts[damage]
    (folder / "model.json").write_text(json.dumps(facts))
    with pytest.raises(BadInput, match=r"malformed|says nothing"):
        audit(folder)


def test_an_array_that_is_shorter_than_declared_is_refused(folder):
    text = (folder / "weights.c").read_text().replace("[1]", "[7]", 1)
    (folder / "weights.c").write_text(text)
    facts = json.loads((folder / "model.json").read_text())
    facts["files"]["weights.c"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps(facts))
    with pytest.raises(BadInput, match="numbers, 7 declared"):
        audit(folder)


def test_targets_of_c_point_to_the_emulator(folder):
    with pytest.raises(BadInput, match="edgeasc bench --target qemu"):
        audit(folder, targets=["cortex-m4"])


LIES = [
    ({"arena_bytes": 8}, "its arena"),
    ({"arena_bytes": -5}, "its arena"),
    ({"constant_bytes": -1}, "its constants"),
    ({"form": "bogus"}, "its form"),
    ({"layers": []}, "its layers"),
    ({"layers": [{"name": 3, "macs": 1}]}, "its layers"),
    ({"layers": [{"name": "a\u001b[2J", "macs": 1}]}, "its layers"),
    ({"input": {"shape": [1, 1, -3, 4]}}, "the shape"),
    ({"input": {"shape": [1, 99999, 99999, 4]}}, "the shape"),
    ({"output": {"shape": "x"}}, "the shape"),
]


@pytest.mark.parametrize(("lie", "named"), LIES)
def test_facts_that_cannot_be_are_refused_by_name(folder, lie, named):
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(facts | lie))
    with pytest.raises(BadInput, match=f"malformed: {named}"):
        audit(folder)


def test_weights_positions_and_biases_are_those_of_the_readme(folder):
    (found,) = audit(folder).models
    table = (folder / "README.md").read_text()
    roles = ("weights", "where weights belong that are stored without their zeros", "biases")
    weights, positions, biases = (
        int(re.search(rf"\| flash \| {words} \| ([0-9,]+) \|", table)[1].replace(",", "")) for words in roles
    )
    apart = {item.what: item.bytes for item in found.uncounted}
    assert positions > 0 and apart["positions of weights"] == positions
    assert found.stored.bytes == weights + biases
