"""The second opinion: the same graph written by TensorFlow's own converter, in a process of its own.

TensorFlow is imported in the child only (`edgeasc.export.tensorflow_child`): it takes seconds, and tflite-runtime does
not survive beside it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from edgeasc.errors import BadInput, MissingDependency, ResourceExhausted
from edgeasc.graph.model import IntegerGraph

TIMEOUT_SECONDS = 600


def tensorflow_tflite_bytes(graph: IntegerGraph) -> bytes:
    """The `.tflite` file that TensorFlow's converter makes of `graph`, with the graph's metadata.

    The scales are given to the converter as fake quantisation and come out the same to a float32 rounding. Weights are
    quantised again by the converter, which gives the graph's integers where a channel reaches 127.

    Raises:
        MissingDependency: TensorFlow is not installed.
        BadInput: the converter refuses the graph.
        ResourceExhausted: the child died or took more than ten minutes.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingDependency("tensorflow", "not installed; pip install 'edgeasc[tensorflow]'")
    from edgeasc.graph.onnx_write import onnx_bytes

    with tempfile.TemporaryDirectory(prefix="edgeasc-") as folder:
        source, metadata, result = (Path(folder, name) for name in ("graph.onnx", "metadata.json", "model.tflite"))
        source.write_bytes(onnx_bytes(graph))
        metadata.write_text(json.dumps(graph.metadata), encoding="utf-8")
        _run_child(source, metadata, result)
        return result.read_bytes()


def _run_child(source: Path, metadata: Path, result: Path) -> None:
    command = [sys.executable, "-m", "edgeasc.export.tensorflow_child", *map(str, (source, metadata, result))]
    package_root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH", "")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(part for part in (package_root, inherited) if part),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    try:
        child = subprocess.run(command, env=environment, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ResourceExhausted("tensorflow", f"the converter took more than {TIMEOUT_SECONDS} s") from None
    if child.returncode == 0 and result.is_file():
        return
    said = child.stderr.decode(errors="replace").strip().splitlines()
    why = said[-1] if said else "it said nothing"
    if child.returncode > 0:
        raise BadInput("tensorflow", f"the converter refuses the graph: {why}")
    raise ResourceExhausted("tensorflow", f"the converter died (status {child.returncode}): {why}")
