"""Speech Commands: the author's lists prescribe the split, speakers are groups, wrong lines are named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeasc.data.layouts import open_dataset
from edgeasc.data.split import split
from edgeasc.errors import BadInput

FILES = tuple(f"{word}/{speaker}_nohash_0.wav" for word in ("yes", "no") for speaker in ("aa01", "bb02", "cc03"))
VALIDATION = "no/bb02_nohash_0.wav\nyes/bb02_nohash_0.wav\n"
TESTING = "no/cc03_nohash_0.wav\nyes/cc03_nohash_0.wav\n"


@pytest.fixture
def commands(tmp_path: Path, write_clip: Callable[[Path], Path]) -> Callable[..., Path]:
    """A folder of two words said by three speakers, background noise, and the two lists."""

    def make(validation: str = VALIDATION, testing: str = TESTING) -> Path:
        root = tmp_path / "speech"
        for name in (*FILES, "_background_noise_/hum.wav"):
            write_clip(root / name)
        (root / "README.md").write_text("x")
        (root / "validation_list.txt").write_text(validation)
        (root / "testing_list.txt").write_text(testing)
        return root

    return make


def test_the_lists_prescribe_the_split_and_the_rest_trains(commands: Callable[..., Path]) -> None:
    parts = split(open_dataset(commands()), validation=0.5)
    assert {clip.id for clip in parts.validation} == set(VALIDATION.split())
    assert {clip.id for clip in parts.test} == set(TESTING.split())
    assert {clip.group for clip in parts.train} == {"aa01"} and len(parts.train) == 2
    assert parts.rule == ("test: the clips that speech sets aside; validation: the clips that speech sets aside for it")


def test_words_are_sorted_and_background_noise_is_none(commands: Callable[..., Path]) -> None:
    dataset = open_dataset(commands())
    assert dataset.labels == ("no", "yes") and len(dataset.clips) == 6
    assert dataset.notes == ("folders left aside, no words: _background_noise_",)


def test_a_fold_is_a_usage_error(commands: Callable[..., Path]) -> None:
    from edgeasc.errors import UsageError

    with pytest.raises(UsageError, match="prescribes its split and has no folds"):
        split(open_dataset(commands()), fold=1)


@pytest.mark.parametrize(
    ("validation", "testing", "why"),
    [
        (VALIDATION + "no/bb02_nohash_1.wav\n", TESTING, r"validation_list.txt: line 3: there is no clip .*mean 'no/"),
        (VALIDATION, TESTING + "yes/bb02_nohash_0.wav\n", "testing_list.txt: line 3: .* listed already, for valid"),
        (VALIDATION + "../outside.wav\n", TESTING, "line 3: there is no clip '../outside.wav'"),
        (VALIDATION + "_background_noise_/hum.wav\n", TESTING, "line 3: there is no clip"),
        (VALIDATION + "no/\x1b[2J.wav\n", TESTING, "line 3: control characters"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(
    commands: Callable[..., Path], validation: str, testing: str, why: str
) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        open_dataset(commands(validation, testing))
    assert caught.value.exit_code == 3 and "\x1b" not in str(caught.value)


def test_a_list_of_bytes_that_are_no_text_is_refused(commands: Callable[..., Path]) -> None:
    folder = commands()
    (folder / "testing_list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not UTF-8 text"):
        open_dataset(folder)


def test_a_speaker_in_training_and_test_is_refused(commands: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match="recording 'cc03' lies on both sides"):
        split(open_dataset(commands(testing="no/cc03_nohash_0.wav\n")))


def test_a_word_whose_clips_are_all_listed_has_none_to_train_on(commands: Callable[..., Path]) -> None:
    folder = commands()
    (folder / "yes" / "aa01_nohash_0.wav").unlink()
    with pytest.raises(BadInput, match="class 'yes' has no clip to train on"):
        split(open_dataset(folder))


def test_an_empty_word_is_refused(commands: Callable[..., Path]) -> None:
    folder = commands()
    (folder / "maybe").mkdir()
    with pytest.raises(BadInput, match="word 'maybe' has no clip"):
        open_dataset(folder)
