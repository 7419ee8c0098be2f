"""`bench --target native-c`: integers under the sanitisers, time without, and an overrun is a row that says so."""

from dataclasses import replace
from pathlib import Path

import pytest
from graph_builder import GraphBuilder

from edgeasc.bench import native_c
from edgeasc.bench.mcu.bench import prepare
from edgeasc.bench.native_c import bench_native_c
from edgeasc.cli import main
from edgeasc.export.c.bundle import bundle, parse_payload, write_bundle
from edgeasc.graph.model import Form, IntegerGraph
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.runtime.artefact import c_artefact


def small(form: Form) -> IntegerGraph:
    """A convolution, a gate, a sum, a mean: quick to compile."""
    net = GraphBuilder(form, (1, 16, 12), 0)
    x = net.conv("stem", "input", 4, (3, 3), relu=True)
    return net.graph(net.mean("logits", net.add("sum", x, net.silu("silu", x)), ("F", "T"), keep=False))


pytestmark = pytest.mark.needs("gcc")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("native") / "model.onnx"
    path.write_bytes(onnx_bytes(small("int8")))
    return path


def test_every_clip_equals_the_reference_under_the_sanitisers(model: Path) -> None:
    document = bench_native_c([model], clips=4, runs=2)
    row = document["results"][0]
    assert (row["equal"], row["clips"], row["sanitised"], document["exit_code"]) == (4, 4, True, 0)
    assert row["median_us"] > 0 and row["arena_bytes"] > 0 and "without the sanitisers" in row["clock"]


def test_a_c_folder_is_compiled_as_it_is(tmp_path: Path) -> None:
    made = bundle(small("island"))
    write_bundle(made, tmp_path)
    row = bench_native_c([tmp_path], clips=1, runs=1)["results"][0]
    assert row["equal"] is None and row["source"] == "file" and row["arena_bytes"] == made.facts["arena_bytes"]


def test_a_write_behind_the_arena_is_a_row_that_ends_with_3(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An output placed behind the arena's end: plain code would pass over it, the look at the numbers does not."""

    def faulty(*given, **options):
        found = prepare(*given, **options)
        made = parse_payload(found.artefact.payload)
        size = made.facts["arena_bytes"]
        header = made.files["scene.h"].replace(f"ARENA_BYTES {size}", f"ARENA_BYTES {size // 4}")
        assert header != made.files["scene.h"]
        return replace(found, artefact=c_artefact(replace(made, files={**made.files, "scene.h": header})))

    monkeypatch.setattr(native_c, "prepare", faulty)
    document = bench_native_c([model], clips=1, runs=1)
    assert document["exit_code"] == 3 and "outside of its arena" in document["results"][0]["error"]


def test_other_integers_fail_the_bench(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(*given, **options):
        found = prepare(*given, **options)
        return replace(found, expected=found.expected ^ 1)

    monkeypatch.setattr(native_c, "prepare", shifted)
    document = bench_native_c([model], clips=2, runs=1)
    assert document["exit_code"] == 1 and document["results"][0]["equal"] == 0


def test_a_tflite_file_has_no_c_and_is_refused(tmp_path: Path) -> None:
    from edgeasc.export.tflite import tflite_bytes

    (tmp_path / "m.tflite").write_bytes(tflite_bytes(small("int8")))
    document = bench_native_c([tmp_path / "m.tflite"])
    assert document["exit_code"] == 3 and "has no C" in document["results"][0]["error"]


def test_an_absent_compiler_is_a_row_that_names_its_package(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    document = bench_native_c([model])
    assert document["exit_code"] == 4 and "apt-get install gcc" in document["results"][0]["error"]


def test_the_command_shows_equality_and_the_sanitisers(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(model), "--target", "native-c"]) == 0
    shown = capsys.readouterr().out
    assert "3/3" in shown and "address, undefined" in shown


@pytest.mark.parametrize(
    ("key", "value"),
    [("arena_bytes", "a"), ("arena_bytes", -5), ("form", "bogus"), ("form", 3), ("layers", None), ("layers", [3]),
     ("input", {"shape": [1, 1, -3, 4]}), ("output", {"shape": [1, 1 << 40]}), ("input", 7)],
)  # fmt: skip
def test_facts_that_cannot_be_are_a_bad_file(tmp_path: Path, key: str, value: object) -> None:
    made = bundle(small("island"))
    write_bundle(replace(made, facts={**made.facts, key: value}), tmp_path)
    document = bench_native_c([tmp_path], clips=1, runs=1)
    assert document["exit_code"] == 3 and document["results"][0]["error"].startswith("C folder: ")
