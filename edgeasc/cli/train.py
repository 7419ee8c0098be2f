"""`edgeasc train`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import (
    cache_option,
    data_option,
    fold_option,
    out_option,
    resume_option,
    set_option,
    teacher_option,
)
from edgeasc.cli.pages import evaluation_blocks
from edgeasc.cli.terminal import assumed, format_option, note, show


@click.command("train", cls=Verb, short_help="Train a network on recordings.")
@click.argument("recipe")
@data_option()
@fold_option
@teacher_option
@click.option(
    "--init",
    "inits",
    multiple=True,
    metavar="[PART=]RUN",
    help="Start from a run's weights, in the whole network or in a part such as `first` of cnn10-resnet22.",
)
@resume_option
@set_option
@cache_option
@out_option("The run folder to write.")
@format_option
def command(
    recipe: str,
    data: Path | None,
    fold: int | None,
    teacher: Path | None,
    inits: tuple[str, ...],
    resume: bool,
    settings: tuple[str, ...],
    cache: Path | None,
    out: Path,
    form: str,
    quiet: bool,
) -> None:
    """Train a network and evaluate it on recordings it never heard.

    RECIPE is a name from `edgeasc models` or a TOML file. The run folder keeps everything that the result depends on;
    an interrupted run goes on with --resume and ends bit-identical to an uninterrupted one.

    \b
      edgeasc train bcresnet-mod-1 --data recordings --out runs/float
      edgeasc train esc10 --data ESC-10 --fold 4 --set model.options.c=40 --out runs/c40
      edgeasc train bcresnet-mod-1 --data recordings --teacher runs/large --out runs/taught
      edgeasc train cnn10-resnet22 --data recordings --init first=runs/cnn10 --init second=runs/resnet22 --out runs/both
    """
    from edgeasc.data.cache import default_cache
    from edgeasc.data.layouts import open_dataset
    from edgeasc.data.split import split
    from edgeasc.files import read_json
    from edgeasc.recipes import load_recipe
    from edgeasc.train.progress import progress_for
    from edgeasc.train.run import train_run
    from edgeasc.train.start import Start

    starts = [Start.parse(text) for text in inits]
    resolved = load_recipe(recipe, settings)
    dataset = open_dataset(data)
    parts = split(dataset, fold, resolved.data.validation, resolved.train.seed)
    defaults = {"--data": "built-in scenes"} if data is None else {}
    assumed(defaults | ({"--cache": str(default_cache())} if cache is None else {}), quiet)
    for text in (*dataset.notes, f"{dataset.name}: {len(parts.train)} clips to train on; {parts.rule}"):
        note(text, quiet)
    for key in resolved.idle:
        note(f"{key} does nothing here: [wave_augment] stands for [augment]", quiet)
    cache = cache or default_cache()
    run = train_run(resolved, dataset, parts, out, teacher, resume, progress_for(quiet), cache, starts)
    if run.evaluate_file.is_file():
        document = read_json(run.evaluate_file, "evaluation")
        show(evaluation_blocks(document, str(out)), document, form)
