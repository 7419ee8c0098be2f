"""The doctor tries what is here, names what is not, and notices what is broken."""

import dataclasses

import pytest

import edgeasc.export.doctor as room
from edgeasc.errors import MissingDependency
from edgeasc.export.doctor import PACKAGES, TOOLS, Package, Tool, convert_dummy, doctor
from edgeasc.extras import EXTRA_OF
from edgeasc.runtime.catalogue import RUNTIMES

NATIVE = ("tflite-reference", "tflm", "onnxruntime", "litert", "tflite-runtime", "native-c")


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TensorFlow's converter, which takes ten seconds to start."""
    monkeypatch.setattr(room, "get_args", lambda kind: ("direct",) if kind is room.Converter else ("int8", "island"))


@pytest.mark.usefixtures("light")
def test_every_installed_runtime_works_and_every_other_names_its_command() -> None:
    document = doctor(imports=False)
    rows = {row["name"]: row for row in document["runtimes"]}
    assert set(rows) == set(NATIVE) and document["passed"]
    for name, row in rows.items():
        if RUNTIMES[name].installed:
            assert row["works"] is True and row["by"], row
        elif name != "tflite-reference":
            assert row["works"] is None and "pip install" in row["install"], row


@pytest.mark.needs("onnxruntime", "ai_edge_litert")
@pytest.mark.usefixtures("light")
def test_a_broken_runtime_is_named_and_fails_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from edgeasc.runtime import child

    real = child.worker_command

    def command(what: str, memory: int) -> list[str]:
        broken = "import sys; sys.exit('cannot load libfoo.so')"
        return [sys.executable, "-c", broken] if what == "onnxruntime" else real(what, memory)

    monkeypatch.setattr(child, "worker_command", command)
    document = doctor(imports=False)
    row = next(row for row in document["runtimes"] if row["name"] == "onnxruntime")
    assert not document["passed"] and row["works"] is False and "libfoo" in row["why"]


def test_absent_packages_name_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRA_OF, "no_such_module", "audio")
    rows = [room._package(Package("absent", "no_such_module.inner", "nothing"))]
    assert rows[0]["installed"] is False and rows[0]["install"] == "pip install 'edgeasc[audio]'"


def test_a_package_that_cannot_be_imported_is_found_out(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "halfway.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    row = room._package(Package("halfway", "halfway", "nothing"))
    room._try_import(row)
    assert row["installed"] and row["works"] is False and "torchvision::nms" in row["why"]


def test_a_tool_is_found_with_its_version_or_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    here = room._tool(Tool(sys.executable, "Python", "nothing to install"))
    assert here["installed"] and here["version"].startswith("Python 3") and here["install"] == ""
    gone = room._tool(Tool("no-such-compiler", "nothing", "apt-get install no-such-compiler"))
    assert not gone["installed"] and gone["install"] == "apt-get install no-such-compiler"


def test_every_absence_has_a_remedy() -> None:
    assert all(package.install and package.purpose for package in PACKAGES)
    assert all(tool.install.startswith(("apt-get install", "pip install")) for tool in TOOLS)


def test_the_dummy_can_insist_on_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = dataclasses.replace(RUNTIMES["tflm"], module="no_such_module")
    monkeypatch.setattr("edgeasc.runtime.catalogue.RUNTIMES", {**RUNTIMES, "tflm": absent})
    with pytest.raises(MissingDependency, match="pip install tflite-micro"):
        convert_dummy(require=["tflm"])
