"""Without the packages of the `audio` extra: one line that says what to install."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeasc.data.audio import load_audio
from edgeasc.data.layouts import open_dataset
from edgeasc.errors import MissingDependency
from edgeasc.features.logmel import LogMelFrontEnd
from edgeasc.specs import LogMel


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_audio_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    soundfile.write(tmp_path / "clip.wav", np.zeros(100), 8_000)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=rf"{package} is not installed; run: pip install 'edgeasc\[audio\]'"):
        load_audio(tmp_path / "clip.wav", 16_000)


def test_the_front_end_names_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.fft", None)
    with pytest.raises(MissingDependency, match="scipy is not installed") as caught:
        LogMelFrontEnd(LogMel())(np.ones(5000, np.float32))
    assert caught.value.exit_code == 4


def test_the_built_in_scenes_name_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("edgeasc.data.scenes", "edgeasc.data.scene_devices", "edgeasc.data.scene_sounds"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "scipy.fft", None)
    with pytest.raises(MissingDependency, match=r"scipy is not installed"):
        open_dataset(None)
