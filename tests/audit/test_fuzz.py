"""Two hundred damaged files of each format through the audit, and files made to cost much; `benchmarks/fuzz_audit.py`.

Each is judged by how its process ends, hence forks; the script runs by itself, where no thread of a test is in the way.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeasc.audit import audit
from edgeasc.cli import main
from edgeasc.errors import BadInput
from edgeasc.export.tflite import flatbuffer
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "benchmarks" / "fuzz_audit.py"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks: runs on Linux and macOS")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_two_hundred_damaged_files_are_counted_or_refused(tmp_path: Path, suffix: str) -> None:
    command = [sys.executable, str(FUZZ), "--files", "200", "--formats", suffix, "--arena", "0", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment())
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    result = json.loads(next(tmp_path.glob("*.json")).read_text())["results"][0]
    assert (result["files"], result["faults"]) == (200, [])
    assert {"0", "1", "3"} == set(result["exit_codes"])  # the damage reaches every outcome
    assert sum(result["exit_codes"].values()) == 200


WORKS = {
    "signal": ("os.kill(os.getpid(), signal.SIGSEGV)", "exit code -11"),
    "traceback": ("int('x')", "traceback"),
    "other code": ("5", "exit code 5"),
    "internal": ("sys.stderr.write('edgeasc: error: internal error: KeyError') and 1", "traceback"),
    "memory": ("len(bytearray(1_100_000_000)) * 0", "bytes of memory"),
    "a child's memory": ("os.system(sys.executable + ' -c \"bytearray(1_100_000_000)\"') * 0", "bytes of memory"),
    "time": ("time.sleep(60)", "exit code None"),
    "processor": ("sum(range(3 * 10**7)) * 0", "of the processor"),
    "two lines": (
        "len('edgeasc: error' * 2) and sys.stderr.write('edgeasc: error\\n' * 2) * 0 + 3",
        "more than one line",
    ),
}


@pytest.mark.parametrize("name", WORKS)
def test_the_judge_notices(name: str) -> None:
    code, wanted = WORKS[name]
    program = f"""
import os, signal, sys, time
sys.path.insert(0, {str(FUZZ.parent)!r})
import fuzz_audit
from fuzz_audit import in_child
fuzz_audit.SECONDS = 0.2
print(in_child(lambda: {code}, patience={4.0 if name == "time" else 100.0}).faults)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment())
    assert wanted in done.stdout, done.stdout + done.stderr


def environment() -> dict[str, str]:
    """This process's, with the checkout found and warnings of forks beside numpy's threads kept quiet."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def blocked(block: int) -> bytes:
    """Weights [8, 8] with zero points [2, 8], said to hold for blocks of `block` rows."""
    arrays = {"q": np.ones((8, 8), np.int8), "s": np.ones((2, 8), np.float32), "z": np.ones((2, 8), np.int8)}
    constants = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=0, block_size=block),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "xy"]
    graph = helper.make_graph(nodes, "blocks", ends[:1], ends[1:], constants)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("block", [4, 2**24, 2**31 - 1, 2**62])
def test_blocks_larger_than_the_weights_cost_nothing(tmp_path: Path, block: int) -> None:
    path = tmp_path / "blocks.onnx"
    path.write_bytes(blocked(block))
    parameters = audit(path, arena=False).models[0].parameters
    assert (parameters.total, parameters.nonzero) == (64, 0)  # every 1 is its zero point


def test_shape_inference_that_dies_refuses_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dying(tmp_path, monkeypatch, "SEGV")
    with pytest.raises(BadInput, match=r"does not survive it \(signal 11\)"):
        audit(path, arena=False)


def test_shape_inference_that_runs_out_of_time_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dying(tmp_path, monkeypatch, "XCPU")
    with pytest.raises(BadInput, match="no end within 5 s of the processor"):
        audit(path, arena=False)


def dying(folder: Path, monkeypatch: pytest.MonkeyPatch, signal_name: str) -> Path:
    """A model whose shape inference ends with a signal."""
    interpreter = folder / "python"
    interpreter.write_text(f"#!/bin/sh\nkill -{signal_name} $$\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    path = folder / "blocks.onnx"
    path.write_bytes(blocked(4))
    return path


def test_shape_inference_has_an_end_on_the_processor() -> None:
    program = "from edgeasc.graph.onnx_shapes import _limit_processor as limit; limit(1)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", program], env=environment(), timeout=200)
    assert done.returncode == -signal.SIGXCPU


def shared(monkeypatch: pytest.MonkeyPatch, code: int, times: int, channels: int) -> bytes:
    """One buffer of a megabyte as `times` tensors of type `code`, with as many zero points as `channels`."""
    monkeypatch.setitem(flatbuffer.TYPES, np.dtype(np.uint8), code)
    model, data = Model(), np.zeros(2**20, np.uint8)
    elements = 2**21 if code == 17 else 2**20
    scale = np.full(channels, 0.1, np.float32)
    x = model.add_tensor(Tensor("x", (1, 4), np.dtype(np.float32)))
    shape = (channels, elements // channels)
    rows = [Tensor(f"w{i}", shape, np.dtype(np.uint8), scale, 3, 0, data) for i in range(times)]
    weights = [model.add_tensor(row) for row in rows]
    y = model.add_tensor(Tensor("y", (1, 4), np.dtype(np.float32)))
    model.operators.append(Operator("CONCATENATION", 1, (x, *weights), (y,), "ConcatenationOptions", {}))
    model.inputs, model.outputs = [x], [y]
    return model.to_bytes()


@pytest.mark.parametrize(("code", "channels"), [(9, 2**20), (17, 1)], ids=["zero points", "int4"])
def test_a_file_that_multiplies_its_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, channels: int
) -> None:
    path = tmp_path / "shared.tflite"
    path.write_bytes(shared(monkeypatch, code, 60, channels))
    with pytest.raises(BadInput, match="constants add up"):
        audit(path, arena=False)


def test_a_buffer_that_a_few_tensors_share_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shared.tflite"
    path.write_bytes(shared(monkeypatch, 9, 4, 1))
    assert audit(path, arena=False).models[0].parameters.total == 2**20


def test_words_of_a_file_cannot_make_an_endless_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.onnx"
    model = onnx.ModelProto()
    model.ParseFromString(blocked(4))
    model.graph.node[0].input[0] = "q" * 100_000
    model.metadata_props.add(key="edgeasc.form", value="[" * 100_000)
    path.write_bytes(model.SerializeToString())
    assert main(["audit", str(path), "--no-arena"]) == 3
    assert len(capsys.readouterr().err) < 2200
