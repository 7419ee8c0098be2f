"""Latency rows are measured, complete, and independent of each other's failures."""

import sys
from pathlib import Path

import pytest

from edgeasc.bench.host import bench_host
from edgeasc.errors import BadInput, UsageError
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime import child
from edgeasc.runtime.catalogue import RUNTIMES

TFLITE = [name for name in ("litert", "tflite-runtime") if RUNTIMES[name].installed]
needs_two = pytest.mark.skipif(
    len(TFLITE) < 2 or not RUNTIMES["onnxruntime"].installed,
    reason="pip install onnxruntime ai-edge-litert tflite-runtime",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench")
    (path / "model.onnx").write_bytes(onnx_bytes(dummy_graph()))
    (path / "model.tflite").write_bytes(tflite_bytes(dummy_graph()))
    return path


def rows(document: dict) -> dict[str, dict]:
    return {row["runtime"]: row for row in document["results"]}


@needs_two
def test_every_runtime_of_a_folder_is_measured(folder: Path) -> None:
    document = bench_host(folder, runs=30, warmup=3)
    found = rows(document)
    assert set(found) == {"onnxruntime", "litert", "tflite-runtime"} and document["exit_code"] == 0
    for row in found.values():
        assert 0 < row["min_us"] <= row["median_us"] <= row["p90_us"] <= row["p99_us"]
        assert (row["runs"], row["threads"], row["warmup"], row["origin"]) == (30, 1, 3, "measured")
        assert row["version"] and row["probe_gflops"] > 0 and len(row["sha256"]) == 64


@needs_two
def test_the_machine_is_recorded(folder: Path) -> None:
    machine = bench_host(folder / "model.onnx", runs=1)["machine"]
    assert machine["logical_cores"] >= 1 and "onnxruntime" in machine["versions"] and machine["system"]


@needs_two
def test_a_runtime_that_aborts_is_a_row_and_nothing_else_dies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = child.worker_command

    def command(what: str, memory: int) -> list[str]:
        return [sys.executable, "-c", "import os; os.abort()"] if what == "litert" else real(what, memory)

    monkeypatch.setattr(child, "worker_command", command)
    document = bench_host(folder, runs=5)
    found = rows(document)
    assert "died" in found["litert"]["error"] and found["litert"]["exit_code"] == 5 and document["exit_code"] == 5
    assert found["onnxruntime"]["median_us"] > 0 and found["tflite-runtime"]["median_us"] > 0


@needs_two
def test_a_runtime_that_dies_while_timing_is_a_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads, answers once, then hangs: the others finish, the row says how it ended."""
    from edgeasc.runtime.runner import ChildRunner

    real = ChildRunner.time

    def time(self: ChildRunner, *args, **kwargs):
        if self.runtime == "litert":
            self._child._process.kill()
        return real(self, *args, **kwargs)

    monkeypatch.setattr(ChildRunner, "time", time)
    found = rows(bench_host(folder, runs=5))
    assert "died with" in found["litert"]["error"] and found["onnxruntime"]["median_us"] > 0


@needs_two
def test_a_quantised_onnx_is_lowered_where_a_tflite_runtime_is_asked_for(folder: Path) -> None:
    found = rows(bench_host(folder / "model.onnx", ["onnxruntime", "litert"], runs=5))
    assert found["litert"]["source"] == "written from model.onnx" and found["litert"]["median_us"] > 0
    assert found["onnxruntime"]["source"] == "file"


@needs_two
def test_threads_reach_the_runtime(folder: Path) -> None:
    assert rows(bench_host(folder / "model.tflite", runs=3, threads=2))["litert"]["threads"] == 2


def test_an_absent_runtime_is_a_row_that_names_its_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    document = bench_host(folder / "model.tflite", runs=1)
    assert {row["runtime"] for row in document["results"]} == {"litert", "tflite-runtime"}
    assert all("pip install" in row["error"] for row in document["results"]) and document["exit_code"] == 4


def test_a_runtime_that_reads_other_files_is_a_row(folder: Path) -> None:
    document = bench_host(folder / "model.tflite", ["onnxruntime"], runs=1)
    assert "does not run tflite" in document["results"][0]["error"] and document["exit_code"] == 2


@pytest.mark.parametrize("options", [{"runs": 0}, {"warmup": -1}, {"threads": 0}, {"runtimes": ["reference"]}])
def test_requests_that_make_no_sense_are_refused(folder: Path, options: dict) -> None:
    with pytest.raises(UsageError):
        bench_host(folder, **options)


def test_a_file_that_is_no_model_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"nothing")
    with pytest.raises(BadInput):
        bench_host(tmp_path / "m.tflite")
