"""`edgeasc audit --build`: a recipe is counted as its trained network will be, and planned as `compress` does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeasc.cli import main
from edgeasc.compress.solve import solve_budget
from edgeasc.errors import UsageError
from edgeasc.files import sha256
from edgeasc.recipes import load_recipe
from edgeasc.untrained import UntrainedAudit, audit_recipe, write_untrained

torch = pytest.importorskip("torch", reason="torch: not installed; pip install 'edgeasc[train]'")
SMALL = ("features.n_mels=32", "data.clip_seconds=0.5")  # the same weights, less to infer


def built(*settings: str, budget: int | str | None = None, rules: list[str] | None = None) -> UntrainedAudit:
    return audit_recipe("scenes-demo", (*SMALL, *settings), budget, rules, arena=False)


def test_all_weights_and_biases_of_the_network_are_counted() -> None:
    from edgeasc.nn.registry import create_model

    recipe = load_recipe("scenes-demo")
    network = create_model(recipe.model.name, 10, **recipe.model.options)
    weights = sum(p.numel() for p in network.parameters() if p.ndim == 4)
    offsets = sum(p.numel() for name, p in network.named_parameters() if name.endswith(".bias"))  # of norms too
    found = built().report.models[0].rules[0]
    assert (weights, offsets) == (6215, 925)
    assert found.bytes == weights + 4 * offsets


def test_the_written_network_is_the_one_that_is_audited(tmp_path: Path) -> None:
    path = write_untrained(load_recipe("scenes-demo", SMALL), 10, tmp_path) / "model.tflite"
    assert sha256(path.read_bytes()) == built().report.models[0].sha256


def test_the_dense_network_costs_what_the_solver_takes_it_to_cost() -> None:
    found = built(budget="1MiB")
    plan = found.plans[0].plan
    assert plan is not None
    assert plan.sparsity == 0
    assert plan.planned_bytes == found.report.models[0].rules[0].bytes


def test_the_plan_is_the_one_that_compress_starts_from() -> None:
    from edgeasc.compress.inventory import costs_of
    from edgeasc.nn.registry import create_model

    recipe = load_recipe("scenes-demo", SMALL)
    network = create_model(recipe.model.name, 10, **recipe.model.options)
    wanted = solve_budget(costs_of(network, "deployed", recipe.quantize.form), 4096)
    found = built(budget="4KiB")
    assert found.plans[0].plan == wanted
    limit = found.report.models[0].limits[0]
    assert (limit.name, limit.value, limit.passed) == ("deployed bytes", wanted.planned_bytes, True)
    assert found.passed


def test_an_impossible_budget_fails_with_the_least_that_pruning_reaches() -> None:
    found = built(budget=900)
    limit = found.report.models[0].limits[0]
    assert not found.passed
    assert limit.value > 900
    assert f"smallest possible is {limit.value:,} B" in found.plans[0].words


def test_counts_do_not_depend_on_the_seed() -> None:
    one, two = (built(f"train.seed={seed}").report.models[0] for seed in (0, 1))
    assert (one.parameters, one.macs, one.layers) == (two.parameters, two.macs, two.layers)


def test_a_changed_recipe_is_counted_as_changed() -> None:
    narrow, wide = (built(f"model.options.c={c}").report.models[0] for c in (10, 20))
    assert wide.parameters.total > 2 * narrow.parameters.total
    assert wide.macs > 2 * narrow.macs


def test_more_classes_need_a_larger_head() -> None:
    ten, twelve = (
        audit_recipe("scenes-demo", SMALL, classes=classes, arena=False).report.models[0].parameters.total
        for classes in (10, 12)
    )
    channels = 25  # of the last stage, 2.5 c
    assert twelve - ten == 2 * (channels + 1)


def test_a_rule_that_counts_zeros_is_judged_on_all_weights() -> None:
    found = built(rules=["dcase2023"], budget=8000)
    model, plan = found.report.models[0], found.plans[0]
    assert plan.plan is None and "counts zeros as well" in plan.words
    assert model.limits[0].value == model.rules[0].bytes > 8000
    assert not found.passed


def test_a_rules_own_limit_is_planned_for() -> None:
    found = built("model.options.c=80", rules=["dcase2021-1a"])
    plan = found.plans[0].plan
    assert plan is not None
    assert found.report.models[0].rules[0].bytes > 128_000 >= plan.planned_bytes


def test_the_rule_about_training_reads_the_inventory() -> None:
    found = built(rules=["qti-report"], budget="61KiB")
    plan = found.plans[0].plan
    assert plan is not None
    assert plan.planned_bytes == found.report.models[0].rules[0].bytes


def test_the_island_form_is_audited_in_its_form() -> None:
    model = built("quantize.form=island").report.models[0]
    assert any("form island" in note for note in model.notes)
    assert model.parameters.nonzero_bytes == 6215 + 4 * 925


def test_bands_that_do_not_divide_the_frequencies_are_named() -> None:
    model = built("features.n_mels=16").report.models[0]
    assert any("2 frequency bins cannot be cut into 4 equal bands" in note for note in model.notes)


def test_a_network_without_an_8_bit_form_tells_its_weights_and_why_no_more() -> None:
    settings = ("model.options.norm='global-freqnorm'",)
    model = audit_recipe("bcresnet-mod-1", settings, arena=False).report.models[0]
    assert model.parameters.total > 0 and not model.has_operators
    assert any("norm0" in note for note in model.notes)


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="scenes-demo"):
        audit_recipe("scene-demo")


def run(*arguments: str) -> list[str]:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    return ["audit", "--build", "scenes-demo", *settings, "--no-arena", *arguments]


def test_the_command_shows_plan_and_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run("--budget", "4KiB")) == 0
    text = capsys.readouterr().out
    assert text.startswith("Plan      budget 4,096 B")
    assert "Verdict   pass" in text and "untrained: bcresnet-mod-1 for 10 classes" in text


def test_the_command_exits_with_1_for_an_impossible_budget(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run("--budget", "900")) == 1
    assert "cannot be met" in capsys.readouterr().out


def test_the_plan_is_in_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run("--budget", "4KiB", "--format", "json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert set(document["plans"][0]) == {
        "rule", "budget_bytes", "planned_bytes", "keep", "weights", "sparsity", "words",
    }  # fmt: skip
    assert document["models"][0]["path"] == "scenes-demo"


@pytest.mark.parametrize(
    "words",
    [
        ["audit"],
        ["audit", "model.tflite", "--build", "scenes-demo"],
        ["audit", "model.tflite", "--set", "train.epochs=3"],
        ["audit", "--build", "scenes-demo", "--system"],
        ["audit", "--build", "scenes-demo", "--set", "model.widht=3"],
    ],
)
def test_what_does_not_go_together_is_a_matter_of_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_torch_the_command_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['torch'] = None; from edgeasc.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "audit", "--build", "scenes-demo"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "edgeasc[train]" in done.stderr
