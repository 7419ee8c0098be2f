"""Programs compiled from graphs: the text that is exported, on this machine, under the sanitisers."""

import subprocess

import numpy as np
import pytest

from edgeasc.export.c.bundle import bundle
from edgeasc.runtime.native_c import build_host


@pytest.fixture
def compiled(tmp_path):
    """Builds a graph's C and runs it: int8 inputs `[B, ...]` to int8 outputs `[B, n]`."""

    def run(graph, values, plan=()):
        text = bundle(graph, plan=plan)
        program, _, sanitised = build_host(text, tmp_path, sanitise=True)
        assert sanitised
        done = subprocess.run([program], input=values.tobytes(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()[:2000]
        return np.frombuffer(done.stdout, np.int8).reshape(len(values), -1)

    return run
