"""The learning rate of every step: linear warm-up, then cosine to zero."""

from __future__ import annotations

import math


def learning_rate(step: int, total_steps: int, warmup_steps: int, peak: float) -> float:
    """Rate of step `step` (from 0): `peak * (step + 1) / warmup_steps`, after the warm-up half a cosine towards 0.

    Per step, not per epoch, as the published trainer of BC-ResNet does. Source: QTI DCASE 2021 report, section 3.1.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return 0.5 * peak * (1 + math.cos(math.pi * (step - warmup_steps) / max(total_steps - warmup_steps, 1)))
