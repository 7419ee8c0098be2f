"""A tiny data set for whole runs: noisy tones whose pitch tells the class, and a recipe that learns them in seconds."""

import numpy as np

from edgeasc.data.clips import Clip, Dataset
from edgeasc.data.split import Split
from edgeasc.files import sha256
from edgeasc.specs import Recipe, parse_spec

DOCUMENT = {
    "model": {"name": "bcresnet-mod-1", "options": {"c": 2, "eps": 1e-3}},
    "features": {"n_mels": 32, "n_fft": 512, "win_length": 400, "hop_length": 400},
    "data": {"clip_seconds": 0.4},  # 17 frames
    "augment": {"roll_seconds": 0.1, "freq_mask_width": 2, "time_mask_width": 2},
    "train": {"epochs": 3, "batch_size": 16, "warmup_epochs": 1, "threads": 1},
}


class Tones:
    """A source of noisy tones whose pitch tells the class."""

    def waveform(self, clip, sample_rate):
        rng = np.random.default_rng(int(clip.id))
        time_axis = np.arange(round(0.4 * sample_rate)) / sample_rate
        tone = np.sin(2 * np.pi * (500 + 1500 * clip.label) * time_axis + rng.uniform(0, 6))
        return (0.1 * tone + rng.normal(0, 0.05, len(tone))).astype(np.float32)

    def digest(self, clip):
        return sha256(f"{clip.id} {clip.label}".encode())


def tones():
    clips = tuple(Clip(str(i), i % 3, device="ab"[i % 2], group=str(i)) for i in range(90))
    unseen = tuple(Clip(str(i), i % 3, device="s4", group=str(i)) for i in range(90, 99))
    dataset = Dataset("tones", ("low", "mid", "high"), clips + unseen, Tones())
    return dataset, Split(clips[:48], clips[48:66], clips[66:] + unseen, "by number")


def recipe(**sections):
    changed = {key: {**DOCUMENT.get(key, {}), **values} for key, values in sections.items()}
    return parse_spec(Recipe, {**DOCUMENT, **changed})
