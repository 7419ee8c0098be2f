"""`edgeasc predict`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, runtime_option, threads_option
from edgeasc.cli.pages import percent
from edgeasc.cli.terminal import format_option, show
from edgeasc.tables import Table

BEST = 3  # scenes named per recording


@click.command("predict", cls=Verb, short_help="Name the scene of recordings.")
@click.argument("model", type=FOLDER)
@click.argument("audio", metavar="AUDIO...", nargs=-1, required=True, type=FOLDER)
@click.option("--crops", type=click.IntRange(min=1), help="Evenly spaced crops to average, whatever the length.")
@runtime_option
@threads_option
@format_option
def command(
    model: Path, audio: tuple[Path, ...], crops: int | None, runtime: str | None, threads: int, form: str, quiet: bool
) -> None:
    """The scene of each recording, with its probabilities.

    MODEL brings its own front end and labels. A recording longer than the network's input is covered by crops.

    \b
      edgeasc predict build/model.tflite street.wav park.ogg
      edgeasc predict runs/small recording.flac --runtime reference --format json
    """
    from edgeasc.runtime.predict import predict_files

    found = predict_files(model, audio, runtime=runtime, crops=crops, threads=threads)
    rows = []
    for one in found:
        ranked = sorted(one["probabilities"].items(), key=lambda item: -item[1])[1:BEST]
        others = ", ".join(f"{label} {percent(p)}" for label, p in ranked)
        rows.append((one["path"], one["label"], percent(one["probability"]), others, str(one["crops"])))
    table = Table(("recording", "scene", ">probability", "then", ">crops"), rows)
    show([table], {"schema": 1, "predictions": found}, form)
