"""A model as its file stores it, whatever the format: what the audit of foreign files counts.

Unlike `graph.model` this says nothing about what the numbers mean; every operator is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNKNOWN = "unknown"  # dtype of a tensor of which the file says nothing and nothing can be inferred


@dataclass(frozen=True)
class StoredTensor:
    """A tensor. A constant has its numbers in `data` [elements]; `content` is the digest of how they are stored.

    Constants of one `storage` share their bytes in the file: one buffer, one initialiser. A `variable` is state that
    lives from one inference to the next.
    """

    name: str
    shape: tuple[int, ...]  # -1 where the file leaves a side open
    dtype: str
    bits: int  # of one element
    data: NDArray[np.generic] | None = field(default=None, repr=False)
    content: str = ""
    scales: int = 0  # how many quantisation scales belong to it
    zero_points: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), repr=False)
    axis: int = 0  # of the per-channel zero points; as many zero points as elements go one by one
    storage: str = ""
    variable: bool = False
    sparse: bool = False  # `data` holds the stored values only, the others are zero
    scale_values: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32), repr=False)

    @property
    def elements(self) -> int:
        """Number of elements, open sides taken as 1."""
        return count_elements(self.shape)

    @property
    def bytes(self) -> int:
        """Bytes of its elements, packed where they are smaller than a byte."""
        return (self.elements * self.bits + 7) // 8

    @property
    def nonzero(self) -> int:
        """Elements whose real value is not zero: q != zero point where quantised."""
        if self.data is None:
            return 0
        zero: NDArray[np.int64] = self.zero_points
        if not zero.any():
            return int(np.count_nonzero(self.data))
        if self.sparse or len(zero) == len(self.data):
            return int(np.count_nonzero(self.data != (zero if len(zero) == len(self.data) else zero[0])))
        values = self.data.reshape([abs(side) for side in self.shape])
        if len(zero) > 1:
            zero = zero.reshape([-1 if axis == self.axis else 1 for axis in range(values.ndim)])
        return int(np.count_nonzero(values != zero))


@dataclass(frozen=True)
class StoredOperator:
    """An operator between tensors, given by index; -1 is an input that is left out."""

    name: str
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    domain: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)  # those that decide how much it computes
    subgraphs: int = 0  # bodies of loops and branches in its attributes


@dataclass(frozen=True)
class StoredModel:
    """Tensors and operators in execution order.

    `subgraphs` are the bodies of loops and branches; an operator names them in its attributes by number, 1 for the
    first of them (0 is the model itself).
    """

    format: str
    tensors: tuple[StoredTensor, ...]
    operators: tuple[StoredOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    metadata: dict[str, str]
    subgraphs: tuple[StoredModel, ...] = ()
    functions: int = 0  # function bodies of the file that are not looked into
    hidden: int = 0  # numbers in bodies and attributes that no count holds
    reordered: bool = False  # the file's own order of operators could not run

    @property
    def other_subgraphs(self) -> int:
        """How many bodies of loops, branches and functions there are beside the model itself."""
        return len(self.subgraphs) + self.functions + sum(operator.subgraphs for operator in self.operators)


def count_elements(shape: tuple[int, ...]) -> int:
    """Elements of a tensor of `shape`, an open side (-1) taken as 1."""
    count = 1
    for side in shape:
        count *= abs(side)
    return count
