"""Convolution: accumulators in int32, then one requantisation per (band, channel).

`accumulate` is the numpy convolution of the reference; the training forward brings its own accumulators (a float
convolution of integers, exact below 2^24) and shares `requantize_conv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.kernels.arrays import INT32_MAX, constant, output_range, requantizer
from edgeasc.graph.model import Conv, Form, QTensor
from edgeasc.graph.rounding import quantize_multiplier


@dataclass(frozen=True)
class ConvParameters:
    """Requantisation of accumulators; arrays are int64 `[bands, C]`."""

    form: Form
    sign: NDArray[np.int64]
    bias: NDArray[np.int64]
    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    output_zero_point: int
    low: int
    high: int


def conv_parameters(node: Conv, source: QTensor, output: QTensor, form: Form) -> ConvParameters:
    """Parameters of `node`; the effective scale is (input scale * weight scale) / output scale in float64.

    Raises:
        BadInput: an accumulator, or an accumulator shifted left, may leave int32.
    """
    effective = float(source.scale) * node.scale.astype(np.float64) / float(output.scale)
    multiplier, shift = quantize_multiplier(effective)
    limit = accumulator_bound(node, source.zero_point)
    if np.any(np.ldexp(limit.astype(np.float64), np.maximum(shift, 0)) > INT32_MAX):
        raise BadInput("graph", f"the accumulators of {node.name} may overflow int32 (weight scale or bias too large)")
    low, high = output_range(output, node.activation)
    return ConvParameters(
        form=form,
        sign=node.sign.astype(np.int64),
        bias=node.bias.astype(np.int64),
        multiplier=multiplier,
        shift=shift,
        output_zero_point=output.zero_point,
        low=low,
        high=high,
    )


def accumulator_bound(node: Conv, input_zero_point: int) -> NDArray[np.int64]:
    """Largest magnitude that the accumulator of any (band, channel) can reach, `[bands, C]`, in exact arithmetic."""
    reach = max(127 - input_zero_point, 128 + input_zero_point)
    weights = np.abs(node.weight.astype(np.int64)).sum(axis=(1, 2, 3))
    return weights * reach * np.abs(node.sign.astype(np.int64)) + np.abs(node.bias.astype(np.int64))


def requantize_conv(accumulator: Any, parameters: ConvParameters) -> Any:
    """int8 values (int64 array) from `sum(weight * (input - zero point))`, an int64 array `[B, C, F, T]`."""
    p = parameters
    bands, channels = p.multiplier.shape
    batch, _, frequencies, frames = accumulator.shape
    cut = accumulator.reshape(batch, channels, bands, frequencies // bands, frames)

    def per_band(values: NDArray[np.int64]) -> Any:
        return constant(np.ascontiguousarray(values.T).reshape(1, channels, bands, 1, 1), accumulator)

    total = cut * per_band(p.sign) + per_band(p.bias)
    result = requantizer(p.form)(total, per_band(p.multiplier), per_band(p.shift)) + p.output_zero_point
    return result.clip(p.low, p.high).reshape(accumulator.shape)


def accumulate(values: NDArray[np.int8], node: Conv, input_zero_point: int) -> NDArray[np.int64]:
    """`sum(weight * (input - zero point))` without sign and bias, `[B, C, F, T]`, exact.

    Sums are taken in float32 where no partial sum can reach 2^24, else in float64: either is exact on integers.
    """
    reach = max(127 - input_zero_point, 128 + input_zero_point)
    largest = int(np.abs(node.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max(initial=0)) * reach
    kind = np.dtype(np.float32 if largest < 2**24 else np.float64)
    before_f, before_t, after_f, after_t = node.padding
    centred = (values.astype(np.int16) - np.int16(input_zero_point)).astype(kind)
    padded = np.pad(centred, ((0, 0), (0, 0), (before_f, after_f), (before_t, after_t)))
    taps = _taps(padded, node)
    weight = node.weight.astype(kind)
    if node.depthwise:
        return _sum_depthwise(taps, weight).astype(np.int64)
    groups = node.groups
    sums = [
        _sum_dense([tap[:, part] for tap in taps], block)
        for part, block in zip(_parts(padded.shape[1], groups), np.split(weight, groups), strict=True)
    ]
    return np.concatenate(sums, axis=1).astype(np.int64)


def _parts(channels: int, groups: int) -> list[slice]:
    width = channels // groups
    return [slice(group * width, (group + 1) * width) for group in range(groups)]


def _taps(padded: NDArray[Any], node: Conv) -> list[NDArray[Any]]:
    """For every kernel position the input seen by every output position, each `[B, C_in, F, T]`."""
    kernel, stride, dilation = node.weight.shape[2:], node.stride, node.dilation
    sizes = [(padded.shape[2 + i] - (kernel[i] - 1) * dilation[i] - 1) // stride[i] + 1 for i in range(2)]

    def seen(axis: int, position: int) -> slice:
        start = position * dilation[axis]
        return slice(start, start + (sizes[axis] - 1) * stride[axis] + 1, stride[axis])

    return [padded[:, :, seen(0, f), seen(1, t)] for f in range(kernel[0]) for t in range(kernel[1])]


def _sum_depthwise(taps: list[NDArray[Any]], weight: NDArray[Any]) -> NDArray[Any]:
    flat = weight.reshape(weight.shape[0], -1)
    total = taps[0] * flat[:, 0, None, None]
    for position, tap in enumerate(taps[1:], start=1):
        total += tap * flat[:, position, None, None]
    return total


def _sum_dense(taps: list[NDArray[Any]], weight: NDArray[Any]) -> NDArray[Any]:
    batch, _, frequencies, frames = taps[0].shape
    columns = np.concatenate([tap.reshape(batch, tap.shape[1], -1) for tap in taps], axis=1)
    rows = weight.transpose(0, 2, 3, 1).reshape(weight.shape[0], -1)  # tap-major like the columns
    return (rows @ columns).reshape(batch, weight.shape[0], frequencies, frames)
