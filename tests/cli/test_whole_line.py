"""Every verb once, in the order of the work, as a user calls them: exit codes, files, and what they print."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgeasc.cli import main

pytestmark = pytest.mark.slow
pytest.importorskip("torch", reason="pip install 'edgeasc[train]'")
pytest.importorskip("soundfile", reason="pip install 'edgeasc[audio]'")


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one call."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """The JSON document of a call that succeeds."""
    code, out, err = call(capsys, *arguments, "--format", "json", "--quiet")
    assert (code, err) == (0, "")
    return json.loads(out)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, recordings: Path, recipe: str) -> Path:
    """A folder with `float`, `small` and `build`, made by train, compress and export."""
    folder: Path = tmp_path_factory.mktemp("line")
    common = ["--data", str(recordings), "--cache", str(folder / "cache"), "--quiet"]
    assert main(["train", recipe, *common, "--out", str(folder / "float")]) == 0
    compress = ["compress", str(folder / "float"), "--budget", "1100", *common, "--out", str(folder / "small")]
    assert main(compress) == 0
    assert main(["export", str(folder / "small"), "--quiet", "--out", str(folder / "build")]) == 0
    return folder


def test_the_exported_folder_holds_both_formats_and_their_proof(line: Path) -> None:
    names = {path.name for path in (line / "build").iterdir()}
    assert names == {"manifest.json", "model.onnx", "model.tflite", "parity.json", "parity.safetensors"}


def test_audit_of_the_run_and_of_both_files_agree(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [line / "small", line / "build" / "model.onnx", line / "build" / "model.tflite"]
    models = document(capsys, "audit", *paths, "--budget", "1100", "--no-arena")["models"]
    assert len({json.dumps([model["parameters"], model["macs"]]) for model in models}) == 1
    assert 0 < models[0]["parameters"]["nonzero_bytes"] <= 1100


def test_audit_of_the_run_knows_the_papers_rule(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = document(capsys, "audit", line / "small", "--rules", "qti-report", "--no-arena")["models"][0]["rules"][0]
    kept, others = rule["lines"]
    assert rule["bytes"] == kept["elements"] + 2 * others["elements"]


def test_audit_of_a_float_run_counts_its_weights(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model,) = document(capsys, "audit", line / "float")["models"]
    inventory = json.loads((line / "small" / "inventory.json").read_text())
    total = sum(tensor["total"] for tensor in inventory["tensors"])
    assert (model["format"], model["parameters"]["total"], model["parameters"]["bytes"]) == ("run", total, 4 * total)


def test_evaluate_scores_a_run_on_its_own_test_clips(
    line: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", recordings, "--cache", line / "cache"]
    float_scores = document(capsys, "evaluate", line / "float", *data)
    int8_scores = document(capsys, "evaluate", line / "small", *data)
    stored = json.loads((line / "float" / "evaluate.json").read_text())
    assert float_scores["n"] == int8_scores["n"] == stored["n"] < 60
    assert float_scores["accuracy"] == stored["accuracy"]
    assert float_scores["split"] == stored["split"]


def test_evaluate_scores_a_bare_file_on_all_clips(
    line: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = line / "build" / "model.tflite"
    found = document(capsys, "evaluate", path, "--data", recordings, "--runtime", "tflite-reference")
    assert (found["n"], found["split"].startswith("all clips of")) == (60, True)
    assert set(found["per_class"]) == {"low", "mid", "high"}


def test_verify_passes_and_then_finds_one_flipped_bit(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "verify", line / "build")["passed"]
    broken = line / "broken"
    shutil.copytree(line / "build", broken)
    payload = bytearray((broken / "model.tflite").read_bytes())
    payload[len(payload) // 2] ^= 1
    (broken / "model.tflite").write_bytes(bytes(payload))
    code, out, err = call(capsys, "verify", broken)
    assert (code, "model.tflite sha256" in out, len(err.splitlines())) == (1, True, 1)


def test_an_exported_folder_exports_again_with_its_own_parity_inputs(
    line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = document(capsys, "export", line / "build", "--tflite", "--out", tmp_path / "again")
    assert (tmp_path / "again" / "model.tflite").read_bytes() == (line / "build" / "model.tflite").read_bytes()
    assert made["parity"]["inputs"] == json.loads((line / "build" / "parity.json").read_text())["inputs"]


def test_an_exported_folder_whose_model_was_changed_is_refused(
    line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(line / "build", tmp_path / "build")
    model = tmp_path / "build" / "model.onnx"
    model.write_bytes(model.read_bytes() + b"\x00")
    code, _, error = call(capsys, "export", tmp_path / "build", "--tflite", "--out", tmp_path / "again")
    assert (code, "changed since" in error) == (3, True)


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code, _, error = call(capsys, "export", line / "build", "--out", tmp_path / "file" / "build")
    assert (code, "no folder that you may write to" in error) == (2, True)


def test_predict_names_scenes_with_probabilities(
    line: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = [recordings / "low" / "00.wav", recordings / "high" / "01.wav"]
    found = document(capsys, "predict", line / "build" / "model.tflite", *audio)["predictions"]
    assert [one["path"] for one in found] == [str(path) for path in audio]
    assert all(sum(one["probabilities"].values()) == pytest.approx(1) for one in found)
    code, out, _ = call(capsys, "predict", line / "small", *audio)
    assert (code, "recording" in out) == (0, True)


def test_bench_gives_a_row_per_runtime(line: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "bench", line / "small", "--runs", "10", "--warmup", "2")
    rows = {row["runtime"]: row for row in found["results"]}
    assert set(rows) == {"onnxruntime", "litert", "tflite-runtime", "torch"}
    assert all(row["median_us"] > 0 for row in rows.values())


def test_training_again_into_the_same_folder_is_refused(
    line: Path, recordings: Path, recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, "train", recipe, "--data", recordings, "--quiet", "--out", line / "float")
    assert (code, "--resume" in err) == (2, True)


def test_an_impossible_budget_is_refused_before_training(
    line: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = line / "impossible"
    code, _, err = call(
        capsys, "compress", line / "float", "--budget", "100", "--data", recordings, "--quiet", "--out", out
    )
    assert (code, "smallest possible" in err, out.exists()) == (1, True, False)


def test_compressing_without_the_recordings_of_the_run_asks_for_them(
    line: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = call(capsys, "compress", line / "float", "--budget", "1KiB", "--out", tmp_path / "small")
    assert (code, (tmp_path / "small").exists()) == (2, False)
    assert "--data" in error and "say where these recordings are" in error


def test_demo_does_the_whole_job_and_goes_on_where_it_stopped(
    recordings: Path, recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["demo", "--data", recordings, "--recipe", recipe, "--budget", "1100", "--out", tmp_path / "demo"]
    arguments += ["--cache", tmp_path / "cache"]
    code, out, _ = call(capsys, *arguments)
    assert code == 0
    for words in ("float", "pruned", "integers", "litert", "tflm", "Budget 1,100 B"):
        assert words in out
    weights = (tmp_path / "demo" / "float" / "best.safetensors").stat().st_mtime_ns
    assert document(capsys, *arguments)["passed"]
    assert (tmp_path / "demo" / "float" / "best.safetensors").stat().st_mtime_ns == weights
