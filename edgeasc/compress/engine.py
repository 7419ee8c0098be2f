"""Who does the pruning and the training on the grid. Whatever the engine, its result is a `QuantNet`.

`native` is ours; `nncf` drives the NNCF library. Both are held to the same contract by the same tests, and a table in
`benchmarks/` sets them side by side.
"""

from __future__ import annotations

from typing import Protocol

from torch import nn

from edgeasc.compress.equalise import equalise
from edgeasc.compress.phases import prune_network, train_on_grid
from edgeasc.compress.quantnet import QuantNet
from edgeasc.compress.solve import Plan
from edgeasc.errors import UsageError
from edgeasc.specs import Recipe, nearest
from edgeasc.train.batches import ClipArrays
from edgeasc.train.checkpoint import Checkpoint
from edgeasc.train.loop import calibration_inputs
from edgeasc.train.progress import Progress


class Engine(Protocol):
    """The two things an engine does."""

    def prune(
        self,
        network: nn.Module,
        training: ClipArrays,
        recipe: Recipe,
        plan: Plan,
        teacher: nn.Module,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> None:
        """Prune `network` in place to the plan's number of weights, exact zeros, batch norm up to date."""
        ...

    def quantize(
        self,
        network: nn.Module,
        training: ClipArrays,
        recipe: Recipe,
        plan: Plan,
        input_shape: tuple[int, ...],
        teacher: nn.Module,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> QuantNet:
        """The trained fake-quantised form of a pruned `network`, its zeros kept."""
        ...


class Native:
    """Our own masks, fake-quantisation and integer-exact forward."""

    def prune(
        self,
        network: nn.Module,
        training: ClipArrays,
        recipe: Recipe,
        plan: Plan,
        teacher: nn.Module,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> None:
        prune_network(network, training, recipe, plan, teacher=teacher, checkpoint=checkpoint, progress=progress)

    def quantize(
        self,
        network: nn.Module,
        training: ClipArrays,
        recipe: Recipe,
        plan: Plan,
        input_shape: tuple[int, ...],
        teacher: nn.Module,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> QuantNet:
        net = QuantNet(network.eval(), recipe.quantize.form, input_shape)
        equalise(net, calibration_inputs(training, recipe))
        train_on_grid(net, training, recipe, plan, teacher=teacher, checkpoint=checkpoint, progress=progress)
        return net.eval()


ENGINES = ("native", "nncf")


def find_engine(name: str) -> Engine:
    """The engine called `name`.

    Raises:
        UsageError: no such engine. MissingDependency: its library is not installed.
    """
    if name == "native":
        return Native()
    if name == "nncf":
        from edgeasc.compress.nncf_engine import Nncf

        return Nncf()
    near = nearest(name, list(ENGINES)) or f"; there are {' and '.join(ENGINES)}"
    raise UsageError("--engine", f"unknown engine {name!r}{near}")
