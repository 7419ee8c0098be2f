"""Light commands stay light: what a fresh interpreter has imported when they are done, and how long they took."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
