"""Where training starts: weights of earlier runs for a whole network, or for a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edgeasc.errors import UsageError
from edgeasc.runs import Run
from edgeasc.specs import nearest
from edgeasc.train.weights import load_weights, read_tensors


@dataclass(frozen=True)
class Start:
    """The best weights of `run` go into the module `part`, or into the whole network where it is empty."""

    run: Path
    part: str = ""

    @classmethod
    def parse(cls, text: str) -> Start:
        """`[PART=]RUN`, as on the command line.

        Raises:
            UsageError: no run is named.
        """
        part, equals, run = text.rpartition("=")
        if not run or (equals and not part):
            raise UsageError("--init", f"{text!r} is not of the form RUN or PART=RUN")
        return cls(Path(run), part)

    def __str__(self) -> str:
        return f"{self.part}={self.run}" if self.part else str(self.run)


def start_from(network: nn.Module, starts: Sequence[Start]) -> None:
    """Put the weights of earlier runs into `network`, in the order given.

    Raises:
        UsageError: the network has no such part. BadInput: no run there, or weights that do not fit.
    """
    parts = dict(network.named_modules())
    for start in starts:
        if start.part not in parts:
            known = [name for name, _ in network.named_children()]
            hint = nearest(start.part, known) or f"; it has {', '.join(known)}"
            raise UsageError("--init", f"the network has no part {start.part!r}{hint}")
        run = Run(start.run)
        run.info()  # says whether there is a run at all
        load_weights(parts[start.part], read_tensors(run.best)[0], run.best)
