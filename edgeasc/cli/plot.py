"""`edgeasc plot`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER, out_option

ROLES = ("test", "validation", "train", "other")


@click.command("plot", cls=Verb, short_help="Draw embeddings in the plane, or a confusion matrix.")
@click.argument("source", type=FOLDER)
@click.option("--role", "roles", type=click.Choice(ROLES), multiple=True, help="Clips to draw. Default: test.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of t-SNE.")
@out_option("The picture to write: .svg, .png or .pdf.")
def command(source: Path, roles: tuple[str, ...], seed: int, out: Path, quiet: bool) -> None:
    """Draw the embeddings of an .npz of `edgeasc embed` by t-SNE, or the confusion matrix of a run or a JSON report.

    Needs matplotlib (`pip install 'edgeasc[report]'`); t-SNE is scikit-learn's.

    \b
      edgeasc plot cnn10.npz --out clips.svg
      edgeasc plot runs/cnn10 --out confusion.png
      edgeasc plot svm.json --out svm.svg
    """
    from edgeasc.embeddings import read_embeddings
    from edgeasc.errors import BadInput, UsageError
    from edgeasc.files import read_json
    from edgeasc.report.plots import plot_confusion, plot_embeddings
    from edgeasc.runs import Run

    if source.suffix == ".npz":
        plot_embeddings(read_embeddings(source), out, roles or ("test",), seed)
    elif roles:
        raise UsageError("--role", "a confusion matrix is of the clips that were judged; roles are of embeddings")
    else:
        path = Run(source).evaluate_file if source.is_dir() else source
        document = read_json(path, "plot")
        if not isinstance(document, dict):
            raise BadInput("plot", "no confusion matrix in it", path)
        plot_confusion(document, out)
    if not quiet:
        click.echo(str(out))
