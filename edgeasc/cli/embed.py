"""`edgeasc embed`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, cache_option, data_option, out_option, threads_option
from edgeasc.cli.recordings import open_recordings
from edgeasc.cli.terminal import assumed, note


@click.command("embed", cls=Verb, short_help="Write what a network knows of each clip to a file.")
@click.argument("run", type=FOLDER)
@data_option("Labelled recordings")
@threads_option
@cache_option
@out_option("The .npz file to write.")
def command(run: Path, data: Path | None, threads: int, cache: Path | None, out: Path, quiet: bool) -> None:
    """Write the embeddings of all clips: what the classifier of a trained run reads, a vector for each clip.

    The file is a NumPy .npz of plain arrays: embeddings, labels, names, clips, groups, and roles, which say what the
    run used a clip for.

    \b
      edgeasc embed runs/cnn10 --data recordings --out cnn10.npz
      edgeasc svm cnn10.npz
      edgeasc plot cnn10.npz --out clips.svg
    """
    from edgeasc.data.cache import default_cache
    from edgeasc.embeddings import write_embeddings
    from edgeasc.errors import UsageError
    from edgeasc.train.embed import embed_run

    if out.suffix != ".npz":
        raise UsageError("--out", f"{out.name} is not the name of an .npz file, as which svm and plot know embeddings")
    dataset = open_recordings(run, data)
    defaults = {"--data": "built-in scenes"} if data is None else {}
    assumed(defaults | ({"--cache": str(default_cache())} if cache is None else {}), quiet)
    for text in dataset.notes:
        note(text, quiet)
    content = embed_run(run, dataset, threads, cache or default_cache())
    write_embeddings(out, content)
    click.echo(f"{out}: {len(content)} clips, {content.embeddings.shape[1]} values each")
