"""`bench --target vela:`: an estimate is marked as one, what falls to the core is named, every failure has its code."""

import subprocess
import sys
from pathlib import Path

import pytest
from graph_builder import GraphBuilder, bcresnet

from edgeasc.bench import vela
from edgeasc.bench.vela import UNITS, bench_vela, parse_operators, parse_summary
from edgeasc.cli import main
from edgeasc.errors import BadInput, ResourceExhausted, UsageError
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.count import count
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.onnx_write import onnx_bytes

needs_vela = pytest.mark.needs("ethosu")


def plain() -> IntegerGraph:
    """One dense convolution and a mean, which every NPU has."""
    net = GraphBuilder("int8", (1, 32, 20), 0)
    return net.graph(net.mean("logits", net.conv("stem", "input", 8, (5, 5)), ("F", "T"), keep=False))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vela") / "model.onnx"
    path.write_bytes(onnx_bytes(bcresnet("int8")))
    return path


@needs_vela
@pytest.mark.parametrize("unit", ["ethos-u55-128", "ethos-u65-256", "ethos-u85-256"])
def test_an_estimate_is_marked_as_one(model: Path, unit: str) -> None:
    row = bench_vela([model], [unit])["results"][0]
    assert row["origin"] == "estimated" and "nothing was executed" in row["model"] and row["version"]
    assert row["estimated_us"] == pytest.approx(row["cycles"] / row["clock_hz"] * 1e6, rel=1e-3)
    assert row["sram_bytes"] > 0 and row["dram_bytes"] + row["off_chip_flash_bytes"] > 0


@needs_vela
def test_json_keeps_the_shape_of_schema_1(model: Path) -> None:
    document = bench_vela([model], ["ethos-u55-128"])
    assert (document["schema"], document["target"], document["exit_code"]) == (1, "vela", 0)
    assert set(document["results"][0]) == {
        "path", "format", "source", "sha256", "target", "runtime", "version", "origin", "model", "system_config",
        "memory_mode", "estimated_us", "cycles", "clock_hz", "macs", "weight_bytes", "encoded_weight_bytes",
        "sram_bytes", "dram_bytes", "on_chip_flash_bytes", "off_chip_flash_bytes", "npu_operators", "cpu_operators",
    }  # fmt: skip


@needs_vela
def test_operators_on_the_core_are_listed_with_the_reason(model: Path) -> None:
    fallen = bench_vela([model], ["ethos-u55-128"])["results"][0]["cpu_operators"]
    named = {each["name"]: each for each in fallen}
    assert named["stage1.norm/mean"]["op"] == "Mean" and "depth" in named["stage1.norm/mean"]["why"]
    assert "stem" not in named


@needs_vela
def test_a_network_that_the_unit_has_whole_leaves_nothing_to_the_core(tmp_path: Path) -> None:
    graph = plain()
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(graph))
    row = bench_vela([tmp_path / "m.tflite"], ["ethos-u55-64"])["results"][0]
    assert row["cpu_operators"] == [] and row["npu_operators"] >= 2
    assert row["macs"] >= count(graph).macs


@needs_vela
def test_an_island_falls_to_the_core(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(tflite_bytes(bcresnet("island")))
    fallen = bench_vela([tmp_path / "m.tflite"], ["ethos-u55-128"])["results"][0]["cpu_operators"]
    assert any("Float32" in each["why"] for each in fallen)


def test_half_a_file_is_bad_input_before_the_compiler_sees_it(tmp_path: Path) -> None:
    payload = tflite_bytes(plain())
    (tmp_path / "m.tflite").write_bytes(payload[: len(payload) // 2])
    with pytest.raises(BadInput, match="damaged file"):
        bench_vela([tmp_path / "m.tflite"], ["ethos-u55-128"])


def test_a_compiler_that_hangs_is_ended(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vela, "_RUN", "import time; time.sleep(600)")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    document = bench_vela([model], ["ethos-u55-128"], timeout=0.5)
    assert document["exit_code"] == 5 and "no end within 0.5 s" in document["results"][0]["error"]


@pytest.mark.parametrize(
    ("program", "code", "words"),
    [
        ("import os; os.abort()", 5, "died with signal 6"),
        ("import sys; sys.exit('no such layer')", 3, "refused: no such layer"),
        ("", 5, "wrote 0 files"),
    ],
)
def test_every_end_of_the_compiler_has_its_code(model: Path, monkeypatch, program: str, code: int, words: str) -> None:
    monkeypatch.setattr(vela, "_RUN", program)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    document = bench_vela([model], ["ethos-u55-128"])
    assert document["exit_code"] == code and words in document["results"][0]["error"]


def test_an_absent_compiler_is_a_row_that_names_the_package(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    document = bench_vela([model], ["ethos-u55-128"])
    assert document["exit_code"] == 4 and "edgeasc[mcu]" in document["results"][0]["error"]


def test_an_unknown_unit_names_the_nearest(model: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'ethos-u55-128'"):
        bench_vela([model], ["ethos-u55-129"])


@needs_vela
def test_the_compiler_knows_every_unit() -> None:
    done = subprocess.run([sys.executable, "-m", "ethosu.vela", "--help"], capture_output=True, text=True, check=True)
    assert all(f"{name}," in done.stdout or f"{name}}}" in done.stdout for name in UNITS)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "inference_time,cycles_total\nnan,1\n"])
def test_a_summary_of_nonsense_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(ResourceExhausted, match="makes no sense"):
        parse_summary(tmp_path / "s.csv")


def test_a_table_of_operators_of_nonsense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ResourceExhausted, match="makes no sense"):
        parse_operators(tmp_path / "s.csv", "")


@needs_vela
def test_the_command_names_what_falls_to_the_core(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(model), "--target", "vela:ethos-u55-128"]) == 0
    shown = capsys.readouterr().out
    assert "estimated" in shown and "left to the core" in shown and "stage1.norm/mean" in shown
