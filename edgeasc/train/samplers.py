"""Which clips every step sees, as endless orders that can be entered anywhere.

Draw number i is computed from the seed alone, not from the draws before it: a resumed run goes on with what an
uninterrupted one would have seen, and nothing has to be stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput

Indices = NDArray[np.int64]


class Shuffled:
    """Permutations of `n` things, one after the other without end; each is drawn from the seed `key` and its number."""

    def __init__(self, n: int, key: Sequence[int]) -> None:
        self.n, self.key = n, tuple(key)
        self._number, self._order = -1, np.empty(0, np.int64)

    def draw(self, index: int) -> int:
        """Draw number `index`, from 0."""
        number, place = divmod(index, self.n)
        if number != self._number:
            self._number, self._order = number, np.random.default_rng([*self.key, number]).permutation(self.n)
        return int(self._order[place])

    def draws(self, first: int, count: int) -> Indices:
        """`count` draws from number `first` on."""
        return np.array([self.draw(index) for index in range(first, first + count)], np.int64)


class Balanced:
    """Clips such that of K classes, every K draws hold each class once.

    The classes come in permutation after permutation; so do, within a class, its clips, each class at its own pace.
    Source: Kong et al., arXiv 1912.10211, section IV; Pellegrini, Interspeech 2021, section 3.2.

    Args:
        labels: `[n]` class of every clip.

    Raises:
        BadInput: a class without a clip.
    """

    def __init__(self, labels: Indices, n_classes: int, key: Sequence[int]) -> None:
        self.members = [np.flatnonzero(labels == label) for label in range(n_classes)]
        for label, members in enumerate(self.members):
            if len(members) == 0:
                why = f"class {label} has no training clip, and every {n_classes} draws are to hold each class"
                raise BadInput("balanced sampler", f'{why}; set train.sampler="shuffle"')
        self.classes = Shuffled(n_classes, (*key, 0))
        self.within = [Shuffled(len(members), (*key, 1 + label)) for label, members in enumerate(self.members)]

    def draw(self, index: int) -> int:
        """Draw number `index`, from 0."""
        label = self.classes.draw(index)
        return int(self.members[label][self.within[label].draw(index // len(self.members))])

    def draws(self, first: int, count: int) -> Indices:
        """`count` draws from number `first` on."""
        return np.array([self.draw(index) for index in range(first, first + count)], np.int64)
