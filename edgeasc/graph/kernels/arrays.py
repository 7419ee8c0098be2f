"""The little that numpy arrays and torch tensors do not share by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.model import Activation, Form, QTensor
from edgeasc.graph.rounding import requantize_double, requantize_single

INT8_MIN, INT8_MAX = -128, 127
INT32_MAX = 2**31 - 1

_REQUANTIZERS: dict[Form, Callable[[Any, Any, Any], Any]] = {"int8": requantize_double, "island": requantize_single}


def requantizer(form: Form) -> Callable[[Any, Any, Any], Any]:
    """The rounding of every requantisation in a graph of this form: twice for `int8`, once for `island`."""
    return _REQUANTIZERS[form]


def constant(values: NDArray[np.int64], like: Any) -> Any:
    """`values` as an array of the kind and device of `like` (numpy array or torch tensor of int64)."""
    return values if isinstance(like, np.ndarray) else like.new_tensor(values)


def every_int8() -> NDArray[np.int64]:
    """-128 ... 127."""
    return np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)


def lookup(table: NDArray[Any], values: Any) -> Any:
    """`table[value + 128]` as int64, for int64 `values` in [-128, 127]; `table` has 256 entries."""
    return constant(table.astype(np.int64), values)[values + 128]


def half_away(steps: NDArray[np.float64], zero_point: int) -> NDArray[np.float64]:
    """Real output steps as integers from `zero_point`, halves away from zero, clipped to int8.

    So rounds TensorFlow Lite's QUANTIZE, which ends a float island.
    """
    rounded = np.sign(steps) * np.floor(np.abs(steps) + 0.5) + zero_point
    return np.asarray(rounded.clip(INT8_MIN, INT8_MAX), dtype=np.float64)


def check_int32(what: str, largest: int, shift: int) -> None:
    """Refuse numbers of at most `largest` that a shift to the left, or a zero point, takes out of int32.

    Runtimes hold them so and do not saturate.

    Raises:
        BadInput: they leave it.
    """
    if largest << max(shift, 0) > INT32_MAX + INT8_MIN:
        raise BadInput("graph", f"{what} may overflow int32 (the output's scale is too small for its inputs')")


def output_range(output: QTensor, activation: Activation) -> tuple[int, int]:
    """Smallest and largest integer of the output; ReLU raises the smallest to the zero point."""
    return (max(INT8_MIN, output.zero_point) if activation == "relu" else INT8_MIN), INT8_MAX
