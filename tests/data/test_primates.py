"""ComParE PRS: three lists, spellings of the classes, and test clips without a label that are never scored."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeasc.data.clips import UNLABELLED, relabelled
from edgeasc.data.layouts import open_dataset
from edgeasc.data.split import split
from edgeasc.errors import BadInput

SPELT = ("background", "chimpanze", "geunon", "mandrille", "redcap")


def listed(name: str, labels: tuple[str, ...]) -> str:
    return "filename,label\n" + "".join(f"{name}_{i:05d}.wav,{label}\n" for i, label in enumerate(labels))


@pytest.fixture
def primates(tmp_path: Path, write_clip: Callable[[Path], Path]) -> Callable[..., Path]:
    """The challenge's folder with five clips in each list."""

    def make(train: str = listed("train", SPELT), test: str | None = listed("test", ("?",) * 5)) -> Path:
        root = tmp_path / "prs"
        tables = {"train": train, "devel": listed("devel", SPELT), "test": test}
        for name, text in tables.items():
            for index in range(5):
                write_clip(root / "wav" / f"{name}_{index:05d}.wav")
            if text is not None:
                (root / "lab").mkdir(exist_ok=True)
                (root / "lab" / f"{name}.csv").write_text(text)
        return root

    return make


def test_the_repositorys_spellings_are_the_papers_classes(primates: Callable[..., Path]) -> None:
    dataset = open_dataset(primates())
    assert dataset.labels == ("background", "chimpanzee", "guenon", "mandrill", "redcap")
    assert [clip.label for clip in dataset.clips] == [0, 1, 2, 3, 4] * 2


def test_other_spellings_are_understood(primates: Callable[..., Path]) -> None:
    words = ("Background", "Chimpanzees", "Guenon", "MANDRILL", "Red-capped  Mangabey")
    dataset = open_dataset(primates(listed("train", words)))
    assert [clip.label for clip in dataset.clips[:5]] == [0, 1, 2, 3, 4]


def test_clips_without_a_label_are_kept_apart(primates: Callable[..., Path]) -> None:
    dataset = open_dataset(primates())
    assert [clip.id for clip in dataset.unlabelled] == [f"test_{i:05d}.wav" for i in range(5)]
    assert {clip.label for clip in dataset.unlabelled} == {UNLABELLED}
    assert all(clip.label != UNLABELLED for clip in dataset.clips)
    assert dataset.notes == ("clips without a label, to be predicted and never scored: 5",)


def test_development_clips_select_and_nothing_is_left_to_test_on(primates: Callable[..., Path]) -> None:
    parts = split(open_dataset(primates()), validation=0.0)
    assert [clip.id[:5] for clip in parts.validation] == ["devel"] * 5
    assert [clip.id[:5] for clip in parts.train] == ["train"] * 5
    assert parts.test == () and parts.rule.startswith("test: 5 without a label in prs; validation: the clips that prs")


def test_labels_of_the_test_clips_are_used_where_they_are_known(primates: Callable[..., Path]) -> None:
    dataset = open_dataset(primates(test=listed("test", (*SPELT[:3], "?", "?"))))
    parts = split(dataset)
    assert [clip.label for clip in parts.test] == [0, 1, 2] and len(dataset.unlabelled) == 2
    assert "no test clip of mandrill, redcap" in parts.rule


def test_the_list_of_test_clips_may_be_missing(primates: Callable[..., Path]) -> None:
    dataset = open_dataset(primates(test=None))
    assert dataset.unlabelled == () and split(dataset).test == ()
    assert dataset.notes == ("lab/test.csv is not there: scores are those of the development clips",)


def test_relabelling_leaves_unlabelled_clips_without_a_label(primates: Callable[..., Path]) -> None:
    dataset = open_dataset(primates())
    turned = relabelled(dataset, dataset.labels[::-1])
    assert [clip.label for clip in turned.clips[:5]] == [4, 3, 2, 1, 0]
    assert {clip.label for clip in turned.unlabelled} == {UNLABELLED}


@pytest.mark.parametrize(
    ("train", "why"),
    [
        (listed("train", ("gibbon",)), r"train.csv: line 2: label 'gibbon' is no class of the challenge"),
        (listed("train", ("mandril",)), "line 2: label 'mandril' is no class .*did you mean 'mandrill'"),
        (listed("train", ("?",)), r"line 2: label '\?' is no class"),
        (listed("devel", SPELT), "devel.csv: line 2: 'devel_00000.wav' is listed already on line 2 of train.csv"),
        ("filename,label\nghost.wav,background\n", "line 2: 'ghost.wav' does not exist"),
        ("filename;label\n", "line 1: no column 'filename'"),
        ("filename,label\n", "has no row"),
    ],
)
def test_a_wrong_row_of_a_list_is_named(primates: Callable[..., Path], train: str, why: str) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        open_dataset(primates(train))
    assert caught.value.exit_code == 3


def test_a_class_without_a_training_clip_is_refused_by_name(primates: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match="class 'guenon' has no clip to train on"):
        split(open_dataset(primates(listed("train", ("background", "chimpanze", "mandrille", "redcap")))))
