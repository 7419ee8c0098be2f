"""`edgeasc evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, cache_option, data_option, fold_option, runtime_option, threads_option
from edgeasc.cli.pages import evaluation_blocks
from edgeasc.cli.recordings import open_recordings
from edgeasc.cli.terminal import assumed, format_option, note, show


@click.command("evaluate", cls=Verb, short_help="Score any artefact on recordings.")
@click.argument("model", type=FOLDER)
@data_option("Labelled recordings")
@fold_option
@click.option("--all", "every_clip", is_flag=True, help="Score every clip, those of training included.")
@click.option("--crops", type=click.IntRange(min=1), help="Evenly spaced crops to average; 1 is the start of the clip.")
@runtime_option
@threads_option
@cache_option
@format_option
def command(
    model: Path,
    data: Path | None,
    fold: int | None,
    every_clip: bool,
    crops: int | None,
    runtime: str | None,
    threads: int,
    cache: Path | None,
    form: str,
    quiet: bool,
) -> None:
    """Accuracy, macro accuracy, log loss and mAP of a run, a .onnx or a .tflite; per class and per recording device.

    A run folder is scored on its own test clips, a bare file on all clips of --data, or on one fold of them.

    \b
      edgeasc evaluate runs/small --data recordings
      edgeasc evaluate build/model.tflite --data ESC-10 --fold 4 --runtime tflite-reference
    """
    from edgeasc.data.cache import default_cache
    from edgeasc.evaluation import evaluate_artefact

    dataset = open_recordings(model, data)
    defaults = {"--data": "built-in scenes"} if data is None else {}
    assumed(defaults | ({"--cache": str(default_cache())} if cache is None else {}), quiet)
    for text in dataset.notes:
        note(text, quiet)
    document = evaluate_artefact(
        model,
        dataset,
        fold=fold,
        every_clip=every_clip,
        runtime=runtime,
        crops=crops,
        threads=threads,
        cache=cache or default_cache(),
    )
    show(evaluation_blocks(document, str(model)), document, form)
