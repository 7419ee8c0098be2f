"""A small table: two rows on tones in the ESC-50 layout, two folds, a network of a few hundred parameters."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

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
validation = 0.0
[augment]
roll_seconds = 0.1
freq_mask_width = 2
time_mask_width = 2
[train]
epochs = 2
batch_size = 16
warmup_epochs = 1
threads = 1
"""
CLIPS_OF_FOLD = 6


@pytest.fixture(scope="session")
def tone_folds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of two classes, low and high tones, in the ESC-50 layout."""
    root: Path = tmp_path_factory.mktemp("tones")
    (root / "meta").mkdir()
    (root / "audio").mkdir()
    rows, rng, times = [], np.random.default_rng(0), np.arange(6_400) / 16_000
    for number in range(4 * CLIPS_OF_FOLD):
        fold, target = 1 + number % 2, number // 2 % 2
        name = f"{fold}-{number}-A-{target}.wav"
        tone = np.sin(2 * np.pi * (500 + 3000 * target) * times + rng.uniform(0, 6))
        soundfile.write(root / "audio" / name, 0.1 * tone + rng.normal(0, 0.05, len(times)), 16_000)
        rows.append(f"{name},{fold},{target},{('low', 'high')[target]}")
    (root / "meta" / "tones.csv").write_text("filename,fold,target,category\n" + "\n".join(rows) + "\n")
    return root


@pytest.fixture
def toy_document(tmp_path: Path) -> dict[str, Any]:
    """The definition of a table whose paper used exactly the tones."""
    recipe = tmp_path / "toy.toml"
    recipe.write_text(RECIPE)
    return {
        "schema": 1,
        "title": "Toy table",
        "source": "A. Author: A paper, table 1",
        "recordings": [
            {
                "key": "tones",
                "title": "Tones",
                "layout": "esc-50",
                "classes": 2,
                "clips": 24,
                "folds": 2,
                "get": "https://example.org/tones",
                "files": "meta/tones.csv and audio/",
            }
        ],
        "variants": [
            {"key": "tones", "title": "Tones", "data": "tones", "metrics": ["parameters", "test_accuracy"]},
        ],
        "rows": [
            {
                "name": "others' system",
                "not_run": "its code is not here",
                "printed": {"tones": {"test_accuracy": "61"}},
            },
            {"name": "small", "recipe": str(recipe), "printed": {"tones": {"test_accuracy": "91.25"}}},
            {"name": "wide", "recipe": str(recipe), "settings": ["model.options.c=4"]},
        ],
        "quick": {"settings": ["train.epochs=1"], "folds": 1},
    }
