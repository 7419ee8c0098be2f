"""Event files are read by TensorBoard's own reader."""

import json
import subprocess
import sys

from edgeasc.train.events import append_event, write_events

# TensorBoard's reader would import TensorFlow; `notf` is its own switch against that.
READER = """
import json, sys, types, warnings
warnings.simplefilter("ignore")
sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
tags = events.Tags()["scalars"]
print(json.dumps({tag: [(e.step, e.value, e.wall_time) for e in events.Scalars(tag)] for tag in tags}))
"""


def row(epoch, loss):
    return {"phase": "train", "epoch": str(epoch), "train_loss": loss, "sparsity": "", "finished": str(1000 + epoch)}


def test_tensorboard_reads_what_was_written_and_appended(tmp_path):
    path = tmp_path / "tb" / "events.out.tfevents.edgeasc"
    write_events(path, [row(1, "1.5")])
    append_event(path, 2, row(2, "0.75"))
    done = subprocess.run([sys.executable, "-c", READER, str(path.parent)], capture_output=True, text=True)
    assert json.loads(done.stdout) == {"train/train_loss": [[1, 1.5, 1001.0], [2, 0.75, 1002.0]]}, done.stderr
