"""Small data sets on disk: short noise clips in the three layouts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def write_clip() -> Callable[[Path], Path]:
    """Writes 0.05 s of noise to a path, folders made."""

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * np.random.default_rng(list(path.name.encode())).standard_normal(800)
        soundfile.write(path, samples, 16_000)
        return path

    return write


@pytest.fixture
def manifest(tmp_path: Path, write_clip: Callable[[Path], Path]) -> Callable[[str], Path]:
    """A folder with `a.wav`, `b.wav`, `deep/c.wav`, and a manifest of the given text."""
    for name in ("a.wav", "b.wav", "deep/c.wav"):
        write_clip(tmp_path / "set" / name)

    def table(text: str) -> Path:
        path = tmp_path / "set" / "clips.csv"
        path.write_bytes(text.encode())
        return path

    return table
