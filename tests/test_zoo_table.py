"""The zoo's table is the one that its newest result gives, with every network and its true number of parameters."""

import json
import sys
from typing import Any

import pytest

from edgeasc.recipes import load_recipe, models_folder

CHECKOUT = models_folder().parent
pytestmark = pytest.mark.skipif(not (CHECKOUT / "benchmarks").is_dir(), reason="benchmarks/ is part of a checkout only")


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(CHECKOUT / "benchmarks"))
    import zoo_table

    yield zoo_table
    for name in ("zoo", "zoo_table"):
        sys.modules.pop(name, None)


@pytest.fixture
def result(pages: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(pages.newest().read_text())
    return document


MACHINE = {"cpu": "a processor", "load_average": [0.5, 0.5, 0.5], "usable_cores": 2}


def row(**stages: Any) -> dict[str, Any]:
    """A made-up row of a result."""
    return {"model": "net", "recipe": "esc10", "own": [], "refused": {}, "seconds": {}, **stages}


def test_the_page_is_as_generated(pages: Any, result: dict[str, Any]) -> None:
    page = (models_folder() / "README.md").read_text()
    assert pages.with_table(page, result) == page, "run `make zoo`"


def test_every_network_has_a_row_and_every_stage_an_outcome(pages: Any, result: dict[str, Any]) -> None:
    import zoo

    from edgeasc.nn.registry import list_models

    assert sorted(row["model"] for row in result["rows"]) == sorted(zoo.ZOO) == list_models()
    for found in result["rows"]:
        assert set(zoo.STAGES) == {*found["refused"], *(set(zoo.STAGES) & set(found))}, found["model"]
    assert result["failures"] == zoo.failures(result["rows"])


def test_parameters_are_those_of_the_networks(result: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="pip install 'edgeasc[train]'")
    from edgeasc.nn.registry import create_model

    for found in result["rows"]:
        if "untrained" in found["refused"]:
            continue  # `failures` of the result tells so
        recipe = load_recipe(found["recipe"], tuple(found["own"]))
        with torch.device("meta"):
            network = create_model(recipe.model.name, found["untrained"]["classes"], **recipe.model.options)
        assert found["untrained"]["parameters"] == sum(p.numel() for p in network.parameters()), found["model"]


def test_a_new_table_replaces_the_old_one_and_nothing_else(pages: Any) -> None:
    document = {"date": "2026-01-02", "rows": [row()]}
    page = f"before\n{pages.BEGIN}\nold\n{pages.END}\nafter\n"
    once = pages.with_table(page, document)
    assert once.startswith("before\n") and once.endswith("\nafter\n") and "old" not in once
    assert pages.with_table(once, document) == once


def test_a_refused_export_and_a_missed_rung_are_told(pages: Any) -> None:
    rung = {"name": "litert", "top1": 0.5, "mean_logit": 0.25, "limit": "top-1 >= 99 %", "passed": False}
    parity = {"form": "int8", "clips": 20, "rungs": [rung]}
    rows = [
        row(parity=parity, refused={"c": "graph: no C kernel for operator 'attention'", "export": "parity: missed"})
    ]
    page = pages.parity_page({"date": "2026-01-02", "data": "ESC-10", "fold": 4, "machine": MACHINE, "rows": rows})
    assert "50.0%, 0.2500 **missed**" in page and "refused" in page
    assert "* net: c: graph: no C kernel for operator 'attention'" in page
    assert "* net: export: parity: missed" in page


def test_rows_of_networks_that_were_not_run_come_from_the_earlier_result(pages: Any, tmp_path: Any) -> None:
    import zoo

    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps({"rows": [row(model="cnn10", old=True), row(model="cnn6", old=True)]}))
    found = zoo.merged([row(model="cnn10")], earlier)
    assert [(item["model"], item.get("old")) for item in found] == [("cnn6", True), ("cnn10", None)]


def test_a_stage_that_was_not_reached_is_told_and_fails_the_result(pages: Any, tmp_path: Any) -> None:
    import zoo

    (tmp_path / "cnn6").mkdir()
    (tmp_path / "cnn6" / "row.json").write_text(json.dumps(row(model="cnn6", untrained={}, train={})))
    found = zoo.finished("cnn6", tmp_path)
    assert set(found["refused"]) == set(zoo.STAGES) - {"untrained", "train"}
    assert "cnn6: audit: not run" in zoo.failures([found, zoo.finished("cnn10", tmp_path)])


def test_only_the_export_to_c_may_be_refused(pages: Any) -> None:
    import zoo

    assert zoo.failures([row(refused={"c": "no kernel"})]) == []
    assert zoo.failures([row(refused={"c": "no kernel", "audit": "broken"})]) == ["net: audit: broken"]
