"""UrbanSound8K: official folds, recordings as groups, mixed rates and channels, and each wrong row by its line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeasc.data.layouts import open_dataset
from edgeasc.data.split import split
from edgeasc.errors import BadInput

HEADER = "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
# Recording 100 gives two slices of fold 1; recording 300 begins a second class in fold 2.
ROWS = (
    "100-3-0-0.wav,100,0.0,0.5,1,1,3,dog_bark\n"
    "100-3-0-1.wav,100,0.5,0.6,1,1,3,dog_bark\n"
    "200-3-0-0.wav,200,0,4,2,10,3,dog_bark\n"
    "300-1-0-0.wav,300,0,4,1,2,1,car_horn\n"
    "400-1-0-0.wav,400,0,4,1,10,1,car_horn\n"
)
SOUNDS = {  # name: rate, channels, encoding, seconds
    "fold1/100-3-0-0.wav": (44_100, 2, "PCM_24", 0.5),
    "fold1/100-3-0-1.wav": (8_000, 1, "PCM_U8", 0.1),
    "fold10/200-3-0-0.wav": (96_000, 2, "PCM_16", 0.2),
    "fold2/300-1-0-0.wav": (11_025, 1, "FLOAT", 0.4),
    "fold10/400-1-0-0.wav": (22_050, 1, "PCM_16", 0.3),
}


@pytest.fixture
def urbansound(tmp_path: Path) -> Callable[[str], Path]:
    """The data set's folder with five slices and a table of the given rows."""

    def make(rows: str = ROWS) -> Path:
        root = tmp_path / "UrbanSound8K"
        rng = np.random.default_rng(0)
        for name, (rate, channels, encoding, seconds) in SOUNDS.items():
            path = root / "audio" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.standard_normal((int(rate * seconds), channels)), rate, encoding)
        (root / "metadata").mkdir(exist_ok=True)
        (root / "metadata" / "UrbanSound8K.csv").write_text(HEADER + rows)
        return root

    return make


def test_classes_are_counted_by_class_id_not_by_row(urbansound: Callable[[str], Path]) -> None:
    dataset = open_dataset(urbansound(ROWS))
    assert dataset.labels == ("car_horn", "dog_bark")
    assert [clip.label for clip in dataset.clips] == [1, 1, 1, 0, 0]


def test_folds_are_those_of_the_table_and_hold_whole_recordings(urbansound: Callable[[str], Path]) -> None:
    dataset = open_dataset(urbansound(ROWS))
    parts = split(dataset, fold=10, validation=0.0)
    assert {clip.id for clip in parts.test} == {"fold10/200-3-0-0.wav", "fold10/400-1-0-0.wav"}
    assert [clip.group for clip in parts.train] == ["100", "100", "300"]


def test_the_split_does_not_depend_on_the_seed(urbansound: Callable[[str], Path]) -> None:
    dataset = open_dataset(urbansound(ROWS))
    drawn = {split(dataset, fold=10, validation=0.0, seed=seed).test for seed in range(5)}
    assert len(drawn) == 1


def test_mixed_rates_and_channels_come_out_mono_at_one_rate(urbansound: Callable[[str], Path]) -> None:
    dataset = open_dataset(urbansound(ROWS))
    lengths = [dataset.waveform(clip, 22_050).shape for clip in dataset.clips]
    assert lengths == [(11_025,), (2_205,), (4_410,), (8_820,), (6_615,)]


def test_a_recording_in_two_folds_is_refused_by_the_split(urbansound: Callable[[str], Path]) -> None:
    torn = ROWS.replace("200-3-0-0.wav,200", "200-3-0-0.wav,100")
    with pytest.raises(BadInput, match="recording '100' lies on both sides of fold 10"):
        split(open_dataset(urbansound(torn)), fold=10)


def test_a_class_missing_from_the_tested_fold_is_said_in_the_rule(urbansound: Callable[[str], Path]) -> None:
    rows = ROWS.replace("400-1-0-0.wav,400,0,4,1,10,1,car_horn\n", "")
    assert split(open_dataset(urbansound(rows)), fold=10, validation=0.0).rule.endswith("; no test clip of car_horn")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("300-1-0-0.wav,300", "301-1-0-0.wav,300", r"line 5: '301-1-0-0.wav' does not exist"),
        (",1,2,1,car_horn", ",1,3,1,car_horn", r"line 5: '300-1-0-0.wav' does not exist"),
        (",1,2,1,car_horn", ",1,11,1,car_horn", "line 5: fold 11; there are folds 1 to 10"),
        (",1,2,1,car_horn", ",1,2,1,horn", "line 6: classID 1 is 'car_horn' here, 'horn' above"),
        ("300-1-0-0.wav,300", "../../../x.wav,300", "line 5: .* leaves the folder"),
        ("0,4,1,2,1,car_horn", "0,4,1,2,one,car_horn", "line 5: column 'classID' is 'one'"),
        ("100-3-0-1.wav", "100-3-0-0.wav", "line 3: .* is listed already on line 2"),
        ("300,0,4,1,2,1,car_horn", "300,0,4,1,2,1", "line 5: 7 cells, the header has 8"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(urbansound: Callable[[str], Path], old: str, new: str, why: str) -> None:
    assert old in ROWS
    with pytest.raises(BadInput, match=why) as caught:
        open_dataset(urbansound(ROWS.replace(old, new, 1)))
    assert caught.value.exit_code == 3


def test_a_class_with_two_numbers_is_refused(urbansound: Callable[[str], Path]) -> None:
    with pytest.raises(BadInput, match="one class has two numbers"):
        open_dataset(urbansound(ROWS.replace(",10,1,car_horn", ",10,2,car_horn")))
