"""How sure a share of n clips is."""

from __future__ import annotations

import math

Z_95 = 1.959963984540054  # standard deviations that hold 95 % of a normal distribution


def wilson(share: float, n: int, z: float = Z_95) -> tuple[float, float]:
    """The interval that holds the true share with 95 % confidence, for `n` independent clips.

    Wilson's score interval (J. Am. Stat. Assoc. 22, 1927, 209-212): never leaves [0, 1], and is honest for few clips.
    """
    if n <= 0:
        return 0.0, 1.0
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    return max(0.0, centre - half), min(1.0, centre + half)
