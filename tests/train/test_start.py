"""Training that starts from the weights of earlier runs."""

from pathlib import Path

import pytest
import torch
from tones import recipe, tones

from edgeasc.errors import BadInput, UsageError
from edgeasc.nn.fusion import LateFusion
from edgeasc.nn.registry import create_model
from edgeasc.runs import Run, RunInfo
from edgeasc.specs import parse_spec
from edgeasc.train.run import load_network, train_run
from edgeasc.train.start import Start, start_from
from edgeasc.train.weights import write_tensors


def run_of(name: str, folder: Path, seed: int) -> Run:
    """A run folder with fresh weights."""
    torch.manual_seed(seed)
    network = create_model(name, 3, width=1 / 32)
    chosen = parse_spec(type(recipe()), {"model": {"name": name, "options": {"width": 1 / 32}}})
    run = Run(folder / name)
    run.create(RunInfo("train", chosen.digest, ("a", "b", "c"), (0,), 1), chosen, [])
    write_tensors(run.best, network.state_dict())
    return run


def fused() -> LateFusion:
    torch.manual_seed(9)
    network = create_model("cnn10-resnet22", 3, width=1 / 32)
    assert isinstance(network, LateFusion)
    return network


def test_parts_take_the_weights_of_their_runs(tmp_path: Path) -> None:
    runs = [run_of("cnn10", tmp_path, 1), run_of("resnet22", tmp_path, 2)]
    network, untouched = fused(), fused()
    start_from(network, [Start(runs[0].path, "first"), Start(runs[1].path, "second")])
    for part, run in zip((network.first, network.second), runs, strict=True):
        expected = load_network(run.path)[0].state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in part.state_dict().items())
    assert torch.equal(network.from_second.weight, untouched.from_second.weight)


def test_a_run_starts_where_another_ended(tmp_path: Path) -> None:
    first = train_run(recipe(), *tones(), tmp_path / "first")
    still = recipe(train={"epochs": 1, "lr": 1e-12, "weight_decay": 0.0})
    second = train_run(still, *tones(), tmp_path / "second", starts=[Start(first.path)])
    ended, went_on = (load_network(run.path)[0] for run in (first, second))
    for (name, before), after in zip(ended.named_parameters(), went_on.parameters(), strict=True):
        torch.testing.assert_close(after, before, msg=name)
    assert second.info().data["init"] == str(first.path)
    assert "init" not in first.info().data
    with pytest.raises(UsageError, match="started with --init"):
        train_run(still, *tones(), tmp_path / "second", resume=True)


@pytest.mark.parametrize(
    ("text", "start"),
    [("runs/a", Start(Path("runs/a"))), ("first=runs/a", Start(Path("runs/a"), "first"))],
)
def test_words_of_the_command_line(text: str, start: Start) -> None:
    assert Start.parse(text) == start
    assert str(start) == text


@pytest.mark.parametrize("text", ["", "=runs/a", "first="])
def test_words_without_a_run_or_a_part_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="PART=RUN"):
        Start.parse(text)


def test_unknown_parts_missing_runs_and_other_networks_are_refused(tmp_path: Path) -> None:
    run = run_of("cnn10", tmp_path, 1)
    with pytest.raises(UsageError, match="no part 'frist'; did you mean 'first'"):
        start_from(fused(), [Start(run.path, "frist")])
    with pytest.raises(UsageError, match="no part 'xyz'; it has first, second"):
        start_from(fused(), [Start(run.path, "xyz")])
    with pytest.raises(BadInput, match="no run folder"):
        start_from(fused(), [Start(tmp_path / "nothing", "first")])
    with pytest.raises(BadInput, match="does not fit"):
        start_from(fused(), [Start(run.path, "second")])
