"""Generated C on the host: what a stranger's numbers do is found out under the sanitisers, whoever asks to run it."""

import re
from dataclasses import replace

import pytest
from graph_builder import GraphBuilder

from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle
from edgeasc.runtime.native_c import NativeCBackend

pytestmark = pytest.mark.needs("gcc")


def test_a_read_behind_a_table_is_found_before_the_program_runs_without_sanitisers() -> None:
    net = GraphBuilder("int8", (1, 8, 12), 0)
    made = bundle(net.graph(net.mean("logits", net.conv("stem", "input", 4, (3, 3)), ("F", "T"), keep=False)))
    short = {name: re.sub(r"(w_s0_stem)\[\d+\]", r"\1[1]", made.files[name]) for name in ("weights.c", "weights.h")}
    short["weights.c"] = re.sub(r"(w_s0_stem\[1\] = \{\n +-?\d+,)[^}]*", r"\1\n", short["weights.c"])
    assert short["weights.c"] != made.files["weights.c"]
    hostile = replace(made, files={**made.files, **short})
    with pytest.raises(ValueError, match="the sanitisers end the program"):
        NativeCBackend(hostile.payload, sanitise=False)


def test_a_place_outside_the_arena_is_refused_before_anything_is_compiled() -> None:
    net = GraphBuilder("int8", (1, 8, 12), 0)
    made = bundle(net.graph(net.mean("logits", net.conv("stem", "input", 4, (3, 3)), ("F", "T"), keep=False)))
    far = re.sub(r"EA_AFTER\(0, (\S+), a \+ \d+", r"EA_AFTER(0, \1, a + 99999999", made.files["scene.c"])
    assert far != made.files["scene.c"]
    with pytest.raises(BadInput, match="outside of its arena"):
        NativeCBackend(replace(made, files={**made.files, "scene.c": far}).payload)
