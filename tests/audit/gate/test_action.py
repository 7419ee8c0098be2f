"""action.yml: its shell steps are taken out and run as a runner would, without a token and with one.

The install step runs pip on this very repository, in its own virtual environment, with no index: what the package
needs is found where the tests' own packages lie.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gate_toys import EXAMPLE, SCENE

yaml = pytest.importorskip("yaml", reason="pip install 'edgeasc[dev]'")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the steps are run by bash: on Linux and macOS")

ROOT = Path(__file__).parents[3]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
IDS = ("install", "check")
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


@dataclass
class Runner:
    """A job on a runner: a checked-out repository, a file for outputs, and the action's inputs."""

    place: Path
    temp: Path
    inputs: dict[str, str] = field(default_factory=dict)
    event: str = "pull_request"
    more: dict[str, str] = field(default_factory=dict)
    log: str = ""

    def values(self) -> dict[str, str]:
        """What `${{ }}` may ask for."""
        found = {f"inputs.{name}": str(item["default"]) for name, item in ACTION["inputs"].items()}
        found |= {f"inputs.{name}": value for name, value in self.inputs.items()}
        outputs = self.file("output")  # the runner keeps them apart by step; their names differ
        found |= {f"steps.{step}.outputs.{name}": value for step in IDS for name, value in outputs.items()}
        return found | {
            "github.action_path": str(ROOT),
            "github.event_name": self.event,
            "github.event.pull_request.number": "7",
        }

    def file(self, name: str) -> dict[str, str]:
        """The `NAME=VALUE` lines that steps wrote so far."""
        path = self.temp / name
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        return dict(line.split("=", 1) for line in lines)

    def run(self, name: str) -> int:
        """The exit status of one step; 0 where its condition keeps it from running."""
        step = STEPS[name]
        if "if" in step and not self.holds(step["if"]):
            return 0
        own = {key: self.filled(str(value)) for key, value in step.get("env", {}).items()}
        runner = {
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(self.temp / "output"),
            "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md"),
            "GITHUB_WORKSPACE": str(self.place),
            "GITHUB_REPOSITORY": "team/door",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        environment = {**os.environ, **runner, **own, **self.more}
        script = self.temp / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)]  # `shell: bash` of a runner
        done = subprocess.run(shell, cwd=self.place, env=environment, capture_output=True, text=True, check=False)
        self.log += done.stdout + done.stderr
        return done.returncode

    def holds(self, condition: str) -> bool:
        """A condition of comparisons joined by `&&`."""
        values = self.values()
        for part in condition.split("&&"):
            name, operator, text = re.fullmatch(r"\s*([\w.]+)\s*(==|!=)\s*'([^']*)'\s*", part).groups()  # type: ignore[union-attr]
            if (values[name] == text) is not (operator == "=="):
                return False
        return True

    def filled(self, text: str) -> str:
        values = self.values()
        return EXPRESSION.sub(lambda found: values.get(found[1], ""), text)

    def job(self) -> int:
        """The steps after the installation, as composite actions do: the first that fails ends it."""
        for name in ("Check", "Comment", "Verdict"):
            code = self.run(name)
            if code:
                return code
        return 0


@pytest.fixture()
def runner(tmp_path: Path) -> Runner:
    """A runner on a copy of the example, where edgeasc is installed already."""
    place, temp = tmp_path / "repository", tmp_path / "temp"
    shutil.copytree(EXAMPLE, place)
    temp.mkdir()
    (temp / "output").write_text(f"python={sys.executable}\n")
    return Runner(place, temp, more={"PYTHONPATH": str(ROOT)})


def grown(runner: Runner) -> Runner:
    shutil.copytree(runner.place / "pull-request", runner.place / "models", dirs_exist_ok=True)
    return runner


def test_a_pull_request_that_holds_its_budget_passes_without_a_token(runner: Runner) -> None:
    assert runner.job() == 0, runner.log
    assert "### edgeasc check: pass" in (runner.temp / "summary.md").read_text("utf-8")


def test_a_grown_model_fails_the_job_and_the_log_names_the_layer(runner: Runner) -> None:
    assert grown(runner).job() == 1
    assert f"::error file={SCENE}," in runner.log
    assert "+3.1 kB, all in stage4.1.pw (parameters +3,072)" in runner.log
    assert "all in stage4.1.pw" in (runner.temp / "summary.md").read_text("utf-8")
    assert runner.file("output")["code"] == "1"


def test_files_are_written_although_the_check_fails(runner: Runner) -> None:
    runner.inputs = {"junit": "out/check.xml", "sarif": "out/check.sarif"}
    assert grown(runner).job() == 1
    assert json.loads((runner.place / "out/check.sarif").read_text("utf-8"))["version"] == "2.1.0"
    assert "<testsuites>" in (runner.place / "out/check.xml").read_text("utf-8")


