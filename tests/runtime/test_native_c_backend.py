"""Generated C on the host: what a stranger's numbers do is found out under the sanitisers, whoever asks to run it."""

from dataclasses import replace

import pytest
from graph_builder import GraphBuilder

from edgeasc.export.c.bundle import bundle
from edgeasc.runtime.native_c import NativeCBackend

pytestmark = pytest.mark.needs("gcc")


def test_a_write_behind_the_arena_is_found_before_the_program_runs_without_sanitisers() -> None:
    net = GraphBuilder("int8", (1, 8, 12), 0)
    made = bundle(net.graph(net.mean("logits", net.conv("stem", "input", 4, (3, 3)), ("F", "T"), keep=False)))
    size = made.facts["arena_bytes"]
    header = made.files["scene.h"].replace(f"ARENA_BYTES {size}", f"ARENA_BYTES {size // 4}")
    assert header != made.files["scene.h"]
    hostile = replace(made, files={**made.files, "scene.h": header})
    with pytest.raises(ValueError, match="the sanitisers end the program"):
        NativeCBackend(hostile.payload, sanitise=False)
