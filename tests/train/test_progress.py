"""Progress: a bar on a terminal, lines elsewhere, silence on request."""

import io

from edgeasc.train.progress import Bar, Lines, progress_for

ROW = {"phase": "train", "epoch": 2, "train_loss": 0.51239, "validation_macro_accuracy": 0.875, "sparsity": 0.5}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_say_phase_epoch_and_scores():
    stream = io.StringIO()
    lines = progress_for(stream=stream)
    lines.phase("train", 5, 0, 10)
    lines.step()
    lines.epoch(ROW)
    assert isinstance(lines, Lines)
    assert stream.getvalue() == "train 2/5  loss 0.512  validation UAR 87.5%  sparsity 50.0%\n"


def test_quiet_says_nothing():
    stream = Terminal()
    quiet = progress_for(quiet=True, stream=stream)
    quiet.phase("train", 5, 0, 10)
    quiet.epoch(ROW)
    quiet.note("anything")
    assert stream.getvalue() == ""


def test_bar_counts_the_steps_of_a_resumed_phase():
    stream = Terminal()
    bar = progress_for(stream=stream)
    bar.phase("train", 5, 1, 10)
    for _ in range(10):
        bar.step()
    bar.epoch(ROW)
    bar.close()
    assert isinstance(bar, Bar)
    assert "20/50" in stream.getvalue()
    assert "87.5%" in stream.getvalue()
