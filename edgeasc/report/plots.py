"""Pictures for papers and slides, drawn by matplotlib: embeddings in the plane, and the confusion matrix.

The page of `edgeasc report` draws its own charts; these are files, `.svg`, `.png` or `.pdf`, the same for the same
numbers: no date, no random ids.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.embeddings import Embeddings
from edgeasc.errors import BadInput, UsageError
from edgeasc.extras import missing
from edgeasc.files import write_bytes
from edgeasc.tables import printable

SUFFIXES = (".svg", ".png", ".pdf")
MARKERS = "osD^vP*X<>"  # colours repeat after ten classes, pairs of colour and marker after a hundred
LONGEST_NAME = 24  # characters
LEAST_POINTS = 4


def plot_embeddings(clips: Embeddings, path: Path, roles: Sequence[str] = ("test",), seed: int = 0) -> int:
    """Draw the clips of some roles where t-SNE puts their embeddings, one colour per class; gives their number.

    Source: van der Maaten and Hinton, JMLR 9 (2008), as in figure 2 of the primates paper (Interspeech 2021).

    Raises:
        BadInput: fewer than four such clips. UsageError: a kind of picture that is not drawn.
    """
    which = clips.of_role(*roles)
    if which.sum() < LEAST_POINTS:
        raise BadInput("plot", f"{int(which.sum())} clips with the role {' or '.join(roles)}, at least 4 are needed")
    places, labels = in_the_plane(clips.embeddings[which], seed), clips.labels[which]
    with _figure(path, (6.4, 4.8)) as axes:
        for number, label in enumerate(np.unique(labels)):
            here = labels == label
            style = {"color": f"C{number % 10}", "marker": MARKERS[number // 10 % len(MARKERS)]}
            axes.scatter(*places[here].T, s=18, linewidths=0, label=_name(clips.names[label]), **style)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"t-SNE of {int(which.sum())} clips ({', '.join(roles)}), seed {seed}", fontsize=10)
        legend = axes.legend(fontsize=8, bbox_to_anchor=(1.01, 1), loc="upper left", frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return int(which.sum())


def in_the_plane(points: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    """t-SNE of `[n, n_features]` in two dimensions, started from their principal components: `[n, 2]`."""
    from sklearn.manifold import TSNE

    if not np.ptp(points, axis=0).any():
        raise BadInput("plot", "all embeddings are the same")
    perplexity = min(30.0, (len(points) - 1) / 3)
    start = "pca" if min(points.shape) >= 2 else "random"
    found: NDArray[np.float32] = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(points)
    return found


def plot_confusion(document: dict[str, Any], path: Path) -> None:
    """Draw the confusion matrix of an evaluation, or of a support vector machine: shares of a row, counts in the cells.

    Raises:
        BadInput: a document without one. UsageError: a kind of picture that is not drawn.
    """
    labels, counts = _confusion(document)
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    side = max(3.2, 0.42 * len(labels) + 1.8)
    with _figure(path, (side, side)) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
        names = [_name(label) for label in labels]
        for set_labels, turn in ((axes.set_xticks, {"rotation": 60, "ha": "right"}), (axes.set_yticks, {})):
            for text in set_labels(range(len(names)), names, fontsize=8, **turn):
                text.label1.set_parse_math(False)
        axes.set_xlabel("taken for")
        axes.set_ylabel("is")
        right, n = int(np.trace(counts)), int(counts.sum())
        axes.set_title(f"{right} of {n} clips right", fontsize=10)


def _confusion(document: dict[str, Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Labels and counts `[true, predicted]` of a document, looked at: it may be a stranger's."""
    try:
        labels = [str(label) for label in document["labels"]]
        counts = np.array(document["confusion"], np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadInput("plot", f"no confusion matrix in it ({error!r})") from error
    if not labels or counts.shape != (len(labels), len(labels)) or (counts < 0).any():
        raise BadInput("plot", f"a confusion matrix {list(counts.shape)} for {len(labels)} labels")
    return labels, counts


def _name(label: object) -> str:
    """A class name from a stranger, short enough for a legend."""
    text = printable(str(label))
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


@contextmanager
def _figure(path: Path, inches: tuple[float, float]) -> Iterator[Any]:
    """The axes of a figure that is written to `path` when the block ends well."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError("plot", f"cannot draw {path.suffix or 'a file without suffix'}; one of {', '.join(SUFFIXES)}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise missing(error.name) or error from None
    figure = Figure(figsize=inches, layout="constrained")
    with matplotlib.rc_context({"svg.hashsalt": "edgeasc", "svg.fonttype": "none", "text.parse_math": False}):
        yield figure.add_subplot()
        stream, kind = io.BytesIO(), path.suffix.lower()[1:]
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
        figure.savefig(stream, format=kind, dpi=150, metadata=dates[kind])
    write_bytes(path, stream.getvalue())
