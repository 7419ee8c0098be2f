"""Both engines keep one contract: exact sparsity, zeros that stay, a grid for every tensor, integers that are equal.

The tests of what is NNCF's alone are in test_nncf_engine.py.
"""

from __future__ import annotations

import copy
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from seeded import SHAPE, features, lively_network
from tones import recipe
from torch import nn

from edgeasc.compress.engine import ENGINES, Engine, find_engine
from edgeasc.compress.inventory import costs_of
from edgeasc.compress.prune import prunable
from edgeasc.compress.quantnet import QuantNet, running
from edgeasc.compress.solve import Plan
from edgeasc.compress.steps import Constant, ConvStep, LogisticStep, MaxPoolStep, RsqrtStep
from edgeasc.errors import BadInput, UsageError
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.model import Form
from edgeasc.graph.reference import logits
from edgeasc.runtime.catalogue import RUNTIMES
from edgeasc.runtime.runner import load_runner
from edgeasc.specs import Recipe
from edgeasc.train.batches import ClipArrays
from edgeasc.train.loop import plain_inputs
from edgeasc.train.norm_statistics import reestimate

KEEP, KEEP_OFFSETS = 1000, 200
WITHOUT_NNCF = pytest.mark.skipif(
    importlib.util.find_spec("nncf") is None, reason="nncf is not installed: pip install 'edgeasc[nncf]'"
)
CASES = [
    pytest.param((engine, form), id=f"{engine}-{form}", marks=[WITHOUT_NNCF] if engine == "nncf" else [])
    for engine in ENGINES
    for form in ("int8", "island")
]


def short_recipe(form: Form) -> Recipe:
    """Two epochs of pruning, three on the grid, the last of them with exact integers."""
    return recipe(
        data={"clip_seconds": 0.475},  # 20 frames
        prune={"epochs": 2, "schedule": "gradual", "lr": 0.001},
        quantize={"form": form, "epochs": 3, "exact_epochs": 1, "lr": 0.001},
    )


def clips() -> ClipArrays:
    return ClipArrays(features(48, 1).numpy(), np.arange(48) % 5, 5)


def plan_for(network: nn.Module, keep: int, keep_offsets: int | None = None) -> Plan:
    costs = costs_of(network, "deployed", "int8")
    return Plan(costs, None, keep, costs.offsets if keep_offsets is None else keep_offsets)


@dataclass
class Result:
    """What an engine made of the lively network."""

    engine: Engine
    before: nn.Module
    pruned: nn.Module
    net: QuantNet
    recipe: Recipe


@pytest.fixture(scope="module", params=CASES)
def result(request: pytest.FixtureRequest) -> Result:
    name, form = request.param
    engine, short = find_engine(name), short_recipe(form)
    before, network = lively_network(), lively_network()
    plan = plan_for(network, KEEP, KEEP_OFFSETS)
    engine.prune(network, clips(), short, plan, copy.deepcopy(before), None, None)
    pruned = copy.deepcopy(network)
    net = engine.quantize(network, clips(), short, plan, SHAPE, copy.deepcopy(before), None, None)
    return Result(engine, before, pruned, net, short)


def test_pruning_keeps_exactly_the_plans_number_of_weights(result: Result) -> None:
    assert sum(int((weight != 0).sum()) for weight in prunable(result.pruned).values()) == KEEP


def test_every_layer_keeps_a_weight(result: Result) -> None:
    assert all(bool(weight.any()) for weight in prunable(result.pruned).values())


def test_pruning_trains_the_other_weights_as_well(result: Result) -> None:
    old, new = prunable(result.before), prunable(result.pruned)
    kept = {name: weight != 0 for name, weight in new.items()}
    assert all(not torch.equal(old[name][kept[name]], new[name][kept[name]]) for name in old)


def test_pruning_leaves_a_plain_network_of_the_same_layout(result: Result) -> None:
    assert list(result.pruned.state_dict()) == list(result.before.state_dict())
    assert "forward" not in vars(result.pruned)


def test_batch_norm_statistics_are_those_of_the_pruned_network(result: Result) -> None:
    again = copy.deepcopy(result.pruned)
    reestimate(again, plain_inputs(clips(), result.recipe))
    for name, buffer in again.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(result.pruned.get_buffer(name), buffer, rtol=1e-4, atol=1e-5)


def test_pruned_weights_are_zero_integers(result: Result) -> None:
    pruned = prunable(result.pruned)
    for node in result.net.freeze().convs():
        assert not np.any(node.weight[pruned[node.name].detach().numpy() == 0]), node.name


def test_the_plans_number_of_sub_band_biases_is_left(result: Result) -> None:
    banded = {step.name: step for step in result.net.ordered() if isinstance(step, ConvStep) and step.gain is not None}
    assert sum(int(step.offset_mask.sum()) for step in banded.values()) == KEEP_OFFSETS
    for node in result.net.freeze().convs():
        if node.name in banded:
            assert not np.any(node.bias[banded[node.name].offset_mask.numpy().T == 0])


