"""Which range an int8 grid should hold: the one with the least error on calibration clips, not the widest.

Three errors. `absolute`: mean squared rounding and clipping error, for activations. `relative`: mean squared error of
the logarithm, for gains and variances, where a silent bin and a loud one count alike. `of_mean`: relative error of the
mean over channels and time, for the squares inside a variance, whose single values do not matter.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Error = Callable[[Tensor, Tensor], Tensor]
MAX_VALUES = 2**18  # per batch; enough for a mean squared error
LINEAR = tuple(1.0 - 0.1 * k for k in range(7))  # parts of the full range
FAR = 4.0  # octaves
OCTAVES = tuple(2.0 ** (-0.5 * k) for k in range(17))  # down to 1/256


def absolute(rounded: Tensor, value: Tensor) -> Tensor:
    """Mean squared error."""
    return (rounded - value).square().mean()


def relative(rounded: Tensor, value: Tensor) -> Tensor:
    """Mean squared difference of the logarithms of positive values, those within FAR octaves of the median.

    What rounds to zero counts as half a step. Values further away belong to bins that are all but silent.
    """
    octaves = value.clamp_min(1e-12).log2()
    near = (octaves - octaves.median()).abs() < FAR
    half_step = rounded[rounded > 0].amin() / 2 if bool((rounded > 0).any()) else torch.ones(())
    return (torch.maximum(rounded, half_step).log2() - octaves)[near].square().mean()


def of_mean(rounded: Tensor, value: Tensor) -> Tensor:
    """Mean squared relative error of the means over channels and time, `[B, C, F, T] -> [B, F]`."""
    truth = value.mean((1, 3))
    heard = truth > 1e-3 * truth.mean()  # silent bins say nothing
    return ((rounded.mean((1, 3))[heard] - truth[heard]) / truth[heard]).square().mean()


def best_range(value: Tensor, error: Error, parts: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The low and high end, among `parts` of the full range, whose int8 grid has the least `error` on `value`."""
    low, high = value.amin().clamp_max(0), value.amax().clamp_min(1e-6)
    if error is not of_mean:
        flat = value.flatten()
        value = flat[:: 1 + flat.numel() // MAX_VALUES]
    best = min(parts, key=lambda part: float(error(on_grid(value, part * low, part * high), value)))
    return best * low, best * high


def on_grid(value: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """`value` rounded to the 256 steps of an int8 grid over [low, high] that contains zero exactly."""
    scale = (high - low) / 255
    zero = torch.round(-low / scale)
    return (torch.round(value / scale).clamp(-zero, 255 - zero)) * scale
