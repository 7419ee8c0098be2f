"""Tables come out aligned as text, whole as Markdown, and harmless in both."""

from edgeasc.tables import Table, as_markdown, as_text, printable

TABLE = Table(("name", ">count"), [("a", "1"), ("longer", "1,000")], "Title")


def test_numbers_align_at_their_right_end() -> None:
    assert as_text([TABLE]) == "Title\nname    count\na           1\nlonger  1,000\n"


def test_markdown_says_which_columns_are_numbers() -> None:
    assert as_markdown([TABLE]).splitlines()[2:4] == ["| name | count |", "|---|---:|"]


def test_an_empty_table_is_its_headings() -> None:
    assert as_text([Table(("a", "b"), [])]) == "a  b\n"


def test_control_characters_are_spelt_out() -> None:
    assert printable("a\nb\x1b[1m\u202e") == "a\\nb\\x1b[1m\\u202e"


def test_cells_cannot_become_markup_or_new_cells() -> None:
    page = as_markdown([Table(("x",), [("<b>|`*_",)])])
    assert page.splitlines()[-1] == "| &lt;b&gt;\\|\\`\\*\\_ |"
