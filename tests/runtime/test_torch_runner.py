"""The float network of a run folder, in torch, in a child process."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgeasc.runs import Run, RunInfo
from edgeasc.specs import DataSpec, LogMel, ModelSpec, Recipe

torch = pytest.importorskip("torch", reason="pip install 'edgeasc[train]'")

LABELS = ("park", "street", "tram")
RECIPE = Recipe(
    model=ModelSpec(name="bcresnet-mod-1", options={"c": 4}),
    features=LogMel(n_fft=512, win_length=512, hop_length=400, n_mels=32),
    data=DataSpec(clip_seconds=0.5),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as training leaves it, with seeded weights."""
    from edgeasc.nn.registry import create_model
    from edgeasc.train.weights import write_tensors

    run = Run(tmp_path_factory.mktemp("runs") / "small")
    run.create(RunInfo("train", RECIPE.digest, LABELS, (0,), 1, state="complete"), RECIPE, [])
    torch.manual_seed(0)
    network = create_model(RECIPE.model.name, len(LABELS), **RECIPE.model.options)
    write_tensors(run.best, dict(network.state_dict()))
    return run.path


def test_the_child_computes_what_the_network_computes(run: Path) -> None:
    from edgeasc.runtime.runner import load_runner
    from edgeasc.train.run import load_network

    features = np.random.default_rng(0).normal(-4, 2, (3, 1, 32, 21)).astype(np.float32)
    with torch.no_grad():
        expected = load_network(run)[0](torch.from_numpy(features)).numpy()
    with load_runner(run) as runner:
        assert (runner.runtime, runner.labels, runner.clip_seconds) == ("torch", LABELS, 0.5)
        assert runner.features == RECIPE.features and runner.input_shape == (1, 32, 0)
        np.testing.assert_allclose(runner.predict(features), expected, atol=1e-5)


def test_a_run_is_timed_on_its_own_input_length(run: Path) -> None:
    from edgeasc.bench.host import bench_host

    (row,) = bench_host(run, runs=3, warmup=1)["results"]
    assert row["runtime"] == "torch" and row["median_us"] > 0 and row["source"] == "float network of the trained run"


def test_a_run_with_damaged_weights_is_refused(run: Path, tmp_path: Path) -> None:
    import shutil

    from edgeasc.errors import BadInput
    from edgeasc.runtime.runner import load_runner

    broken = Path(shutil.copytree(run, tmp_path / "broken"))
    (broken / "best.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(BadInput, match=r"torch.*broken"):
        load_runner(broken)


def test_a_recipe_that_was_changed_is_refused(run: Path, tmp_path: Path) -> None:
    import shutil

    from edgeasc.errors import BadInput
    from edgeasc.runtime.runner import load_runner

    changed = Path(shutil.copytree(run, tmp_path / "changed"))
    text = (changed / "recipe.toml").read_text()
    (changed / "recipe.toml").write_text(text.replace("hop_length = 400", "hop_length = 320"))
    with pytest.raises(BadInput, match="changed since"):
        load_runner(changed)


def test_a_run_folder_s_metadata_is_what_an_export_would_say(run: Path) -> None:
    from edgeasc.runtime.artefact import read_artefact

    metadata = read_artefact(run).metadata
    assert json.loads(metadata["edgeasc.labels"]) == list(LABELS)
    assert LogMel(**json.loads(metadata["edgeasc.features"])) == RECIPE.features
