"""Recordings and a recipe small enough to run every verb, one after another, in seconds."""

from pathlib import Path

import numpy as np
import pytest

RECIPE = """
[model]
name = "bcresnet-mod-1"
options = { c = 2, eps = 1e-3 }
[features]
n_mels = 32
n_fft = 512
win_length = 400
hop_length = 400
[data]
clip_seconds = 0.4
validation = 0.2
[augment]
roll_seconds = 0.1
freq_mask_width = 2
time_mask_width = 2
[train]
epochs = 3
batch_size = 16
warmup_epochs = 1
threads = 1
[prune]
epochs = 2
[quantize]
epochs = 2
exact_epochs = 1
"""
LABELS = ("low", "mid", "high")


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("recipe") / "tones.toml"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per class with twenty noisy tones each, 16 kHz, 0.4 s."""
    soundfile = pytest.importorskip("soundfile", reason="pip install 'edgeasc[audio]'")
    folder: Path = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    times = np.arange(6_400) / 16_000
    for label, name in enumerate(LABELS):
        (folder / name).mkdir()
        for number in range(20):
            tone = np.sin(2 * np.pi * (500 + 1500 * label) * times + rng.uniform(0, 6))
            sound = (0.1 * tone + rng.normal(0, 0.05, len(times))).astype(np.float32)
            soundfile.write(folder / name / f"{number:02d}.wav", sound, 16_000)
    return folder
