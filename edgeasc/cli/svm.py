"""`edgeasc svm`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgeasc.cli.group import Verb
from edgeasc.cli.options import FOLDER
from edgeasc.cli.pages import percent
from edgeasc.cli.terminal import format_option, show
from edgeasc.tables import Block, Table


@click.command("svm", cls=Verb, short_help="Score a linear support vector machine on embeddings.")
@click.argument("embeddings", type=FOLDER)
@click.option("--out", type=FOLDER, help="A JSON file to write as well.")
@format_option
def command(embeddings: Path, out: Path | None, form: str, quiet: bool) -> None:
    """Train a linear support vector machine on the embeddings of `edgeasc embed` and score it on the test clips.

    C is chosen among 1e-4 .. 1 by macro accuracy on the validation clips, or by cross-validation that cuts no
    recording; then the machine learns from training and validation clips together.

    \b
      edgeasc svm cnn10.npz
      edgeasc svm cnn10.npz --out svm.json && edgeasc plot svm.json --out confusion.svg
    """
    from edgeasc.embeddings import read_embeddings
    from edgeasc.files import write_json
    from edgeasc.train.svm import linear_svm

    document = linear_svm(read_embeddings(embeddings))
    if out is not None:
        write_json(out, document)
    show(_blocks(document), document, form)


def _blocks(document: dict[str, Any]) -> list[Block]:
    searched = [(f"{row['C']:g}", percent(row["macro_accuracy"])) for row in document["searched"]]
    classes = [(name, percent(row["accuracy"]), str(row["n"])) for name, row in document["per_class"].items()]
    n = f"{document['n']} test clips, learnt from {document['n_learnt']}"
    return [
        f"Linear support vector machine on {document['n_features']} values a clip, C = {document['C']:g}: {n}",
        Table(
            ("score", ">value"),
            [
                ("accuracy", percent(document["accuracy"])),
                ("macro accuracy (UAR)", percent(document["macro_accuracy"])),
            ],
        ),
        Table((">C", ">macro accuracy"), searched, f"C chosen on {document['chosen_on']}"),
        Table(("class", ">accuracy", ">clips"), classes),
    ]
