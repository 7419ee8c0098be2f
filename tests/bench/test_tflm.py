"""`bench --target tflm`: the arena, equal integers in form `int8`, and a time that is called the host's."""

from pathlib import Path

import pytest
from graph_builder import bcresnet

from edgeasc.bench import tflm
from edgeasc.bench.agreement import expected_of
from edgeasc.bench.tflm import bench_tflm
from edgeasc.cli import main
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.onnx_write import onnx_bytes

pytestmark = pytest.mark.needs("tflite_micro")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tflm") / "model.onnx"
    path.write_bytes(onnx_bytes(bcresnet("int8")))
    return path


def test_form_int8_gives_the_integers_of_the_reference(model: Path) -> None:
    document = bench_tflm([model], runs=1, warmup=0, clips=8)
    row = document["results"][0]
    assert (row["equal"], row["clips"], document["exit_code"]) == (8, 8, 0) and row["form"] == "int8"


def test_the_arena_is_that_of_the_interpreter(model: Path) -> None:
    row = bench_tflm([model], runs=1, warmup=0, clips=1)["results"][0]
    activations = 2 * 8 * 16 * 10  # input and output of a stage-1 operator live at once
    assert row["arena_bytes"] == row["arena_head_bytes"] + row["arena_tail_bytes"] > activations


def test_json_keeps_the_shape_of_schema_1(model: Path) -> None:
    document = bench_tflm([model], runs=1, warmup=0, clips=1)
    assert (document["schema"], document["target"]) == (1, "tflm")
    assert set(document["results"][0]) == {
        "path", "format", "source", "sha256", "target", "runtime", "origin", "version", "notes", "threads", "warmup",
        "runs", "median_us", "p90_us", "p99_us", "min_us", "probe_gflops", "probe_gflops_range", "arena_bytes",
        "arena_head_bytes", "arena_tail_bytes", "clips", "equal", "max_steps", "top1", "form", "clock",
    }  # fmt: skip


def test_its_time_is_called_the_hosts(model: Path) -> None:
    row = bench_tflm([model], runs=3, warmup=0, clips=1)["results"][0]
    assert row["clock"] == "timed on this machine, not on a chip" and row["median_us"] > 0


def test_other_integers_fail_the_bench(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(path: Path, clips: int):
        expected = expected_of(path, clips)
        assert expected is not None
        expected.logits[0, 0] += expected.scale
        return expected

    monkeypatch.setattr(tflm, "expected_of", shifted)
    document = bench_tflm([model], runs=1, warmup=0, clips=2)
    assert document["exit_code"] == 1 and document["results"][0]["equal"] == 1


def test_a_tflite_file_is_measured_without_a_comparison(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(bcresnet("int8")))
    row = bench_tflm([tmp_path / "m.tflite"], runs=1, warmup=0)["results"][0]
    assert row["equal"] is None and row["arena_bytes"] > 0


def test_an_absent_package_is_a_row_that_names_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    document = bench_tflm([model], runs=1)
    assert document["exit_code"] == 4 and "pip install tflite-micro" in document["results"][0]["error"]


def test_the_command_shows_the_arena(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(model), "--target", "tflm"]) == 0
    shown = capsys.readouterr().out
    assert "arena B" in shown and "not on a chip" in shown and "3/3" in shown
