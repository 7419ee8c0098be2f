"""The learning rate of every step."""

from __future__ import annotations

import math

from edgeasc.specs import TrainSpec

DIV_FACTOR, FINAL_DIV_FACTOR = 25.0, 1e4  # onecycle: peak / first rate, first rate / last rate, torch's defaults
LOW_MOMENTUM, HIGH_MOMENTUM = 0.85, 0.95  # onecycle: at the peak, at both ends


def scheduled(step: int, total_steps: int, warmup_steps: int, spec: TrainSpec) -> float:
    """Rate of step `step` (from 0) under the schedule of `[train]`."""
    if spec.schedule == "onecycle":
        return one_cycle(step, total_steps, spec.pct_start, spec.lr / DIV_FACTOR, spec.lr, _last_rate(spec.lr))
    if spec.schedule == "constant":
        return spec.lr * min(1.0, (step + 1) / warmup_steps) if warmup_steps else spec.lr
    return learning_rate(step, total_steps, warmup_steps, spec.lr)


def scheduled_momentum(step: int, total_steps: int, spec: TrainSpec) -> float:
    """Momentum (beta1 of Adam) of step `step`: that of `[train]`, or what one cycle makes of it."""
    if spec.schedule != "onecycle" or not spec.cycle_momentum:
        return spec.momentum
    return one_cycle(step, total_steps, spec.pct_start, HIGH_MOMENTUM, LOW_MOMENTUM, HIGH_MOMENTUM)


def learning_rate(step: int, total_steps: int, warmup_steps: int, peak: float) -> float:
    """Rate of step `step` (from 0): `peak * (step + 1) / warmup_steps`, after the warm-up half a cosine towards 0.

    Per step, not per epoch, as the published trainer of BC-ResNet does. Source: QTI DCASE 2021 report, section 3.1.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return 0.5 * peak * (1 + math.cos(math.pi * (step - warmup_steps) / max(total_steps - warmup_steps, 1)))


def one_cycle(step: int, total_steps: int, rising: float, first: float, peak: float, last: float) -> float:
    """Half a cosine from `first` to `peak` over the part `rising` of the steps, then one to `last` at the last step.

    Source: Smith and Topin, arXiv 1708.07120, with the cosines and the end points of torch's OneCycleLR.
    """
    top = rising * total_steps - 1
    if step < top:
        return _between(first, peak, step / top)
    return _between(peak, last, (step - top) / (total_steps - 1 - top))


def _last_rate(peak: float) -> float:
    return peak / DIV_FACTOR / FINAL_DIV_FACTOR


def _between(start: float, end: float, part: float) -> float:
    """Half a cosine from `start` to `end`."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))
