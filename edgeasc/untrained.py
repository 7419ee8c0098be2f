"""The audit of a recipe that nobody has trained: what the network will weigh and need, and what a budget will ask.

Parameters, multiply-accumulates, memory and the file do not depend on the values of weights. So the network is built,
given weights that are not zero, taken through the real path to a .tflite (fold, 8 bit, write), and counted as any other
file. What a budget asks for is the solver's answer, the one that `edgeasc compress` starts from.
Here `compress` and `audit` meet, which do not know one another; torch is needed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeasc.audit.document import AuditReport, Limit, ModelAudit
from edgeasc.audit.rules import Rule, read_rule
from edgeasc.compress.solve import Costs, Plan, solve_budget
from edgeasc.errors import BadInput, CheckFailed
from edgeasc.files import write_bytes, write_json
from edgeasc.recipes import load_recipe
from edgeasc.sizes import parse_size
from edgeasc.specs import Recipe

CLASSES = 10
SOLVED_BITS = 0  # a rule that takes weights and biases at their own width costs what the solver assumes


@dataclass(frozen=True)
class Planned:
    """The solver's answer under one rule: a plan, or why there is none and the least bytes that pruning reaches."""

    rule: str
    budget: int
    plan: Plan | None
    words: str
    least: int | None = None

    def to_json(self) -> dict[str, Any]:
        """{rule, budget_bytes, planned_bytes, keep, weights, sparsity, words}; the middle ones None without a plan."""
        plan = self.plan
        return {
            "rule": self.rule,
            "budget_bytes": self.budget,
            "planned_bytes": plan.planned_bytes if plan else None,
            "keep": plan.keep if plan else None,
            "weights": plan.costs.weights if plan else None,
            "sparsity": plan.sparsity if plan else None,
            "words": self.words,
        }


@dataclass(frozen=True)
class UntrainedAudit:
    """The audit of the dense network, with the budget's verdict on the plan in place of that on the dense network."""

    recipe: Recipe
    report: AuditReport
    plans: tuple[Planned, ...]

    @property
    def passed(self) -> bool:
        """Whether every limit can hold."""
        return self.report.passed

    def to_json(self) -> dict[str, Any]:
        """An audit document with `plans`."""
        return {**self.report.to_json(), "plans": [plan.to_json() for plan in self.plans]}


def audit_recipe(
    name: str,
    settings: Sequence[str] = (),
    budget: int | str | None = None,
    rules: Sequence[str] | None = None,
    *,
    classes: int = CLASSES,
    limits: Mapping[str, int] | None = None,
    arena: bool = True,
    targets: Sequence[str] = (),
) -> UntrainedAudit:
    """Audit the network of a recipe, in the recipe's form, before any training.

    Args:
        name: a shipped recipe or a TOML file. settings: changes such as `model.options.c=20`.
        budget: the most bytes under every rule; by default each rule's own limit.
        classes: how many the data will have.
        limits, arena, targets: as of `edgeasc.audit`.

    Raises:
        UsageError: an unknown recipe, key, rule or target.
        MissingDependency: torch is not installed.
    """
    from edgeasc.audit import DEFAULT_RULE, audit

    recipe = load_recipe(name, tuple(settings))
    size = parse_size(budget) if isinstance(budget, str) else budget
    chosen = [read_rule(rule) for rule in rules or [DEFAULT_RULE]]
    network = _network(recipe, classes)
    words = f"untrained: {recipe.model.name} for {classes} classes, every weight kept"
    with tempfile.TemporaryDirectory(prefix="edgeasc-") as folder:
        try:
            path = _write_tflite(network, recipe, classes, Path(folder))
            words += f", form {recipe.quantize.form}"
        except BadInput as error:  # an architecture that cannot be compressed: its weights count all the same
            path = _write_weights(network, Path(folder))
            words += f", at 32 bits: {error.why}, so that nothing but its weights is known"
        report = audit(path, size, rules, limits=limits, arena=arena, targets=targets)
    quantised = path.suffix != ".safetensors"
    plans = tuple(plan for rule in chosen if quantised and (plan := _planned(rule, network, recipe, size)))
    model = _judged(report.models[0], plans)
    model = replace(model, path=name, notes=(words, *model.notes))
    return UntrainedAudit(recipe, AuditReport((model,)), plans)


