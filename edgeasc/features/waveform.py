"""The front end of networks that hear samples: a waveform as features with one row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.specs import Waveform


class WaveformFrontEnd:
    """Samples scaled to the peak of the spec, float32 [n_samples] -> [1, n_samples]. Keeps nothing between calls."""

    def __init__(self, spec: Waveform) -> None:
        self.spec = spec

    def __call__(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """`waveform` at `spec.sample_rate` as one row; silence, which no factor raises, stays silence.

        Raises:
            BadInput: not one-dimensional, no sample, or not finite.
        """
        signal = checked_waveform(waveform)
        loudest = float(np.abs(signal).max())
        if self.spec.peak == 0 or loudest == 0:
            return signal[None].copy()
        # In double: the reciprocal of the softest float32 peak is no float32.
        return (signal.astype(np.float64) * (self.spec.peak / loudest)).astype(np.float32)[None]


def checked_waveform(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """`waveform` as float32 [n_samples], refused where no front end could hear it.

    Raises:
        BadInput: not one-dimensional, no sample, or not finite.
    """
    signal = np.asarray(waveform, dtype=np.float32)
    if signal.ndim != 1 or signal.size == 0:
        raise BadInput("waveform", f"expected samples of one channel, found shape {signal.shape}")
    if not np.isfinite(signal).all():
        raise BadInput("waveform", "holds NaN or infinite samples")
    return signal
