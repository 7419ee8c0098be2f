"""How `benchmarks/eat.py` sums up its jobs: clips paired by name, recordings as draws."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import edgeasc

FOLDER = Path(edgeasc.__file__).parents[1] / "benchmarks"


@pytest.fixture
def eat(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("eat_benchmark", FOLDER / "eat.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def job(model: str, fold: int, seed: int, right: str) -> dict[str, object]:
    names = [f"{fold}-{letter}" for letter in "abcd"]
    groups = [f"{fold}-{letter}" for letter in "xxyz"]  # a and b are of one recording
    job = {"model": model, "fold": fold, "seed": seed, "clips": names, "recordings": groups, "right": right}
    return job | {"log_loss": 1.0, "parameters": 7, "epoch_seconds": 2.0}


JOBS = [
    job("aa", 1, 0, "1100"), job("gmme", 1, 0, "1110"), job("aa", 2, 0, "0101"), job("gmme", 2, 0, "1101"),
    job("gmme", 1, 1, "1111"), job("aa", 1, 1, "0100"), job("gmme", 2, 1, "0001"), job("aa", 2, 1, "0101"),
]  # fmt: skip


def test_clips_are_paired_whatever_the_order_of_the_jobs(eat: ModuleType) -> None:
    gain = eat.difference(JOBS, "gmme", "aa")
    per_clip = np.array([0.5, 0, 1, 0.5, 0.5, -0.5, 0, 0]) * 100  # 1-a .. 1-d, 2-a .. 2-d, mean of both seeds
    assert gain["points"] == pytest.approx(per_clip.mean())
    sums = np.array([50, 100, 50, 0, 0, 0]) - per_clip.mean() * np.array([2, 1, 1, 2, 1, 1])
    half = 1.96 * np.sqrt(6 / 5 * (sums**2).sum()) / 8
    assert gain["95"] == pytest.approx([per_clip.mean() - half, per_clip.mean() + half])
    assert (gain["n_clips"], gain["n_recordings"]) == (8, 6)


def test_scores_are_means_over_clips_and_seeds(eat: ModuleType) -> None:
    row = eat.scores(JOBS, "aa")
    assert row["accuracy"] == pytest.approx(7 / 16)
    assert row["by_fold"] == {"1": pytest.approx(3 / 8), "2": pytest.approx(4 / 8)}
    assert row["by_seed"] == {"0": pytest.approx(4 / 8), "1": pytest.approx(3 / 8)}
    assert (row["n_clips"], row["epoch_seconds"]) == (8, 8.0)


def test_the_settings_fit_both_recipes(eat: ModuleType) -> None:
    from edgeasc.recipes import load_recipe

    first, second = (load_recipe(name, eat.SETTINGS) for name in eat.MODELS)
    assert first.n_samples == second.n_samples == 20_480
    for section in ("features", "data", "wave_augment", "train"):
        assert getattr(first, section) == getattr(second, section)  # equal training
