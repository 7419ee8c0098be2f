"""Options of `edgeasc bench` that no given target takes are refused, and generated C is sent where it runs."""

from pathlib import Path

import pytest
from graph_builder import bcresnet

from edgeasc.cli import main
from edgeasc.export.c.bundle import bundle, write_bundle


@pytest.fixture()
def code_folder(tmp_path: Path) -> Path:
    write_bundle(bundle(bcresnet("int8")), tmp_path / "c")
    return tmp_path / "c"


@pytest.mark.parametrize(
    ("target", "option", "value"),
    [
        ("native-c", "--baud", ["9600"]),
        ("native-c", "--python", ["python3"]),
        ("native-c", "--as", ["pi"]),
        ("qemu:cortex-m4", "--runs", ["20"]),
        ("host", "--ram", ["64KiB"]),
        ("host", "--optimise", ["size"]),
        ("tflm", "--audio", ["street.wav"]),
        ("tflm", "--all-layers", []),
    ],
)
def test_an_option_that_no_target_takes_is_refused(
    target: str, option: str, value: list[str], code_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(code_folder), "--target", target, option, *value]) == 2
    assert capsys.readouterr().err.startswith(f"edgeasc: error: {option}: needs a ")


@pytest.mark.parametrize("target", ["host", "tflm"])
def test_generated_c_on_another_target_is_told_where_it_runs(
    target: str, code_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(code_folder), "--target", target, "--quiet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "native-c" in line and "qemu:cortex-m4" in line
