"""The page in a real browser: no error on its console, no request, nothing wider than a phone's screen.

What the page must not do is done on purpose by other pages here, so that the tests can be seen to notice.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgeasc.report import write_report

pytestmark = pytest.mark.needs("chromium", "jinja2")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--dump-dom",
    "--allow-file-access-from-files",
)  # fmt: skip
DISCARD = "http://127.0.0.1:9/"  # nobody listens there


@dataclass(frozen=True)
class Visit:
    """What a visit to a page came to."""

    dom: str
    console: list[str]
    requests: list[str]


def visit(page: Path, profile: Path, *flags: str) -> Visit:
    """Load `page` as a user's browser would, with a fresh profile."""
    log = profile.with_suffix(".netlog")
    command = ["chromium", *FLAGS, *flags, f"--user-data-dir={profile}", f"--log-net-log={log}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    # What the browser itself wants from its maker's servers has no initiator; what a page asks for has one.
    starts = [line for line in log.read_text(encoding="utf-8").splitlines() if '"initiator":"' in line]
    asked = re.findall(r'"initiator":"([^"]*)".*?"url":"([^"]+)"', "\n".join(starts))
    return Visit(
        dom=done.stdout,
        console=re.findall(r":CONSOLE[:(].*", done.stderr),
        requests=sorted({url for by, url in asked if by != "not an origin" and not url.startswith("data:")}),
    )


@pytest.mark.parametrize("run", ["small", "float"])
@pytest.mark.parametrize("scheme", [0, 1], ids=["dark", "light"])
def test_the_page_loads_without_an_error_and_without_a_request(
    runs: Path, tmp_path: Path, run: str, scheme: int
) -> None:
    page = write_report(runs / run)
    seen = visit(page, tmp_path / "profile", f"--blink-settings=preferredColorScheme={scheme}")
    assert "</html>" in seen.dom and 'id="accuracy"' in seen.dom
    assert (seen.console, seen.requests) == ([], [])


def test_an_error_on_the_console_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "noisy.html"
    page.write_text("<!doctype html><script>console.error('broken')</script>")
    assert any("broken" in line for line in visit(page, tmp_path / "profile").console)


def test_a_request_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "chatty.html"
    page.write_text(f"<!doctype html><img src='{DISCARD}pixel.png'>")
    assert f"{DISCARD}pixel.png" in visit(page, tmp_path / "profile").requests


def test_the_policy_of_the_page_stops_what_somebody_adds_to_it(runs: Path, tmp_path: Path) -> None:
    page = write_report(runs / "small")
    added = f"<img src='{DISCARD}pixel.png'><script>document.title = 'taken'</script></main>"
    page.write_text(page.read_text().replace("</main>", added))
    seen = visit(page, tmp_path / "profile")
    assert seen.requests == [] and "<title>taken" not in seen.dom
    assert any("Content Security Policy" in line for line in seen.console)


MEASURE = """<!doctype html><iframe id="f" src="{page}" style="width:{width}px;height:800px;border:0"></iframe>
<script>f.onload = () => {{ const e = f.contentDocument.documentElement;
document.body.dataset.width = e.scrollWidth;
const texts = [...f.contentDocument.querySelectorAll("text:not([transform])")].filter(t => t.getClientRects().length);
document.body.dataset.texts = texts.length > 20;
document.body.dataset.small = texts.filter(t => t.getBoundingClientRect().height < 11).length; }}</script>"""


@pytest.mark.parametrize("width", [360, 820, 1280])
def test_no_screen_has_to_scroll_sideways_and_no_label_shrinks(runs: Path, tmp_path: Path, width: int) -> None:
    page = write_report(runs / "small")
    frame = tmp_path / "frame.html"
    frame.write_text(MEASURE.format(page=page.as_uri(), width=width))
    dom = visit(frame, tmp_path / "profile", "--virtual-time-budget=3000").dom
    assert f'data-width="{width}"' in dom
    assert 'data-texts="true"' in dom and 'data-small="0"' in dom
