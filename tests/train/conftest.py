"""A toy problem for the loop: three classes told apart by the frequency of a band of energy."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.runs import Run, RunInfo
from edgeasc.specs import Recipe, parse_spec
from edgeasc.train.batches import ClipArrays

DOCUMENT = {
    "model": {"name": "bcresnet-mod-1"},
    "features": {"n_mels": 8, "n_fft": 512, "win_length": 400, "hop_length": 160},
    "data": {"clip_seconds": 0.15},  # 16 frames
    "augment": {"roll_seconds": 0.03, "freq_mask_width": 1, "time_mask_width": 3},
    "train": {"epochs": 4, "batch_size": 16, "warmup_epochs": 1, "lr": 0.1},
}


def toy_network():
    torch.manual_seed(7)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout2d(0.1),
        nn.AdaptiveAvgPool2d((8, 1)),
        nn.Flatten(),
        nn.Linear(48, 3),
    )


def toy_clips(n_clips, seed, n_frames=16):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n_clips)
    features = rng.normal(0, 1, (n_clips, 1, 8, n_frames)).astype(np.float32)
    for clip, label in enumerate(labels):
        features[clip, 0, 2 * label + 1] += 1.5
    return ClipArrays(features, labels, 3)


@pytest.fixture
def toy_recipe():
    return parse_spec(Recipe, DOCUMENT)


@pytest.fixture
def network():
    return toy_network()


@pytest.fixture
def fresh_network():
    return toy_network


@pytest.fixture
def training():
    return toy_clips(60, 1)


@pytest.fixture
def validation():
    return toy_clips(45, 2)


@pytest.fixture
def new_run(tmp_path, toy_recipe):
    def make(name):
        run = Run(tmp_path / name)
        run.create(RunInfo("train", toy_recipe.digest, ("a", "b", "c"), (0,), 1), toy_recipe, [])
        return run

    return make
