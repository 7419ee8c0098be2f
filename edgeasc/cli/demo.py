"""`edgeasc demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, cache_option, data_option, fold_option, set_option
from edgeasc.cli.pages import percent
from edgeasc.cli.terminal import assumed, format_option, note, show
from edgeasc.tables import Block, Table

OUT = Path("runs/demo")


@click.command("demo", cls=Verb, short_help="The whole job: train, compress, export, prove, measure.")
@data_option()
@fold_option
@click.option("--recipe", metavar="RECIPE", help="Default: scenes-demo for built-in scenes, esc10 for recordings.")
@click.option("--budget", metavar="SIZE", help="Default: 4KiB, less than half of the dense network.")
@set_option
@cache_option
@click.option("--out", type=FOLDER, help=f"Folder for everything that is made. Default: {OUT}, a folder per data set.")
@format_option
def command(
    data: Path | None,
    fold: int | None,
    recipe: str | None,
    budget: str | None,
    settings: tuple[str, ...],
    cache: Path | None,
    out: Path | None,
    form: str,
    quiet: bool,
) -> int:
    """From recordings to a classifier that fits: train, prune, quantise, export, compare runtimes, measure.

    Without --data on ten synthetic acoustic scenes heard through several devices, some of them only in the test.
    Ends with one table, stage by stage. An interrupted demo goes on where it stopped.

    \b
      edgeasc demo
      edgeasc demo --data ESC-10 --out runs/esc10
    """
    from edgeasc.data.cache import default_cache
    from edgeasc.data.layouts import open_dataset
    from edgeasc.demo import BUDGET, RECORDINGS_RECIPE, SCENES_RECIPE, run_demo
    from edgeasc.recipes import load_recipe
    from edgeasc.sizes import parse_size
    from edgeasc.train.progress import progress_for

    chosen = {
        "--data": "built-in scenes" if data is None else None,
        "--recipe": None if recipe else SCENES_RECIPE if data is None else RECORDINGS_RECIPE,
        "--budget": None if budget else BUDGET,
        "--out": None if out else str(OUT / (data.resolve().name if data else "scenes")),
        "--cache": None if cache else str(default_cache()),
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    assumed(given, quiet)
    resolved = load_recipe(recipe or given["--recipe"], settings)
    dataset = open_dataset(data)
    for text in dataset.notes:
        note(text, quiet)
    document = run_demo(
        resolved,
        dataset,
        out or Path(given["--out"]),
        parse_size(budget or BUDGET),
        fold=fold,
        progress=progress_for(quiet),
        cache=cache or default_cache(),
    )
    show(_blocks(document), document, form)
    return 0 if document["passed"] else 1


def _blocks(document: dict[str, Any]) -> list[Block]:
    stage = document["stages"][-1]
    seconds = ", ".join(f"{name} {spent:g} s" for name, spent in document["seconds"].items())
    head = [
        f"{document['data']}: {stage['n']} test clips; {document['split']}",
        f"Seeds {', '.join(map(str, stage['seeds']))}; heard as {stage['input']}. Time: {seconds}",
    ]
    headings = (
        "stage",
        ">accuracy",
        ">seen dev.",
        ">unseen dev.",
        ">non-zero B",
        ">file B",
        ">MACs",
        ">median ms",
        "parity",
    )
    limits = [limit for model in document["audit"]["models"] for limit in model["limits"]]
    worst = max(limits, key=lambda limit: limit["value"])
    verdict = (
        f"Budget {document['budget']:,} B: {worst['value']:,} B of non-zero weights and biases, "
        f"{'holds' if worst['passed'] else 'FAILS'}. Parity {'holds' if document['parity']['passed'] else 'FAILS'}."
    )
    return ["\n".join(head), Table(headings, [*_stage_rows(document), *_runtime_rows(document)]), verdict]


def _stage_rows(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """Accuracy and size after every stage; a float parameter takes 4 bytes."""
    model = document["audit"]["models"][0]
    sizes = {"float": 4 * document["parameters"]["total"], "pruned": 4 * document["parameters"]["kept"]}
    rows = []
    for stage in document["stages"]:
        size = sizes.get(stage["name"], model["parameters"]["nonzero_bytes"])
        shares = [stage["accuracy"], *(stage[key] and stage[key]["accuracy"] for key in ("seen", "unseen"))]
        rows.append((stage["name"], *map(percent, shares), f"{size:,}", "", f"{model['macs']:,}", "", ""))
    return rows


def _runtime_rows(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """File size, latency and parity of every runtime."""
    sizes = {model["format"]: model["file_bytes"] for model in document["audit"]["models"]}
    times = {row["runtime"]: row for row in document["bench"]["results"]}
    rungs = {rung["name"]: rung for rung in document["parity"]["rungs"]}
    formats = {"onnxruntime": "onnx"}
    rows = []
    for name in dict.fromkeys([*times, *rungs]):
        size = sizes.get(formats.get(name, "tflite")) if name not in ("torch", "numpy reference") else None
        latency = times.get(name, {}).get("median_us")
        rows.append(
            (
                f"  {name}",
                *[""] * 4,
                "" if size is None else f"{size:,}",
                "",
                "" if latency is None else f"{latency / 1000:.3f}",
                _parity(rungs.get(name)),
            )
        )
    return rows


def _parity(rung: dict[str, Any] | None) -> str:
    if rung is None:
        return ""
    if rung["top1"] is None:
        return rung["why"]
    words = f"{rung['equal']}/{rung['clips']} equal, top-1 {percent(rung['top1'])} against {rung['against']}"
    return words if rung["passed"] is not False else f"FAIL: {words}"
