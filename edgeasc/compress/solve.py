"""The budget is the input: how many convolution weights a network may keep so that it lands just under it.

Bytes are those of a counting rule. Under the default rule, `deployed`, a non-zero weight costs one byte and a non-zero
bias four; under `qti-report` a kept convolution weight costs one byte and everything else two.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeasc.errors import CheckFailed, UsageError
from edgeasc.sizes import format_size


@dataclass(frozen=True)
class Costs:
    """What a network costs under one rule, apart from the choice of weights.

    Args:
        rule: the rule's name.
        weights: all convolution weights.
        layers: convolutions; each keeps at least one weight.
        fixed_bytes: everything that pruning does not touch (biases, norms).
        fixed_name: what that is, in words.
        weight_bytes: bytes of one kept weight.
        offsets: sub-band biases, of which a part may go: four bands of a channel often do with fewer.
        offset_bytes: bytes of one kept sub-band bias.
    """

    rule: str
    weights: int
    layers: int
    fixed_bytes: int
    fixed_name: str
    weight_bytes: int = 1
    offsets: int = 0
    offset_bytes: int = 4

    def total(self, keep: int, keep_offsets: int) -> int:
        """Bytes with `keep` weights and `keep_offsets` sub-band biases."""
        return self.fixed_bytes + keep * self.weight_bytes + keep_offsets * self.offset_bytes

    @property
    def smallest(self) -> int:
        """Bytes of the smallest network that still has a weight in every layer."""
        return self.total(self.layers, 0)


@dataclass(frozen=True)
class Plan:
    """The solver's answer, known before any training."""

    costs: Costs
    budget: int | None
    keep: int
    keep_offsets: int

    @property
    def sparsity(self) -> float:
        """Part of the convolution weights that becomes zero."""
        return 1.0 - self.keep / self.costs.weights

    @property
    def planned_bytes(self) -> int:
        """Bytes of the plan; rounding to 8 bits may turn a few more weights to zero."""
        return self.costs.total(self.keep, self.keep_offsets)

    def sentence(self) -> str:
        """The plan for people."""
        costs = self.costs
        goal = "no budget given" if self.budget is None else f"budget {format_size(self.budget)}"
        offsets = f"{self.keep_offsets:,} of {costs.offsets:,} sub-band biases at 32 bits, " if costs.offsets else ""
        return (
            f"{goal} under rule {costs.rule}: keep {self.keep:,} of {costs.weights:,} convolution weights "
            f"({100 * self.sparsity:.1f} % zeros) at 8 bits, {offsets}{costs.fixed_name} {costs.fixed_bytes:,} B, "
            f"together {format_size(self.planned_bytes)}"
        )


def solve_budget(costs: Costs, budget: int | None, sparsity: float | None = None) -> Plan:
    """The plan that lands just under `budget`, or has the given `sparsity`.

    Raises:
        CheckFailed: no sparsity meets the budget; says the smallest possible one.
        UsageError: neither or an impossible `sparsity` is given.
    """
    if sparsity is not None:
        if not 0.0 <= sparsity < 1.0:
            raise UsageError("sparsity", f"{sparsity} is not in [0, 1)")
        keep, keep_offsets = max(costs.layers, round((1.0 - sparsity) * costs.weights)), costs.offsets
    elif budget is not None:
        keep, keep_offsets = _shared_out(costs, budget)
    else:
        raise UsageError("compress", "give --budget (such as 128KiB) or --sparsity")
    plan = Plan(costs, budget, keep, keep_offsets)
    if sparsity is not None and budget is not None and plan.planned_bytes > budget:
        needs = f"{100 * sparsity:g} % zeros leave {format_size(plan.planned_bytes)}, more than the budget of"
        raise CheckFailed("sparsity", f"{needs} {format_size(budget)}; give one of the two")
    if budget is not None and (keep < costs.layers or plan.planned_bytes > budget):
        raise CheckFailed(
            "budget",
            f"{format_size(budget)} cannot be met: {costs.fixed_name} alone take {costs.fixed_bytes:,} B, and with one "
            f"weight in each of {costs.layers} convolutions the smallest possible is {format_size(costs.smallest)}; "
            "take a narrower network or a larger budget",
        )
    return plan


def _shared_out(costs: Costs, budget: int) -> tuple[int, int]:
    """Weights and sub-band biases that fit: the same part of both, and what is left over in weights."""
    spare = budget - costs.fixed_bytes
    whole = costs.weights * costs.weight_bytes + costs.offsets * costs.offset_bytes
    keep_offsets = int(costs.offsets * min(1.0, max(0.0, spare / whole)))
    keep = (spare - keep_offsets * costs.offset_bytes) // costs.weight_bytes
    if keep < costs.layers:
        keep_offsets, keep = 0, spare // costs.weight_bytes
    return min(costs.weights, keep), keep_offsets
