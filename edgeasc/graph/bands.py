"""Sub-spectral gains on the integer grid: how a gain and an offset per (band, channel) become scale, sign and bias.

Freezing and reading share these functions, so that a graph survives its ONNX file unchanged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

INT32_MAX = 2**31 - 1


def band_scales(
    weight: NDArray[np.int8],
    weight_scale: NDArray[np.float32],
    gain: NDArray[np.float32],
    input_scale: np.float32,
    output_scale: np.float32,
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Scale `float32(weight_scale * |gain|)` and sign of the gain, both [bands, C].

    Where no product of the channel's weights and any input reaches half an output step, the weights vanish:
    sign 0 and the scale output_scale / input_scale, which keeps the bias on a grid of whole output steps.
    """
    scale = (weight_scale * np.abs(gain)).astype(np.float32)
    largest = np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)) * 255.0  # of any |accumulator|
    reach = largest * scale.astype(np.float64) * float(input_scale)
    vanishes = reach < 0.5 * float(output_scale)
    sign = np.where(vanishes, 0, np.where(gain < 0, -1, 1)).astype(np.int8)
    return np.where(vanishes, np.float32(output_scale / input_scale), scale).astype(np.float32), sign


def snap_bias(offset: NDArray[np.floating], input_scale: np.float32, scale: NDArray[np.float32]) -> NDArray[np.int32]:
    """Offsets in real units as int32 on the grid `input_scale * scale`, clipped to int32.

    The integers are those that survive one trip through float32, in which an ONNX file keeps the offsets of bands.
    """
    grid = float(input_scale) * scale.astype(np.float64)
    integers = _to_grid(np.asarray(offset, dtype=np.float32), grid)
    return _to_grid(bias_reals(integers, input_scale, scale), grid)


def bias_reals(bias: NDArray[np.int32], input_scale: np.float32, scale: NDArray[np.float32]) -> NDArray[np.float32]:
    """The real offsets that int32 biases stand for, in float32."""
    return (bias.astype(np.float64) * (float(input_scale) * scale.astype(np.float64))).astype(np.float32)


def _to_grid(offset: NDArray[np.float32], grid: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.clip(np.rint(offset.astype(np.float64) / grid), -INT32_MAX, INT32_MAX).astype(np.int32)
