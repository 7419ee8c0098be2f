"""Pictures as files: what is drawn, names from strangers, and the same bytes for the same numbers."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from edgeasc.embeddings import Embeddings
from edgeasc.errors import BadInput, UsageError

pytest.importorskip("matplotlib", reason="pip install 'edgeasc[report]'")
pytest.importorskip("sklearn", reason="pip install 'edgeasc[train]'")

from edgeasc.report.plots import in_the_plane, plot_confusion, plot_embeddings

NAMES = ["rain & <b>", "$\\frac{", "x" * 40]


def clips(n=30):
    rng, labels = np.random.default_rng(0), np.arange(n) % 3
    points = (10 * np.eye(3)[labels] + rng.normal(0, 0.3, (n, 3))).astype(np.float32)
    words = np.array([str(k) for k in range(n)])
    return Embeddings(points, labels, np.array(NAMES), words, words, np.array(["test"] * (n - 3) + ["train"] * 3))


def document(counts=((3, 1, 0), (0, 4, 0), (0, 0, 0))):
    return {"labels": NAMES, "confusion": [list(row) for row in counts]}


def texts(path):
    return [node.text for node in ElementTree.fromstring(path.read_bytes()).iter() if node.tag.endswith("}text")]


def test_the_confusion_matrix_says_its_counts_and_names(tmp_path):
    path = tmp_path / "c.svg"
    plot_confusion(document(), path)
    found = texts(path)
    assert [word for word in ("3", "1", "4") if word in found] == ["3", "1", "4"]
    assert "7 of 8 clips right" in found
    assert found.count("rain & <b>") == 2
    assert found.count("$\\frac{") == 2  # not taken for a formula


def test_embeddings_are_drawn_with_a_legend_of_their_classes(tmp_path):
    path = tmp_path / "e.svg"
    assert plot_embeddings(clips(), path) == 27
    found = texts(path)
    assert "t-SNE of 27 clips (test), seed 0" in found
    assert "$\\frac{" in found
    assert "x" * 23 + "…" in found


def test_separate_classes_stay_separate_in_the_plane():
    content = clips(60)
    places = in_the_plane(content.embeddings)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(60)
    assert (content.labels[distances.argmin(1)] == content.labels).all()


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_same_numbers_give_the_same_bytes(tmp_path, suffix):
    first, second = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
    for path in (first, second):
        plot_confusion(document(), path)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"labels": ["a"], "confusion": [[1, 2]]},
        {"labels": ["a"], "confusion": [["x"]]},
        {"labels": ["a"], "confusion": [[-1]]},
        {"labels": [], "confusion": []},
        {"labels": 3, "confusion": [[1]]},
    ],
)
def test_a_document_without_a_matrix_is_refused(tmp_path, broken):
    with pytest.raises(BadInput, match="confusion matrix"):
        plot_confusion(broken, tmp_path / "c.svg")
    assert not (tmp_path / "c.svg").exists()


def test_another_kind_of_picture_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot draw \.bmp"):
        plot_confusion(document(), tmp_path / "c.bmp")


def test_too_few_clips_or_none_that_differ_are_refused(tmp_path):
    with pytest.raises(BadInput, match="3 clips with the role train"):
        plot_embeddings(clips(), tmp_path / "e.svg", ("train",))
    with pytest.raises(BadInput, match="all embeddings are the same"):
        in_the_plane(np.ones((9, 2), np.float32))
