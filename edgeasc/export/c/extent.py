"""Shapes as the kernels see them: channels, frequencies, frames."""

from __future__ import annotations

from dataclasses import dataclass

from edgeasc.errors import BadInput
from edgeasc.graph.model import QTensor


@dataclass(frozen=True)
class Strided(QTensor):
    """Rows of a larger tensor: neighbouring channels lie `plane` bytes apart, more than the rows take."""

    plane: int = 0


def shape3(tensor: QTensor) -> tuple[int, int, int]:
    """Channels, frequencies and frames; what a shape lacks is 1.

    Raises:
        BadInput: a batch, or more than three dimensions behind it.
    """
    if not tensor.shape or len(tensor.shape) > 4 or tensor.shape[0] != 1:
        raise BadInput("C export", f"tensor {tensor.name} has shape {list(tensor.shape)}; batch 1 and 1 to 3 more")
    c, f, t = (*tensor.shape[1:], 1, 1, 1)[:3]
    return c, f, t


def frequencies(tensor: QTensor) -> int:
    """Rows of a tensor along frequency."""
    return shape3(tensor)[1]