@pytest.mark.parametrize(("ratchet", "codes"), [("true", (0, 1)), ("false", (0, 0)), ("", (0, 1))])
def test_the_ratchet_is_switched_by_an_input(runner: Runner, ratchet: str, codes: tuple[int, int]) -> None:
    limitless = f'[ratchet]\nenabled = true\n[[models]]\npath = "{SCENE}"\n'
    (runner.place / "edgeasc.toml").write_text(limitless, encoding="utf-8")
    runner.inputs = {"ratchet": ratchet}
    first = runner.job()
    assert (first, grown(runner).job()) == codes, runner.log


def test_a_wrong_configuration_is_the_jobs_exit_code(runner: Runner) -> None:
    runner.inputs = {"config": "other.toml"}
    assert runner.job() == 2
    assert "edgeasc: error: config: other.toml" in runner.log


def test_no_input_can_smuggle_a_command_into_the_shell(runner: Runner) -> None:
    runner.inputs = {"config": '"; touch smuggled; "', "junit": "$(touch smuggled)", "baseline": "`touch smuggled`"}
    assert runner.job() == 2
    assert not (runner.place / "smuggled").exists()
    for step in STEPS.values():
        assert not EXPRESSION.search(step.get("run", ""))  # inputs reach a script through its environment alone


class Forge(BaseHTTPRequestHandler):
    """The part of GitHub's interface that a comment needs; a read-only token is refused, as on a fork's request."""

    comments: list[dict[str, Any]] = []
    asked: list[tuple[str, str]] = []

    def do_GET(self) -> None:
        page = int(self.path.partition("&page=")[2])
        self.answer(200, self.comments[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:
        self.write(lambda body: self.comments.append({"id": len(self.comments), "body": body}))

    def do_PATCH(self) -> None:
        number = int(self.path.rpartition("/")[2])
        self.write(lambda body: self.comments[number].update(body=body))

    def write(self, change: Any) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        self.asked.append((self.command, self.path))
        if self.headers["Authorization"] != "Bearer good":
            self.answer(403, {"message": "Resource not accessible by integration"})
            return
        change(body)
        self.answer(200, {})

    def answer(self, status: int, document: Any) -> None:
        payload = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture()
def forge(runner: Runner) -> Iterator[type[Forge]]:
    """A forge on this machine that the runner talks to."""
    kind = type("Forge", (Forge,), {"comments": [], "asked": []})
    with HTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        runner.more |= {"GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}", "NO_PROXY": "*", "no_proxy": "*"}
        yield kind
        server.shutdown()
        thread.join()


def test_without_a_token_nothing_is_commented(runner: Runner, forge: type[Forge]) -> None:
    assert runner.job() == 0
    assert forge.asked == []


def test_with_a_token_there_is_one_comment_however_often_it_runs(runner: Runner, forge: type[Forge]) -> None:
    forge.comments += [{"id": number, "body": f"talk {number}"} for number in range(150)]
    runner.inputs = {"token": "good"}
    assert runner.job() == 0
    assert grown(runner).job() == 1
    assert forge.asked == [
        ("POST", "/repos/team/door/issues/7/comments"),
        ("PATCH", "/repos/team/door/issues/comments/150"),
    ]
    assert len(forge.comments) == 151
    assert "all in stage4.1.pw" in forge.comments[150]["body"]


def test_a_token_that_may_not_comment_does_not_change_the_verdict(runner: Runner, forge: type[Forge]) -> None:
    runner.inputs = {"token": "of a fork"}
    assert runner.job() == 0
    assert "::warning::edgeasc check: the comment was not written" in runner.log
    assert grown(runner).job() == 1


def test_outside_pull_requests_nothing_is_commented(runner: Runner, forge: type[Forge]) -> None:
    runner.inputs, runner.event = {"token": "good"}, "push"
    assert runner.job() == 0
    assert forge.asked == []


def test_a_forge_that_is_away_does_not_change_the_verdict(runner: Runner) -> None:
    runner.inputs = {"token": "good"}
    runner.more |= {"GITHUB_API_URL": "http://127.0.0.1:9", "NO_PROXY": "*", "no_proxy": "*"}
    assert runner.job() == 0
    assert "the comment was not written" in runner.log


@pytest.mark.slow
def test_the_install_step_installs_this_repository(runner: Runner) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="pip install 'setuptools>=77'")
    source = runner.temp / "action"
    for name in ("edgeasc", "models", "calibration"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source / name)
    (runner.temp / "output").unlink()
    packages = Path(np.__file__).parents[1]
    # pip reads "0" of this switch as "no isolation", so that it takes the setuptools that is here
    runner.more = {"ACTION": str(source), "PYTHONPATH": str(packages), "PIP_NO_INDEX": "1",
                   "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_CACHE_DIR": "1"}  # fmt: skip
    assert runner.run("Install") == 0, runner.log
    installed = list((runner.temp / "edgeasc").rglob("site-packages/edgeasc/audit/gate/run.py"))
    assert len(installed) == 1
    assert runner.job() == 0, runner.log


def test_the_action_needs_no_secret() -> None:
    text = (ROOT / "action.yml").read_text("utf-8")
    assert "secrets." not in text
    assert ACTION["inputs"]["token"]["default"] == ""
    assert ACTION["runs"]["using"] == "composite"
    assert all(step.get("shell") == "bash" or "uses" in step for step in STEPS.values())
