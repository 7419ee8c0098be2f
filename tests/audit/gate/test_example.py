"""examples/budget-ci does what its page says: it holds its budget, a grown model fails, the output names the layer."""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest
from gate_toys import EXAMPLE

from edgeasc.cli import main

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


@pytest.fixture()
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example as the current folder."""
    copy = tmp_path / "example"
    shutil.copytree(EXAMPLE, copy)
    monkeypatch.chdir(copy)
    return copy


def commands() -> list[tuple[str, list[str]]]:
    """The page's commands in their order, each with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for block in BLOCK.findall((EXAMPLE / "README.md").read_text("utf-8")):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


def test_the_page_tells_the_truth(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = []
    for line, wanted in commands():
        program, *arguments = shlex.split(line)
        if program == "cp":
            for name in arguments[:-1]:
                shutil.copy(name, arguments[-1])
            continue
        assert program == "edgeasc"
        codes.append(main(arguments))
        printed = capsys.readouterr().out.splitlines()
        assert [text for text in wanted if text not in printed] == []
    assert codes == [0, 1, 1]


def test_a_wanted_growth_takes_new_limits_and_a_new_baseline(place: Path) -> None:
    shutil.copytree(place / "pull-request", place / "models", dirs_exist_ok=True)
    config = place / "edgeasc.toml"
    text = config.read_text("utf-8")
    for old, new in (('"3kB"', '"6kB"'), ('"10KiB"', '"13KiB"'), ('"6KiB"', '"9KiB"'), ('"400k"', '"800k"')):
        assert old in text
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")
    assert main(["check"]) == 1  # the ratchet
    assert main(["check", "--no-ratchet", "--update-baseline"]) == 0
    assert main(["check"]) == 0


def test_the_models_are_what_the_script_makes(place: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_models", place / "make_models.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for folder, kernel in (("models", script.SHIPPED), ("pull-request", script.GROWN)):
        script.write(place / "again", kernel)
        for name in ("scene.tflite", "scene.onnx"):
            assert (place / "again" / name).read_bytes() == (EXAMPLE / folder / name).read_bytes()


def test_the_pre_commit_hook_looks_at_what_the_gate_reads() -> None:
    yaml = pytest.importorskip("yaml", reason="pip install 'edgeasc[dev]'")
    (hook,) = yaml.safe_load((EXAMPLE.parents[1] / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert {"id", "name", "entry", "language"} <= set(hook)
    assert (hook["pass_filenames"], hook["language"]) == (False, "python")
    pattern = re.compile(hook["files"])
    for name in ("models/a.tflite", "b.onnx", "edgeasc.toml", "sub/edgeasc.toml", "edgeasc.baseline.json"):
        assert pattern.search(name), name
    for name in ("README.md", "setup.cfg", "other.toml", "a.tflite.txt"):
        assert not pattern.search(name), name


def test_the_pre_commit_hook_runs(place: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="pip install 'edgeasc[dev]'")
    (hook,) = yaml.safe_load((EXAMPLE.parents[1] / ".pre-commit-hooks.yaml").read_text("utf-8"))
    (used,) = yaml.safe_load((place / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert used["hooks"] == [{"id": hook["id"]}]
    program, *arguments = shlex.split(hook["entry"])
    assert program == "edgeasc"
    assert main(arguments) == 0


def test_the_gitlab_job_runs(place: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="pip install 'edgeasc[dev]'")
    job = yaml.safe_load((place / ".gitlab-ci.yml").read_text("utf-8"))["budget"]
    install, check = (shlex.split(line) for line in job["script"])
    assert install == ["pip", "install", "edgeasc"]
    assert main(check[1:]) == 0
    assert (place / job["artifacts"]["reports"]["junit"]).is_file()
    assert all((place / name).is_file() for name in job["artifacts"]["paths"])
    assert job["artifacts"]["when"] == "always"


def test_the_workflow_gives_the_action_inputs_that_it_has() -> None:
    yaml = pytest.importorskip("yaml", reason="pip install 'edgeasc[dev]'")
    action = yaml.safe_load((EXAMPLE.parents[1] / "action.yml").read_text("utf-8"))
    workflow = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "budget.yml").read_text("utf-8"))
    steps = workflow["jobs"]["models"]["steps"]
    (step,) = [item for item in steps if "edgeasc" in item["uses"]]
    assert set(step["with"]) <= set(action["inputs"])
    assert workflow["permissions"] == {"contents": "read"}
