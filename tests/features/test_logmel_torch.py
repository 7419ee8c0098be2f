"""The torch twin equals the numpy front end."""

import numpy as np
import torch

from edgeasc.features.logmel import log_mel
from edgeasc.features.logmel_torch import LogMelLayer
from edgeasc.specs import LogMel


def test_torch_twin_equals_numpy_within_1e_4(waveform: np.ndarray, spec: LogMel) -> None:
    both = torch.from_numpy(np.stack([waveform, -0.3 * waveform]))
    features = LogMelLayer(spec)(both).numpy()
    assert features.shape == (2, 1, spec.n_mels, spec.n_frames(waveform.size))
    for row, signal in zip(features[:, 0], both.numpy(), strict=True):
        assert np.abs(row - log_mel(signal, spec)).max() < 1e-4


def test_twin_adds_nothing_to_a_checkpoint() -> None:
    assert LogMelLayer(LogMel()).state_dict() == {}


def test_gradient_reaches_the_waveform() -> None:
    spec = LogMel(n_fft=256, win_length=256, hop_length=128, n_mels=16)
    signal = torch.randn(1, 2000, generator=torch.Generator().manual_seed(0), requires_grad=True)
    LogMelLayer(spec)(signal).sum().backward()
    assert signal.grad is not None and bool((signal.grad != 0).any())
