"""A disk that fills up at any byte, and a process killed at any moment."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from tones import recipe, tones

from edgeasc.runs import Run
from edgeasc.train.run import train_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE and SIGKILL are POSIX")

FILL = """
import resource, sys
from pathlib import Path
import torch
from edgeasc.errors import ResourceExhausted
from edgeasc.train.weights import write_tensors
path = Path(sys.argv[1])
write_tensors(path, {"a": torch.zeros(1000)})
old = path.read_bytes()
refused = 0
for limit in range(0, len(old) + 200, 200):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_tensors(path, {"a": torch.ones(1000)})
    except ResourceExhausted:
        refused += 1
        assert path.read_bytes() == old and list(path.parent.iterdir()) == [path], limit
assert path.read_bytes() != old  # the last limit was enough
print(refused)
"""

TRAIN = """
import sys
from pathlib import Path
from tones import recipe, tones
from edgeasc.train.run import train_run
train_run(recipe(train={"epochs": 40}), *tones(), Path(sys.argv[1]), resume=True)
"""


def python(code, argument):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, str(argument)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_disk_full_at_any_byte_of_a_checkpoint_keeps_the_old_one(tmp_path):
    said, wrong = python(FILL, tmp_path / "last.safetensors").communicate(timeout=120)
    assert wrong == ""
    assert int(said) >= 20


@pytest.mark.slow
def test_run_killed_again_and_again_ends_bit_identical(tmp_path):
    long = recipe(train={"epochs": 40})
    whole = train_run(long, *tones(), tmp_path / "whole")
    broken, rng, kills = Run(tmp_path / "broken"), np.random.default_rng(0), 0
    while kills < 4:
        before = broken.optimizer.stat().st_mtime_ns if broken.optimizer.exists() else 0
        process = python(TRAIN, broken.path)
        deadline = time.monotonic() + 120  # the next finished epoch, then some random moment
        while process.poll() is None and time.monotonic() < deadline:
            if broken.optimizer.exists() and broken.optimizer.stat().st_mtime_ns != before:
                time.sleep(rng.uniform(0, 0.1))
                break
            time.sleep(0.005)
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills += 1
    assert kills == 4
    (broken.path / ".best.safetensors.x.part").write_bytes(b"what a killed writer leaves")
    resumed = train_run(long, *tones(), broken.path, resume=True)
    assert not list(broken.path.rglob("*.part"))
    assert resumed.info().state == "complete"
    for name in ("best", "last", "optimizer", "evaluate_file"):
        assert getattr(resumed, name).read_bytes() == getattr(whole, name).read_bytes()
    assert [row["epoch"] for row in resumed.history()] == [str(epoch) for epoch in range(1, 41)]
