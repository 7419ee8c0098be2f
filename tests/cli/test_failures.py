"""Every bad ending of a command is one line on stderr and its own exit code."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from edgeasc.cli import main
from edgeasc.cli.failures import named_error, report_failure
from edgeasc.cli.group import VERBS, edgeasc
from edgeasc.errors import BadInput, CheckFailed, MissingDependency, ResourceExhausted, UsageError


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("edgeasc: error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CheckFailed("budget", "too large"), 1),
        (UsageError("recipe", "unknown"), 2),
        (BadInput("audio", "truncated", "a.wav"), 3),
        (MissingDependency("torch", "not installed"), 4),
        (ResourceExhausted("write", "no space left"), 5),
        (MemoryError(), 5),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 5),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 3),
        (ModuleNotFoundError("no torch", name="torch"), 4),
        (ModuleNotFoundError("no soxr", name="soxr.inner"), 4),
        (KeyboardInterrupt(), 130),
        (click.exceptions.Abort(), 130),
        (RuntimeError("a bug\nof two lines"), 1),
    ],
)
def test_every_error_is_one_line_and_its_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_failure(error, debug=False) == code
    only_line(capsys)


def test_a_missing_package_is_named_with_its_install_command() -> None:
    found = named_error(ModuleNotFoundError("x", name="soundfile"))
    assert "pip install 'edgeasc[audio]'" in str(found)


def test_an_import_of_our_own_that_fails_is_a_bug_of_ours() -> None:
    assert named_error(ModuleNotFoundError("x", name="edgeasc.nothing")) is None


def test_hostile_names_in_an_error_stay_on_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    report_failure(BadInput("audio", "bad", "a\x1b[2J\nedgeasc: all fine"), debug=False)
    assert "\x1b" not in only_line(capsys)


def test_debug_shows_the_traceback_before_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "missing.tflite", "--debug"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("edgeasc: error: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audti", "x"], "did you mean 'audit'"),
        (["audit"], "MODEL"),
        (["audit", "x.tflite", "--bugdet", "3"], "--budget"),
        (["audit", "x.tflite", "--format", "xml"], "xml"),
        (["--nothing"], "--nothing"),
    ],
)
def test_usage_errors_are_one_line_with_a_hint(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in only_line(capsys)


@pytest.mark.parametrize(("size", "code"), [("12 parsecs", 2), ("-4KiB", 2), ("0", 2), ("KiB", 2)])
def test_a_budget_that_is_no_size_is_refused(size: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "x.tflite", "--budget", size]) == code
    assert "size" in only_line(capsys)


@pytest.mark.parametrize("name", ["a.tflite", "a.onnx"])
def test_a_corrupt_model_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_bytes(os.urandom(300))
    assert main(["audit", str(tmp_path / name)]) == 3
    assert name in only_line(capsys)


def test_every_verb_has_help_with_an_example() -> None:
    for verb in VERBS:
        command = edgeasc.get_command(click.Context(edgeasc), verb)
        assert command is not None
        assert command.name == verb
        assert f"  edgeasc {verb}" in (command.help or "")


def test_the_verbs_are_the_files_of_the_room() -> None:
    folder = Path(sys.modules["edgeasc.cli"].__file__ or "").parent
    others = {"__init__", "failures", "group", "options", "pages", "recordings", "terminal"}
    files = {path.stem for path in folder.glob("*.py") if not path.stem.endswith("_pages")}
    assert files - others == set(VERBS)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_with_its_code_and_one_line(number: signal.Signals, code: int, word: str) -> None:
    program = "import edgeasc.cli.audit, sys, time\nfrom edgeasc.cli import main\n"
    program += "edgeasc.cli.audit.command.callback = lambda **_: (print('ready', flush=True), time.sleep(30))\n"
    program += "sys.exit(main(['audit', 'x']))"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.1)
        child.send_signal(number)
        _, errors = child.communicate(timeout=20)
    assert child.returncode == code
    assert errors.strip() == f"edgeasc: error: {word}"


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m edgeasc rules qti-report | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
