"""Window and mel filters of a `LogMel` spec, worked out in float64.

The same numbers serve the numpy front end, the torch twin and the C export.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.specs import LogMel

_SLANEY_HZ_PER_MEL = 200.0 / 3.0  # linear below the corner (Slaney, Auditory Toolbox, 1998)
_SLANEY_CORNER_HZ = 1000.0
_SLANEY_LOG_STEP = np.log(6.4) / 27.0  # 27 mels from 1 kHz to 6.4 kHz


def hz_to_mel(frequency: Any, scale: str) -> NDArray[np.float64]:
    """Mel values of `frequency` in Hz on the scale "slaney" or "htk"."""
    hz = np.asarray(frequency, dtype=np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = np.log(np.maximum(hz, _SLANEY_CORNER_HZ) / _SLANEY_CORNER_HZ) / _SLANEY_LOG_STEP
    return np.minimum(hz, _SLANEY_CORNER_HZ) / _SLANEY_HZ_PER_MEL + above


def mel_to_hz(mel: Any, scale: str) -> NDArray[np.float64]:
    """Frequencies in Hz of `mel`; the inverse of `hz_to_mel`."""
    mels = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    corner = _SLANEY_CORNER_HZ / _SLANEY_HZ_PER_MEL
    below = np.minimum(mels, corner) * _SLANEY_HZ_PER_MEL
    return np.where(mels < corner, below, _SLANEY_CORNER_HZ * np.exp(_SLANEY_LOG_STEP * (mels - corner)))


def mel_matrix(spec: LogMel) -> NDArray[np.float32]:
    """Triangular mel filters of unit area (Slaney norm), [n_mels, n_fft // 2 + 1]."""
    edges = np.linspace(hz_to_mel(spec.f_min, spec.mel_scale), hz_to_mel(spec.f_max, spec.mel_scale), spec.n_mels + 2)
    corners = mel_to_hz(edges, spec.mel_scale)  # [n_mels + 2], Hz
    bins = np.linspace(0.0, spec.sample_rate / 2, spec.n_fft // 2 + 1)  # Hz
    widths = np.diff(corners)
    distance = corners[:, None] - bins[None, :]
    rising, falling = -distance[:-2] / widths[:-1, None], distance[2:] / widths[1:, None]
    area = 2.0 / (corners[2:] - corners[:-2])
    return (np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32)


def hann_window(spec: LogMel) -> NDArray[np.float64]:
    """The periodic Hann window, [win_length]; the caller rounds it to the precision of its transform."""
    phase = 2.0 * np.pi * np.arange(spec.win_length) / spec.win_length
    return 0.5 - 0.5 * np.cos(phase)
