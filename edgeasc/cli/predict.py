"""`edgeasc predict`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, runtime_option, threads_option
from edgeasc.cli.pages import percent
from edgeasc.cli.terminal import format_option, show
from edgeasc.errors import UsageError
from edgeasc.tables import Table

BEST = 3  # scenes named per recording
COLUMNS = ("filename", "prediction")


@click.command("predict", cls=Verb, short_help="Name the scene of recordings.")
@click.argument("model", type=FOLDER)
@click.argument("audio", metavar="[AUDIO]...", nargs=-1, type=FOLDER)
@click.option("--data", type=FOLDER, help="A data set some of whose clips have no label: those are predicted as well.")
@click.option("--out", type=FOLDER, help="Write a CSV with filename and prediction as well.")
@click.option("--crops", type=click.IntRange(min=1), help="Evenly spaced crops to average, whatever the length.")
@runtime_option
@threads_option
@format_option
def command(
    model: Path,
    audio: tuple[Path, ...],
    data: Path | None,
    out: Path | None,
    crops: int | None,
    runtime: str | None,
    threads: int,
    form: str,
    quiet: bool,
) -> None:
    """The scene of each recording, with its probabilities.

    MODEL brings its own front end and labels. A recording longer than the network's input is covered by crops.
    Challenges keep the labels of their test clips: --data finds these clips, --out writes what is handed in.

    \b
      edgeasc predict build/model.tflite street.wav park.ogg
      edgeasc predict runs/small recording.flac --runtime reference --format json
      edgeasc predict runs/cnn10 --data ComParE2021_PRS --out predictions.csv
    """
    from edgeasc.runs import write_csv
    from edgeasc.runtime.predict import predict_files

    named = [(str(path), path) for path in audio] + (_unlabelled(data) if data is not None else [])
    if not named:
        raise UsageError("predict", "no recording named; give audio files, or --data with clips without a label")
    found = predict_files(model, [path for _, path in named], runtime=runtime, crops=crops, threads=threads)
    if out is not None:
        answers = zip(named, found, strict=True)
        write_csv(out, [{"filename": name, "prediction": one["label"]} for (name, _), one in answers], COLUMNS)
    rows = []
    for one in found:
        ranked = sorted(one["probabilities"].items(), key=lambda item: -item[1])[1:BEST]
        others = ", ".join(f"{label} {percent(p)}" for label, p in ranked)
        rows.append((one["path"], one["label"], percent(one["probability"]), others, str(one["crops"])))
    table = Table(("recording", "scene", ">probability", "then", ">crops"), rows)
    show([table], {"schema": 1, "predictions": found}, form)


def _unlabelled(data: Path) -> list[tuple[str, Path]]:
    """The clips of a data set that have no label, with their names in its lists.

    Raises:
        UsageError: all clips have one.
    """
    from edgeasc.data.layouts import open_dataset

    dataset = open_dataset(data)
    if not dataset.unlabelled:
        raise UsageError("predict", f"all clips of {dataset.name} have labels; `edgeasc evaluate` scores them", data)
    return [(clip.id, clip.path) for clip in dataset.unlabelled if clip.path is not None]
