"""TensorFlow's converter as an independent second writer: its file computes the integers of ours."""

import subprocess
import sys

import numpy as np
import pytest
import tflite
import torch
from graph_builder import bcresnet, clips
from judges import builtin_ref
from transformer_toys import quantised_transformer, waves

from edgeasc.compress.quantnet import running
from edgeasc.errors import BadInput, MissingDependency, ResourceExhausted
from edgeasc.export import tensorflow
from edgeasc.export.tensorflow import tensorflow_tflite_bytes
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph import reference
from edgeasc.graph.model import Form

needs_tensorflow = pytest.mark.skipif(
    tensorflow.importlib.util.find_spec("tensorflow") is None, reason="wants the package tensorflow"
)


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("form", ["int8", "island"])
def test_the_converters_file_computes_our_integers(form: Form) -> None:
    graph = bcresnet(form, seed=1)
    inputs = clips(graph, 12, 5)
    theirs = tensorflow_tflite_bytes(graph)
    model = tflite.Model.GetRootAsModel(theirs, 0)
    names = {model.Metadata(i).Name().decode() for i in range(model.MetadataLength())}
    assert set(graph.metadata) <= names
    ours = reference.run(graph, inputs)[graph.output] if form == "int8" else builtin_ref(tflite_bytes(graph), inputs)
    assert len(np.unique(ours)) > 12
    np.testing.assert_array_equal(builtin_ref(theirs, inputs), ours)


@needs_tensorflow
@pytest.mark.slow
def test_the_converters_file_computes_our_integers_of_a_waveform() -> None:
    import sequence_toys  # which needs torch

    graph = sequence_toys.frozen("odd sizes")
    inputs, theirs = sequence_toys.clips(graph, 8), tensorflow_tflite_bytes(graph)
    ours = reference.run(graph, inputs)[graph.output]
    assert len(np.unique(ours)) > 12
    np.testing.assert_array_equal(builtin_ref(theirs, inputs), ours)


def test_a_missing_tensorflow_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"edgeasc\[tensorflow\]"):
        tensorflow_tflite_bytes(bcresnet("int8"))


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("raise SystemExit('no such operator')", BadInput, "refuses the graph: no such operator"),
        ("import os; os.kill(os.getpid(), 9)", ResourceExhausted, "died .*-9"),
        ("pass", ResourceExhausted, "died .*status 0"),
    ],
)
def test_what_became_of_the_child_is_said(
    code: str, error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_run = subprocess.run

    def run(command: list[str], **options: object) -> object:
        return real_run([sys.executable, "-c", code], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(tensorflow.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(tensorflow.subprocess, "run", run)
    with pytest.raises(error, match=said):
        tensorflow_tflite_bytes(bcresnet("int8"))


def test_the_parent_never_imports_tensorflow() -> None:
    code = "import sys, edgeasc.export.tensorflow; print('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@needs_tensorflow
@pytest.mark.slow
def test_the_converters_transformer_is_ours_but_for_ties() -> None:
    """It spells attention with other operators, and GELU in int8."""
    net = quantised_transformer()
    graph = net.freeze()
    with torch.no_grad(), running(net, "fake"):
        inputs = net.integers("input", net.place("input", waves(16, 5))).numpy().astype(np.int8)
    theirs, ours = (builtin_ref(model, inputs) for model in (tensorflow_tflite_bytes(graph), tflite_bytes(graph)))
    assert len(np.unique(ours)) > 20
    steps = np.abs(theirs.astype(int) - ours)
    assert steps.max() <= 4 and steps.mean() < 1
