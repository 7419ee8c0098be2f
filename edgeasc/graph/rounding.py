"""Fixed-point requantisation, written once for numpy arrays and torch tensors.

Every function uses only `+ * >> <<` on int64 values, so that the numpy reference and the integer-exact
training forward share one text. `multiplier` is Q31 in [2^30, 2^31), `shift` positive to the left, as in TFLite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantize_multiplier(scale: NDArray[np.float64] | float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Q31 multiplier and shift with `scale ~ multiplier * 2^(shift - 31)`, by frexp and round half away from zero.

    A scale of zero, or below 2^-31, gives (0, 0), as TFLite's `QuantizeMultiplier` does.
    """
    fraction, shift = np.frexp(np.asarray(scale, dtype=np.float64))
    multiplier = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    shift = shift.astype(np.int64)
    overflow = multiplier == 2**31
    multiplier = np.where(overflow, 2**30, multiplier)
    shift = np.where(overflow, shift + 1, shift)
    vanished = shift < -31
    return np.where(vanished, 0, multiplier), np.where(vanished, 0, shift)


def requantize_double(value: Any, multiplier: Any, shift: Any) -> Any:
    """`value * multiplier * 2^(shift - 31)`, rounded twice as gemmlowp and TFLite's reference kernels do.

    First half up at bit 31 (saturating rounding doubling high multiply), then half away from zero at the right
    shift. `value << max(shift, 0)` must fit int32. All int64.
    """
    left = shift * (shift > 0)
    right = -shift * (shift < 0)
    high = ((value << left) * multiplier + (1 << 30)) >> 31
    half = ((right * 0 + 1) << right) >> 1
    return (high + (high >> 63) * (right > 0) + half) >> right


def requantize_single(value: Any, multiplier: Any, shift: Any) -> Any:
    """`value * multiplier * 2^(shift - 31)`, rounded once, half up, as TFLite's single-rounding kernels and XNNPACK do.

    Needs `shift < 31`; all int64.
    """
    total = 31 - shift
    return (value * multiplier + ((total * 0 + 1) << (total - 1))) >> total
