"""`edgeasc targets`, `edgeasc explain` and `edgeasc audit --target`: exit codes and forms of output."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tflite_file import Op, T, tflite_file

from edgeasc.audit.findings import explanations
from edgeasc.audit.targets import read_target, target_names
from edgeasc.cli import main
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.extras import EXTRA_OF


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("targets") / "model.tflite"
    path.write_bytes(tflite_bytes(dummy_graph()))
    return str(path)


@pytest.fixture(scope="module")
def transposed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that transposes and has an operator that TFLM lacks."""
    order = T("p", (3,), "int32", np.array([0, 2, 1]))
    tensors = [T("x", (1, 3, 5), scale=0.1), order, T("a", (1, 5, 3), scale=0.1), T("y", (1, 5, 3), scale=0.1)]
    operators = [Op("TRANSPOSE", ["x", "p"], ["a"]), Op("GELU", ["a"], ["y"])]
    path: Path = tmp_path_factory.mktemp("transposed") / "model.tflite"
    path.write_bytes(tflite_file(tensors, operators, ["x"], ["y"]))
    return str(path)


def test_targets_lists_every_chip(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in target_names())


@pytest.mark.parametrize("name", target_names())
def test_targets_describes_a_chip_with_its_band_and_its_operators(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["targets", name]) == 0
    out = capsys.readouterr().out
    assert read_target(name).chip in out
    assert "low .. typical .. high" in out
    assert "inside" in out
    assert "OUTSIDE" not in out
    assert "CONV_2D" in out or "Conv" in out


@pytest.mark.parametrize(
    "words",
    [["targets", "cortex-m4"], ["explain", "W102"], ["audit", "MODEL", "--no-arena", "--target", "ethos-u65"]],
)
def test_nothing_beyond_the_base_is_imported(model: str, words: list[str]) -> None:
    program = "import sys; from edgeasc.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    arguments = [model if word == "MODEL" else word for word in words]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert not loaded & set(EXTRA_OF)


def test_targets_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "cortex-m4", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert document["targets"][0]["flash_bytes"] == 2048 * 1024


def test_explain_lists_every_finding_and_explains_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    out = capsys.readouterr().out
    assert all(code in out for code in explanations())
    assert main(["explain", "W102"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("W102: TRANSPOSE")
    assert "Cure: " in out


def test_explain_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "w301", "--format", "json"]) == 0
    [entry] = json.loads(capsys.readouterr().out)["findings"]
    assert (entry["code"], entry["severity"]) == ("W301", "warning")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["targets", "cortex-m5"], "unknown target"),
        (["explain", "W999"], "unknown finding"),
        (["audit", "MODEL", "--target", "cortex-x"], "unknown target"),
        (["audit", "MODEL", "--target", "cortex-m4@soon"], "not a clock"),
    ],
)
def test_what_is_unknown_is_a_usage_error(
    model: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([model if word == "MODEL" else word for word in words]) == 2
    assert said in capsys.readouterr().err


def test_audit_for_chips_that_run_the_model_passes(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", model, "--no-arena", "--target", "cortex-m4@80MHz", "--target", "ethos-u65"]) == 0
    out = capsys.readouterr().out
    assert "cortex-m4@80MHz" in out
    assert "estimated" in out
    assert "Verdict   pass" in out


def test_audit_for_a_chip_that_lacks_an_operator_fails_and_names_it(
    transposed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", transposed, "--no-arena", "--target", "cortex-m33"]) == 1
    out = capsys.readouterr().out
    assert "missing  GELU" in out
    assert "E101 error" in out
    assert "W102 warning" in out
    assert "Verdict   FAIL: cortex-m33 (GELU not supported)" in out


def test_audit_as_json_carries_targets_and_findings(transposed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", transposed, "--no-arena", "--target", "cortex-m33", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["models"][0]
    assert found["targets"][0]["missing"][0]["operator"] == "GELU"
    assert [item["code"] for item in found["findings"]] == ["E101", "W102"]
    assert set(found["findings"][0]) == {"code", "severity", "layer", "message", "cost", "cure"}


def test_audit_as_markdown_has_the_table_of_targets(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", model, "--no-arena", "--target", "cortex-m7", "--format", "markdown"]) == 0
    out = capsys.readouterr().out
    assert any(line.startswith("| cortex-m7 |") for line in out.splitlines())


def test_a_measurement_is_shown_in_place_of_the_estimate(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", model, "--no-arena", "--format", "json"]) == 0
    sha256 = json.loads(capsys.readouterr().out)["models"][0]["sha256"]
    row = {"schema": 1, "sha256": sha256, "target": "esp32-s3", "origin": "measured", "median_us": 12_345.0}
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(row))
    assert main(["audit", model, "--no-arena", "--target", "esp32-s3", "--bench", str(path)]) == 0
    assert "12.3 measured" in capsys.readouterr().out
    assert main(["audit", model, "--no-arena", "--target", "esp32-s3", "--bench", str(tmp_path / "none.json")]) == 3


def test_names_in_a_file_cannot_control_the_terminal_or_the_page(tmp_path: Path) -> None:
    from edgeasc.audit import audit
    from edgeasc.audit.report import report_blocks
    from edgeasc.tables import as_markdown, as_text

    hostile = "\x1b[2J\nfake: PASS | <script>alert(1)</script>"
    tensors = [T("x", (1, 8), "uint8", scale=0.1), T(hostile, (1, 8), "uint8", scale=0.1)]
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite_file(tensors, [Op("CUSTOM", ["x"], [hostile], custom=hostile)], ["x"], [hostile]))
    blocks = report_blocks(audit(path, arena=False, targets=["cortex-m4", "ethos-u55"]))
    text, page = as_text(blocks), as_markdown(blocks)
    assert "\x1b" not in text + page
    assert "<script>" not in page
    assert "\nfake" not in text + page
