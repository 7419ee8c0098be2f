"""Checkpoints of a run: the best and the last weights, and one file that a resumed run continues from.

`last.optim.safetensors` carries weights, optimiser state and counters together and is written last in an epoch:
one rename commits the epoch, and whatever a killed process left half done is done again, identically.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from edgeasc.errors import BadInput
from edgeasc.runs import Run
from edgeasc.train.weights import load_weights, read_tensors, write_tensors


@dataclass(frozen=True)
class Position:
    """Where training stands: `epoch` epochs of `phase` are complete.

    `best` is what the best epoch so far scored (what `train.select` names, minus log loss); None without validation.
    """

    phase: str
    epoch: int = 0
    best_epoch: int = 0
    best: tuple[float, float] | None = None


class Checkpoint:
    """Saves every epoch of a run, and with `resume` finds the last one saved."""

    def __init__(self, run: Run, resume: bool = False) -> None:
        self.run, self.resume = run, resume

    def position(self) -> Position | None:
        """Where the stored run stands; None when there is nothing to resume.

        Raises:
            BadInput: corrupt, or not written by us.
        """
        if not (self.resume and self.run.optimizer.exists()):
            return None
        return _position(read_tensors(self.run.optimizer)[1], self.run)

    def save(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        position: Position,
        extra: dict[str, Tensor],
        commit: Callable[[], None],
        judged: dict[str, Tensor] | None = None,
    ) -> None:
        """Write the weights, call `commit` (the epoch's history), and write the file that makes it final.

        Args:
            judged: the weights that were judged and are to be kept, where they are not those in training.

        Raises:
            ResourceExhausted: the disk is full; the older files survive.
        """
        trained = dict(network.state_dict())
        weights = trained if judged is None else judged
        if position.best_epoch == position.epoch:
            write_tensors(self.run.best, weights)
        write_tensors(self.run.last, weights)
        commit()
        tensors = {f"network.{name}": tensor for name, tensor in trained.items()}
        tensors |= {f"hooks.{name}": tensor for name, tensor in extra.items()}
        scalars: dict[str, dict[str, Any]] = {}
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{index}.{key}"] = value
                else:
                    scalars.setdefault(str(index), {})[key] = value
        write_tensors(self.run.optimizer, tensors, {"position": asdict(position), "scalars": scalars})

    def load(
        self,
        phase: str,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        restore: Callable[[dict[str, Tensor]], None],
    ) -> Position:
        """Put the stored epoch of `phase` back; a fresh position when there is none.

        Raises:
            BadInput: corrupt, or of another network.
        """
        if self.position() is None:
            return Position(phase)
        path = self.run.optimizer
        tensors, document = read_tensors(path)
        position = _position(document, self.run)
        if position.phase != phase:
            return Position(phase)
        restore(_section(tensors, "hooks."))
        load_weights(network, _section(tensors, "network."), path)
        _load_optimizer(optimizer, _section(tensors, "optimizer."), document.get("scalars"), self.run)
        return position


def _section(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _position(document: dict[str, Any], run: Run) -> Position:
    try:
        position = Position(**document["position"])
        best = None if position.best is None else (float(position.best[0]), float(position.best[1]))
        return replace(position, epoch=int(position.epoch), best_epoch=int(position.best_epoch), best=best)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadInput("checkpoint", f"says not where training stands ({error})", run.optimizer) from error


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], scalars: Any, run: Run) -> None:
    """Per-parameter state by index; what every tensor belongs to is checked, as torch does not."""
    shapes = [parameter.shape for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    try:
        for name, tensor in tensors.items():
            index, key = name.split(".", 1)
            if tensor.ndim and tensor.shape != shapes[int(index)]:
                raise ValueError(f"{name} has shape {list(tensor.shape)}")
            state.setdefault(int(index), {})[key] = tensor
        for index, values in scalars.items():
            state.setdefault(int(index), {}).update(values)
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise BadInput("checkpoint", f"optimiser state does not fit ({error})", run.optimizer) from error
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
