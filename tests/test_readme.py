"""The commands that README and tutorials show: those marked `<!-- tested -->` run here, word for word.

A marked console block may use `build/` (an exported folder with front end and labels), `recordings/` (one folder per
class), `street.wav` and the files that pages show under `<!-- file NAME -->`. Its `$` lines must succeed; a line of
output that ends in `...` must begin a line printed.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeasc
from edgeasc.errors import MissingDependency
from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.dummy import dummy_graph
from edgeasc.graph.onnx_write import onnx_bytes

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FILE = re.compile(r"<!-- file ([a-z.]+) -->\n```toml\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"<!-- tested -->\n```(console|python)\n(.*?)```", re.DOTALL)
LABELS = '["bus", "park", "street", "tram", "metro", "mall", "square", "station", "airport", "quay"]'
FEATURES = '{"n_mels": 16, "n_fft": 512, "win_length": 400, "hop_length": 400}'


def blocks() -> list[tuple[str, str, str]]:
    """(page, language, text) of every marked block."""
    return [(page.name, *found.groups()) for page in PAGES for found in BLOCK.finditer(page.read_text("utf-8"))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the marked blocks may use."""
    folder: Path = tmp_path_factory.mktemp("readme")
    graph = dummy_graph()
    seconds = 11 * 400 / 16_000
    metadata = {"edgeasc.labels": LABELS, "edgeasc.features": FEATURES, "edgeasc.clip_seconds": str(seconds)}
    (folder / "model.onnx").write_bytes(onnx_bytes(replace(graph, metadata=graph.metadata | metadata)))
    export_artefacts(folder / "model.onnx", folder / "build", c=True, clips=20)  # C: a rung of parity everywhere
    for page in PAGES:
        for name, text in FILE.findall(page.read_text("utf-8")):
            (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def sounds(place: Path) -> Path:
    """`street.wav` and `recordings/` beside the build."""
    soundfile = pytest.importorskip("soundfile", reason="pip install 'edgeasc[audio]'")
    rng = np.random.default_rng(0)
    for name in ("street.wav", "recordings/park/one.wav", "recordings/street/one.wav"):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.normal(size=8_000), 16_000)
    return place


def test_there_is_something_to_run() -> None:
    assert {page for page, _, _ in blocks()} >= {"README.md"}


@pytest.mark.parametrize(("page", "language", "text"), blocks())
def test_marked_block_runs(page: str, language: str, text: str, request: pytest.FixtureRequest) -> None:
    needs_sounds = "street.wav" in text or "recordings" in text
    folder: Path = request.getfixturevalue("sounds" if needs_sounds else "place")
    if language == "python":
        run([sys.executable, "-c", text], folder, page)
        return
    printed = ""
    for line in text.splitlines():
        if line.startswith("$ "):
            words = shlex.split(line.removeprefix("$ ").partition("#")[0])
            assert words[0] == "edgeasc", line
            printed = run([sys.executable, "-m", "edgeasc", *words[1:]], folder, page)
        elif line.endswith("..."):
            start = line.removesuffix("...").rstrip()
            assert any(shown.startswith(start) for shown in printed.splitlines()), f"{page}: {line}\n{printed}"


def run(command: list[str], folder: Path, page: str) -> str:
    """What the command prints; it must succeed."""
    environment = os.environ | {"PYTHONPATH": str(Path(edgeasc.__file__).parents[1])}  # this package, installed or not
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    if done.returncode == MissingDependency.exit_code or "MissingDependency" in done.stderr:
        pytest.skip("an optional package: pip install 'edgeasc[all]'")
    assert done.returncode == 0, f"{page}: {shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr
