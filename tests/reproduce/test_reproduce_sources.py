"""Recordings for a table: recognised, refused with where to get the right ones, or taken in their place."""

from pathlib import Path
from typing import Any

import pytest

from edgeasc.errors import BadInput
from edgeasc.reproduce.sources import find_recordings
from edgeasc.reproduce.tables import PaperTable, parse_table, read_table, table_names


@pytest.fixture
def toy(toy_document: dict[str, Any]) -> PaperTable:
    return parse_table(toy_document, "toy")


@pytest.mark.parametrize("name", table_names())
def test_without_recordings_it_is_said_where_they_are(name: str) -> None:
    table = read_table(name)
    with pytest.raises(BadInput) as caught:
        find_recordings(name, table, [], stand_in=False)
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    for wanted in table.recordings:
        assert wanted.get in str(caught.value) and wanted.files in str(caught.value)


def test_the_papers_recordings_are_comparable(toy: PaperTable, tone_folds: Path) -> None:
    found = find_recordings("toy", toy, [tone_folds], stand_in=False)["tones"]
    assert found.comparable and found.remarks == ()


def test_missing_clips_are_remarked(toy_document: dict[str, Any], tone_folds: Path) -> None:
    toy_document["recordings"][0] |= {"clips": 2000, "folds": 5}
    found = find_recordings("toy", parse_table(toy_document, "toy"), [tone_folds], stand_in=False)["tones"]
    assert not found.comparable
    assert found.remarks == ("24 clips with a label; Tones has 2,000", "folds 1, 2; Tones has 1 to 5")


def test_other_recordings_are_refused_with_where_to_get_the_right_ones(
    toy_document: dict[str, Any], tone_folds: Path
) -> None:
    toy_document["recordings"][0]["classes"] = 50
    with pytest.raises(BadInput, match=r"not the paper's recordings \(2 classes.*https://example.org/tones") as caught:
        find_recordings("toy", parse_table(toy_document, "toy"), [tone_folds], stand_in=False)
    assert caught.value.exit_code == 3


def test_other_recordings_stand_in_where_that_is_asked_for(toy_document: dict[str, Any], tone_folds: Path) -> None:
    toy_document["recordings"][0]["classes"] = 50
    found = find_recordings("toy", parse_table(toy_document, "toy"), [tone_folds], stand_in=True)["tones"]
    assert not found.comparable and "in the place of Tones: not comparable" in found.remarks[0]


def test_a_folder_too_many_is_refused(toy: PaperTable, tone_folds: Path) -> None:
    with pytest.raises(BadInput, match="one folder more than the table has data sets"):
        find_recordings("toy", toy, [tone_folds, tone_folds], stand_in=True)
