"""For all rooms: a test that cannot run says which package it wants, and in continuous integration it fails."""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Generator
from importlib.util import find_spec

import pytest

from edgeasc.errors import MissingDependency
from edgeasc.extras import EXTRA_OF, missing

CI = bool(os.environ.get("CI"))
PROGRAMS = {  # that tests ask for beside packages
    "chromium": "chromium: not installed; apt-get install chromium",
    "clang": "clang: not installed; apt-get install clang",
    "cmake": "cmake: not installed; apt-get install cmake make",
    "gcc": "gcc: not installed; apt-get install gcc",
    "arm-none-eabi-gcc": "arm-none-eabi-gcc: not installed; apt-get install gcc-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm: not installed; apt-get install qemu-system-arm",
    "ssh": "ssh: not installed; apt-get install openssh-client",
    "/usr/sbin/sshd": "sshd: not installed; apt-get install openssh-server",
}

# A suite started in the background of a shell inherits an ignored SIGINT, and with it every child that a test
# interrupts: look at interrupts as a program in the foreground does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A test file that imports an absent optional package is skipped with the command that installs it."""
    report = yield
    if report.failed and not CI:
        wanted = [module for module in EXTRA_OF if f"No module named '{module}" in str(report.longrepr)]
        if wanted and find_spec(wanted[0]) is None:
            report.outcome = "skipped"
            report.longrepr = (str(collector.path), 1, f"Skipped: {missing(wanted[0])}")
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The marker `needs`: all of these packages and programs, or none of this test."""
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if name in PROGRAMS:
                if shutil.which(name) is None:
                    pytest.skip(PROGRAMS[name])
            elif find_spec(name) is None:
                pytest.skip(str(missing(name)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that meets an absent package is skipped with its install command; in continuous integration no test is."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if report.failed and not CI and (wanted := _wanted(error)):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {wanted}")
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not accept: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were skipped, each reason once with its number."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"{number} skipped: {reason}")


def _wanted(error: BaseException | None) -> str:
    """What has to be installed so that `error` goes away; empty where it is no question of installing."""
    if isinstance(error, MissingDependency):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return str(missing(error.name) or "")
    return ""
