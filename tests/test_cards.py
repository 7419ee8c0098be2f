"""Every shipped recipe has a card that says where it is from, what was measured here, and what was not."""

import re

import pytest

from edgeasc.recipes import list_recipes, models_folder

PARTS = ("Source", "Measured here", "Not measured")


def parts(name: str) -> dict[str, str]:
    """The text below each heading of the card of recipe `name`."""
    card = (models_folder() / name / "card.md").read_text()
    heads = re.split(r"^## (.+)$", card, flags=re.MULTILINE)
    return dict(zip(heads[1::2], (text.strip() for text in heads[2::2]), strict=True))


@pytest.mark.parametrize("name", list_recipes())
def test_a_card_tells_its_source_what_was_measured_and_what_was_not(name: str) -> None:
    found = parts(name)
    assert all(found.get(part, "").startswith("* ") for part in PARTS), sorted(found)


@pytest.mark.parametrize("name", list_recipes())
def test_a_source_is_a_paper_that_can_be_looked_up(name: str) -> None:
    assert re.search(r"arXiv \d{4}\.\d{4,5}|Interspeech \d{4}", parts(name)["Source"])


@pytest.mark.parametrize("name", list_recipes())
def test_links_of_a_card_lead_to_files_that_are_there(name: str) -> None:
    folder = models_folder() / name
    for link in re.findall(r"\]\(([^)#]+)\)", (folder / "card.md").read_text()):
        assert link.startswith("http") or (folder / link).exists(), link


def test_every_folder_of_the_zoo_with_a_card_has_a_recipe() -> None:
    assert sorted(path.parent.name for path in models_folder().glob("*/card.md")) == list_recipes()