def write_untrained(recipe: Recipe, classes: int, folder: Path) -> Path:
    """`model.tflite` and `inventory.json` of the recipe's network, with seeded weights, in `folder`; returns it.

    Raises:
        BadInput: a layer that has no 8-bit form. MissingDependency: torch is not installed.
    """
    return _write_tflite(_network(recipe, classes), recipe, classes, folder)


def _network(recipe: Recipe, classes: int) -> Any:
    """The recipe's network with weights that are not zero: counts of an initial network would depend on luck."""
    import torch

    from edgeasc.nn.registry import create_model

    network = create_model(recipe.model.name, classes, **recipe.model.options).eval()
    random = torch.Generator().manual_seed(recipe.train.seed)
    with torch.no_grad():
        for parameter in network.parameters():
            size = torch.empty_like(parameter).uniform_(0.3, 1.0, generator=random)  # 8 bits keep it from zero
            parameter.copy_(size * torch.where(torch.rand(size.shape, generator=random) < 0.5, -1.0, 1.0))
    return network


def _write_tflite(network: Any, recipe: Recipe, classes: int, folder: Path) -> Path:
    """A folder with the .tflite of the network on arbitrary grids and the inventory that rules about training read.

    Raises:
        BadInput: a layer that has no 8-bit form.
    """
    import copy

    import torch

    from edgeasc.compress.inventory import inventory
    from edgeasc.compress.quantnet import QuantNet
    from edgeasc.export.tflite import tflite_bytes

    shape = (1, 1, recipe.features.n_mels, recipe.n_frames)
    net = QuantNet(copy.deepcopy(network), recipe.quantize.form, shape)
    net.set_grids(torch.zeros(len(net.index)), torch.ones(len(net.index)))
    labels = [f"class {number}" for number in range(classes)]
    metadata = {
        "edgeasc.features": recipe.features.model_dump_json(),
        "edgeasc.form": recipe.quantize.form,
        "edgeasc.labels": json.dumps(labels),
    }
    graph = net.freeze(metadata)
    write_bytes(folder / "model.tflite", tflite_bytes(graph))
    write_json(folder / "inventory.json", inventory(network, graph))
    return folder


def _write_weights(network: Any, folder: Path) -> Path:
    """The network's parameters and statistics as a file of their own."""
    from safetensors.numpy import save_file

    path = folder / "weights.safetensors"
    save_file({name: tensor.numpy() for name, tensor in network.state_dict().items()}, path)
    return path


def _planned(rule: Rule, network: Any, recipe: Recipe, budget: int | None) -> Planned | None:
    """What the solver answers to the budget under `rule`, or to the rule's own; None where neither is given."""
    wanted = budget if budget is not None else rule.limit_bytes
    if wanted is None:
        return None
    costs = _costs(rule, network, recipe)
    if costs is None:
        words = f"rule {rule.name} counts zeros as well: no sparsity changes its bytes; the verdict is on all weights"
        return Planned(rule.name, wanted, None, words)
    try:
        plan = solve_budget(costs, wanted)
    except CheckFailed as error:
        return Planned(rule.name, wanted, None, error.why, costs.smallest)
    return Planned(rule.name, wanted, plan, plan.sentence())


def _costs(rule: Rule, network: Any, recipe: Recipe) -> Costs | None:
    """What the network costs under `rule`; None where zeros cost as much as other weights."""
    from edgeasc.compress.inventory import RULES, costs_of

    if rule.name in RULES:
        return costs_of(network, rule.name, recipe.quantize.form)
    lines = {kind: spec for spec in rule.count for kind in spec.kinds}
    solved = [lines.get(kind) for kind in ("weight", "bias")]
    free = all(spec is not None and spec.of == "nonzero" and spec.bits == SOLVED_BITS for spec in solved)
    if rule.form != "deployed" or not free:
        return None
    return replace(costs_of(network, "deployed", recipe.quantize.form), rule=rule.name)


def _judged(model: ModelAudit, plans: Sequence[Planned]) -> ModelAudit:
    """`model` with the limits on bytes judged by the plan, where sparsity decides them."""
    limits = {limit.name: limit for limit in model.limits}
    for item in plans:
        name = f"{item.rule} bytes"
        if item.plan is not None:
            limits[name] = Limit(name, item.budget, item.plan.planned_bytes, True)
        elif item.least is not None:
            limits[name] = Limit(name, item.budget, item.least, False)
    return replace(model, limits=tuple(limits.values()))


def plan_words(planned: Planned) -> str:
    """One paragraph about a plan."""
    return f"Plan      {planned.words}"