def test_training_on_the_grid_changes_every_convolution(result: Result) -> None:
    untrained = {step.name: step for step in QuantNet(result.pruned, result.recipe.quantize.form, SHAPE).ordered()}
    for step in result.net.ordered():
        if isinstance(step, ConvStep):
            assert (step.weight - untrained[step.name].weight).abs().max() > 1e-6, step.name  # type: ignore[operator]


def test_every_tensor_has_a_grid_that_its_values_use(result: Result) -> None:
    seen: dict[str, torch.Tensor] = {}
    hooks = [s.register_forward_hook(lambda m, _, y: seen.__setitem__(m.name, y)) for s in result.net.ordered()]
    with torch.no_grad(), running(result.net, "float"):
        result.net(features(16, 2))
    for hook in hooks:
        hook.remove()
    for step in result.net.ordered():
        if not isinstance(step, Constant):
            integers = result.net.integers(step.name, seen[step.name]).clamp(-128, 127)
            assert len(integers.unique()) >= 8, step.name
            assert float(((integers == -128) | (integers == 127)).float().mean()) < 0.99, step.name


def test_grids_that_operators_prescribe_are_kept(result: Result) -> None:
    tensors = result.net.tensors()
    for step in result.net.ordered():
        own, first = tensors[step.name], tensors[(*step.inputs, step.name)[0]]
        if isinstance(step, LogisticStep):
            assert (own.scale, own.zero_point) == (1 / 256, -128)
        if isinstance(step, MaxPoolStep):
            assert (own.scale, own.zero_point) == (first.scale, first.zero_point)
        if isinstance(step, RsqrtStep):
            assert first.zero_point == -128


def integer_inputs(net: QuantNet, n: int) -> tuple[torch.Tensor, np.ndarray]:
    x = features(n, 3)
    with running(net, "exact"):
        return x, net.integers("input", net.place("input", x)).numpy().astype(np.int8)


def test_exact_forward_equals_the_numpy_reference(result: Result) -> None:
    x, integers = integer_inputs(result.net, 40)
    with torch.no_grad(), running(result.net, "exact"):
        y = result.net(x).numpy()
    assert np.array_equal(y, logits(result.net.freeze(), integers))


def test_the_result_is_in_exact_mode_and_evaluating(result: Result) -> None:
    assert result.net.mode == "exact" and not result.net.training


@pytest.mark.skipif(not RUNTIMES["tflite-reference"].installed, reason=RUNTIMES["tflite-reference"].install)
def test_tflite_reference_kernels_give_equal_integers_in_form_int8(result: Result, tmp_path: Path) -> None:
    graph = result.net.freeze()
    if graph.form == "int8":  # an island is float in TFLite
        path = tmp_path / "model.tflite"
        path.write_bytes(tflite_bytes(graph))
        _, integers = integer_inputs(result.net, 10)
        with load_runner(path, "tflite-reference") as runner:
            assert np.array_equal(runner.predict(integers), logits(graph, integers))


def test_same_input_gives_the_same_result_again(result: Result) -> None:
    network = copy.deepcopy(result.pruned)
    net = result.engine.quantize(
        network,
        clips(),
        result.recipe,
        plan_for(network, KEEP, KEEP_OFFSETS),
        SHAPE,
        copy.deepcopy(result.before),
        None,
        None,
    )
    state = result.net.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize("engine", [pytest.param(e, marks=[WITHOUT_NNCF] if e == "nncf" else []) for e in ENGINES])
class TestEachEngine:
    @pytest.mark.parametrize("missing", [1, 40])
    def test_a_plan_close_to_the_total_is_kept_exactly(self, engine: str, missing: int) -> None:
        network = lively_network()
        total = sum(weight.numel() for weight in prunable(network).values())
        short = recipe(data={"clip_seconds": 0.475}, prune={"epochs": 1})
        plan, teacher = plan_for(network, total - missing), lively_network()
        find_engine(engine).prune(network, clips(), short, plan, teacher, None, None)
        assert sum(int((weight == 0).sum()) for weight in prunable(network).values()) == missing

    def test_a_plan_that_prunes_nothing_changes_nothing(self, engine: str) -> None:
        network, before = lively_network(), lively_network()
        total = sum(weight.numel() for weight in prunable(network).values())
        find_engine(engine).prune(network, clips(), short_recipe("int8"), plan_for(network, total), before, None, None)
        after = network.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.state_dict().items())

    def test_a_layer_without_quantised_form_is_refused_by_name(self, engine: str) -> None:
        network, plan = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh()), plan_for(lively_network(), KEEP)
        with pytest.raises(BadInput, match=r"'1' \(Tanh\)"):
            find_engine(engine).quantize(network, clips(), short_recipe("int8"), plan, SHAPE, network, None, None)


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'nncf'"):
        find_engine("nnfc")
