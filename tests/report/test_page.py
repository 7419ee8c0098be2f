"""The page itself: complete, the same every time, closed to strangers' markup, readable in both themes."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
from report_runs import write_run

from edgeasc.cli import main
from edgeasc.files import read_json, write_json
from edgeasc.report.matrix import DARK, LIGHT
from edgeasc.report.page import render_page
from edgeasc.report.story import read_story

pytestmark = pytest.mark.needs("jinja2")
VOID = {"meta", "link", "br", "wbr", "hr", "img", "input"}


class Tree(HTMLParser):
    """Checks that elements are closed in order and collects them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(folder: Path) -> str:
    return render_page(read_story(folder))


def test_every_part_of_the_report_is_there(runs: Path) -> None:
    ids = {attributes.get("id") for _, attributes in Tree(page_of(runs / "small")).seen}
    assert ids >= {"accuracy", "confusion", "training", "runs", "sizes", "layers", "memory", "parity", "origin"}


def test_links_of_the_page_lead_to_parts_of_it(runs: Path) -> None:
    for run in ("small", "float"):
        seen = Tree(page_of(runs / run)).seen
        ids = {attributes["id"] for _, attributes in seen if "id" in attributes}
        targets = {str(attributes["href"])[1:] for tag, attributes in seen if tag == "a"}
        assert targets and targets <= ids


def test_nothing_in_the_page_can_load_or_run(runs: Path) -> None:
    page = page_of(runs / "small")
    for tag, attributes in Tree(page).seen:
        assert tag not in ("script", "iframe", "object", "embed", "img", "form", "base")
        assert not any(key.startswith("on") or key in ("src", "srcset", "action") for key in attributes)
        assert str(attributes.get("href", "#"))[:1] == "#" or attributes["href"] == "data:,"
    assert "url(" not in page and "@import" not in page and "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_the_same_run_gives_the_same_page(runs: Path) -> None:
    assert page_of(runs / "small") == page_of(runs / "small")


def test_shares_stand_beside_their_n_and_interval(runs: Path) -> None:
    page = re.sub(r"<[^>]+>", " ", page_of(runs / "small"))
    overall = read_story(runs / "small").scores.overall
    assert f"n = {overall.n}" in page
    assert f"{100 * overall.low:.1f} to {100 * overall.high:.1f} %" in page


def test_layers_add_up_to_the_total_that_is_printed(runs: Path) -> None:
    audit = read_story(runs / "small").audit
    assert audit is not None
    table = page_of(runs / "small").split('class="layers"')[1].split("</table>")[0]
    body, foot = table.split("<tfoot>")
    numbers = [int(text.replace(",", "")) for text in re.findall(r"<span>([\d,]+)</span>", body)]
    assert sum(numbers[::3]) == audit.parameters.nonzero_bytes
    assert f"{audit.parameters.nonzero_bytes:,}" in foot


def test_the_chip_shows_as_many_filled_cells_as_the_budget_is_used(runs: Path) -> None:
    figure = page_of(runs / "small").split('class="chip"')[1].split("</figure>")[0]
    filled = sum(path.count("z") for path in re.findall(r'd="([^"]*)" class="cell tint', figure))
    free = sum(path.count("z") for path in re.findall(r'd="([^"]*)" class="cell free', figure))
    audit = read_story(runs / "small").audit
    assert audit is not None
    assert filled + free == 48 * 48
    assert abs(filled / (48 * 48) - audit.parameters.nonzero_bytes / 4096) < 1 / (48 * 48)


def test_a_broken_budget_is_said_at_the_top(runs: Path) -> None:
    path = runs / "small" / "stages.json"
    stages = read_json(path, "stages")
    stages["plan"]["budget_bytes"] = 100
    write_json(path, stages)
    page = page_of(runs / "small")
    assert "Does not fit." in page and 'class="breach"' in page


HOSTILE = '"><script>alert(1)</script>\x1b[2J\u202e&'


def test_names_from_files_cannot_become_markup(runs: Path) -> None:
    labels = (HOSTILE, "bus", "it's", "park")
    for name in ("float", "small"):
        shutil.rmtree(runs / name)
    write_run(runs / "float", "train", labels=labels)
    path = runs / "float" / "evaluate.json"
    document = read_json(path, "evaluation")
    write_json(
        path, document | {"split": HOSTILE, "input": HOSTILE, "per_device": {HOSTILE: {"n": 3, "accuracy": 0.5}}}
    )
    page = page_of(runs / "float")
    assert "<script" not in page and "\x1b" not in page and "\u202e" not in page
    assert "&lt;script&gt;" in page
    Tree(page)


def test_many_classes_still_make_a_page(runs: Path) -> None:
    labels = tuple(f"class {index}" for index in range(60))
    write_run(runs / "many", "train", labels=labels)
    Tree(page_of(runs / "many"))


def themes() -> dict[str, dict[str, str]]:
    """The style sheet's colours by name: light, and dark put over them."""
    style = (resources.files("edgeasc.report") / "page.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.S)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in blocks)
    return {"light": light, "dark": light | dark}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def blended(over: str, under: str, opacity: float) -> str:
    pairs = [(int(over[i : i + 2], 16), int(under[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a * opacity + b * (1 - opacity)):02x}" for a, b in pairs)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "quiet", "mask", "gold", "blue", "bad"])
def test_text_has_the_contrast_of_level_aa(theme: str, name: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[name], colours["board"]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", ["mask", "gold"])
def test_counts_are_readable_on_every_shade_of_the_confusion_matrix(theme: str, ground: str) -> None:
    colours = themes()[theme]
    for (low, high), ink in ((LIGHT, "ink"), (DARK, "mask-ink")):
        for step in range(11):
            shade = blended(colours[ground], colours["faint"], low + (high - low) * step / 10)
            assert contrast(colours[ink], shade) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["mask", "blue", "gold", "tint0", "tint1"])
def test_marks_of_charts_stand_out_from_the_ground(theme: str, name: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[name], colours["board"]) >= 3.0


def test_the_command_writes_the_page_into_the_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(runs / "small")]) == 0
    assert capsys.readouterr().out.strip() == str(runs / "small" / "report.html")
    assert (runs / "small" / "report.html").read_text().startswith("<!doctype html>")


def test_the_command_writes_where_it_is_told(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "page.html"
    assert main(["report", str(runs / "small"), "--out", str(out), "--compare", str(runs / "float")]) == 0
    assert out.is_file() and not (runs / "small" / "report.html").exists()


def test_a_folder_without_a_run_exits_with_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_without_jinja2_the_command_names_what_to_install(runs: Path) -> None:
    program = "import sys; sys.modules['jinja2'] = None; from edgeasc.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "report", str(runs / "small")], capture_output=True, text=True
    )
    assert done.returncode == 4
    assert "edgeasc[report]" in done.stderr


def test_a_page_is_written_without_torch(runs: Path) -> None:
    program = "import sys; sys.modules['torch'] = None; from edgeasc.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "report", str(runs / "small")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
