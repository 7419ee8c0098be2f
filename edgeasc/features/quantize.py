"""The one step from float features to the int8 input of every network.

    q = clip(rint(x / scale) + zero_point, -128, 127),   ties to even, division in float32

as ONNX's QuantizeLinear defines it. Every runner gets these integers; none quantises for itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput

Q_MIN, Q_MAX = -128, 127


def quantize(features: NDArray[np.float32], scale: float, zero_point: int) -> NDArray[np.int8]:
    """`features` of any shape as int8: `rint(x / scale) + zero_point`, half to even, clipped to [-128, 127].

    Raises:
        BadInput: a feature is NaN (it has no integer); infinities clip.
    """
    values = np.asarray(features, dtype=np.float32)
    if np.isnan(values).any():
        raise BadInput("features", "holds NaN")
    with np.errstate(over="ignore"):  # a quotient that overflows is infinite, and clips
        steps = np.rint(values / np.float32(scale))
    # Clipped before the cast: float32 to int8 is undefined outside the range.
    return np.clip(steps + np.float32(zero_point), Q_MIN, Q_MAX).astype(np.int8)


def dequantize(integers: NDArray[np.int8], scale: float, zero_point: int) -> NDArray[np.float32]:
    """The real values `(q - zero_point) * scale`, float32."""
    return (np.asarray(integers, dtype=np.float32) - np.float32(zero_point)) * np.float32(scale)
