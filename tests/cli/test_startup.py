"""Light commands stay light: what a fresh interpreter has imported when they are done, and how long they took."""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tflite_file import Op, T, tflite_file

from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes

HEAVY = {"torch", "lightning", "tensorflow", "onnxruntime", "ai_edge_litert", "tflite_runtime", "tflite_micro", "scipy"}
PROGRAM = """
import json, sys
from edgeasc.cli import main
code = main(sys.argv[1:])
print("\\n" + json.dumps({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def run(*arguments: str) -> tuple[int, set[str], str]:
    """Exit code, top-level modules imported at the end, and the command's own output."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    output, last = done.stdout.rsplit("\n", 2)[0], done.stdout.strip().splitlines()[-1]
    found = json.loads(last)
    return found["code"], set(found["modules"]), output


def best_seconds(*arguments: str) -> float:
    """The best of five runs as a user starts them: wall time, or processor time on a machine that is busy otherwise."""
    spent = []
    for _ in range(5):
        before, start = os.times(), time.perf_counter()
        subprocess.run([sys.executable, "-m", "edgeasc", *arguments], capture_output=True, check=True)
        wall, after = time.perf_counter() - start, os.times()
        processor = after.children_user + after.children_system - before.children_user - before.children_system
        spent.append(min(wall, processor or wall))  # Windows does not tell the children's
    return min(spent)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("model") / "model.tflite"
    path.write_bytes(tflite_bytes(dummy_graph()))
    return str(path)


def test_help_imports_nothing_heavier_than_click() -> None:
    code, modules, output = run("--help")
    assert code == 0
    assert "audit" in output
    assert not modules & (HEAVY | {"pydantic", "onnx", "rich", "numpy", "tflite"})


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_audit_of_a_tflite_file_needs_neither_torch_nor_a_runtime(model: str, form: str) -> None:
    code, modules, _ = run("audit", model, "--format", form)
    assert code == 0
    assert not modules & (HEAVY | {"onnx"})


def test_rules_are_read_without_numerics() -> None:
    _, modules, output = run("rules", "qti-report")
    assert "DCASE 2021" in output
    assert not modules & (HEAVY | {"onnx", "tflite"})


def test_help_takes_less_than_three_tenths_of_a_second() -> None:
    assert best_seconds("--help") < 0.3


def test_audit_of_a_tflite_file_takes_less_than_a_second(model: str) -> None:
    assert best_seconds("audit", model) < 1.0


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .tflite of 600 kB: sixty pointwise convolutions of 100 channels with seeded weights, which do not compress."""
    rng = np.random.default_rng(0)
    tensors, operators = [T("x0", (1, 64, 44, 100), scale=0.1)], []
    for number in range(60):
        weights = rng.integers(-127, 128, (100, 1, 1, 100))
        tensors += [
            T(f"w{number}", (100, 1, 1, 100), "int8", weights, np.ones(100)),
            T(f"b{number}", (100,), "int32", rng.integers(-9_999, 9_999, 100), np.ones(100)),
            T(f"x{number + 1}", (1, 64, 44, 100), scale=0.1),
        ]
        inputs = [f"x{number}", f"w{number}", f"b{number}"]
        operators.append(Op("CONV_2D", inputs, [f"x{number + 1}"], "Conv2DOptions"))
    path: Path = tmp_path_factory.mktemp("large") / "large.tflite"
    path.write_bytes(tflite_file(tensors, operators, ["x0"], ["x60"]))
    return path


def test_audit_of_600_kb_takes_less_than_half_a_second_with_the_base_install(large: Path) -> None:
    """`make base` runs this where nothing else is installed; where TFLM is, its own measurement is left out."""
    assert large.stat().st_size > 600_000
    without_tflm = ["--no-arena"] if find_spec("tflite_micro") else []
    assert best_seconds("audit", str(large), *without_tflm) < 0.5


def test_audit_reads_targets_and_estimates_only_when_asked(large: Path) -> None:
    program = "import sys; from edgeasc.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    arguments = [sys.executable, "-c", program, "audit", str(large), "--no-arena"]
    found = set(subprocess.run(arguments, capture_output=True, text=True, check=True).stderr.split())
    assert "edgeasc.audit.lint" in found
    assert not found & {"edgeasc.audit.estimate", "edgeasc.audit.runtimes", "edgeasc.audit.fit"}
