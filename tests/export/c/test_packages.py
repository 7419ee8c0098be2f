"""Packages of the C: whole, buildable by what they are for, and verified as the C itself is.

Zephyr and Arduino are not here. Stand-ins play them: a few CMake functions and one header, which take what the real
ones take. The code that is built and run is the package's own.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edgeasc.cli import main
from edgeasc.export.artefacts import export_artefacts
from edgeasc.export.c.bundle import Bundle, bundle
from edgeasc.export.c.packages import PACKAGES, package_files
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.verify import VerificationFailed, verify_folder
from edgeasc.files import sha256, write_json
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.specs import LogMel

FORMS = ["int8", "island"]
LABELS = '["bus", "park", "street", "tram", "metro", "mall", "square", "station", "airport", "quay"]'

ZEPHYR = """
project(stand_in C)
set(CMAKE_C_STANDARD 11)
add_executable(app)
file(WRITE ${CMAKE_BINARY_DIR}/zephyr/kernel.h "#include <stdlib.h>\\n#define k_msleep(ms) exit(0)\\n")
file(WRITE ${CMAKE_BINARY_DIR}/zephyr/sys/printk.h "#include <stdio.h>\\n#define printk printf\\n")
target_include_directories(app PRIVATE ${CMAKE_BINARY_DIR})
file(STRINGS ${CMAKE_SOURCE_DIR}/prj.conf settings)
foreach(setting ${settings})
  string(REGEX MATCH "^([A-Z_]+)=(.*)$" found "${setting}")
  set(${CMAKE_MATCH_1} ${CMAKE_MATCH_2})
endforeach()
function(zephyr_library_named name)
  add_library(${name} STATIC)
  set(library ${name} PARENT_SCOPE)
  target_link_libraries(app PRIVATE ${name})
endfunction()
macro(zephyr_library_sources)
  target_sources(${library} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_definitions)
  target_compile_definitions(${library} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
  target_compile_options(${library} PRIVATE ${ARGN})
endmacro()
function(zephyr_include_directories)
  target_include_directories(app PRIVATE ${ARGN})
endfunction()
foreach(module ${ZEPHYR_EXTRA_MODULES})
  file(READ ${module}/zephyr/module.yml about)
  string(REGEX MATCH "cmake: ([a-z]+)" found "${about}")
  add_subdirectory(${module}/${CMAKE_MATCH_1} module)
endforeach()
"""

ARDUINO = """#include <stdint.h>
extern "C" int puts(const char *);
extern "C" void exit(int);
static struct { void begin(long) {} void println(const char *text) { puts(text); } } Serial;
static void delay(unsigned long) { exit(0); }
#include "SKETCH"
int main() { setup(); for (;;) loop(); }
"""


def network(form: str, listens: bool) -> Bundle:
    """A network that takes features, or also samples."""
    spec = LogMel(n_mels=16, n_fft=512, win_length=400, hop_length=400)
    said = {"edgeasc.features": spec.model_dump_json()} if listens else {}
    return bundle(replace(dummy_graph(form), metadata={"edgeasc.labels": LABELS, **said}))


def write(files: dict[str, str], folder: Path) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def output(*command: str | Path, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.needs("cmake", "gcc")
@pytest.mark.parametrize(("form", "listens"), [("int8", True), ("island", False)])
def test_the_zephyr_sample_builds_and_names_a_scene(tmp_path, form, listens):
    folder = write(package_files(network(form, listens), "zephyr"), tmp_path / "module")
    stand_in = write({"ZephyrConfig.cmake": ZEPHYR}, tmp_path / "base")
    environment = {**os.environ, "ZEPHYR_BASE": str(stand_in)}
    output("cmake", "-S", folder / "sample", "-B", tmp_path / "build", env=environment)
    output("cmake", "--build", tmp_path / "build")
    assert output(tmp_path / "build" / "app").strip() in LABELS


def test_zephyr_s_files_speak_of_the_same_option():
    files = package_files(network("int8", True), "zephyr")
    module = dict(line.strip().split(": ") for line in files["zephyr/module.yml"].splitlines() if ": " in line)
    assert f"{module['cmake']}/CMakeLists.txt" in files and module["kconfig"] in files and module["name"]
    options = set(re.findall(r"^config (\w+)$", files["zephyr/Kconfig"], re.MULTILINE))
    used = set(re.findall(r"CONFIG_(EDGEASC\w+)", files["zephyr/CMakeLists.txt"] + files["sample/prj.conf"]))
    assert used == options


@pytest.mark.parametrize("form", FORMS)
def test_zephyr_s_cmake_lists_every_source_and_the_rounding(form):
    made = network(form, True)
    text = package_files(made, "zephyr")["zephyr/CMakeLists.txt"]
    assert re.findall(r"\$\{source\}/(\w+\.c)", text) == made.chip_sources
    assert f"EA_ROUNDING={2 if form == 'int8' else 1})" in text


@pytest.mark.needs("gcc", "clang")
@pytest.mark.parametrize(("form", "listens"), [("int8", True), ("island", False)])
def test_the_arduino_sketch_builds_and_names_a_scene(tmp_path, form, listens):
    """As Arduino does it: every file of src/ compiled without a definition, the sketch as C++."""
    folder = write(package_files(network(form, listens), "arduino"), tmp_path)
    sketch = ARDUINO.replace("SKETCH", str(folder / "examples" / "Scene" / "Scene.ino"))
    (tmp_path / "sketch.cpp").write_text(sketch)
    strict = ["-Wall", "-Wextra", "-Werror", "-O1", f"-I{folder / 'src'}"]
    output("clang", *strict, "-c", "-o", tmp_path / "sketch.o", tmp_path / "sketch.cpp")
    sources = sorted((folder / "src").glob("*.c"))
    output("gcc", *strict, "-o", tmp_path / "run", *sources, tmp_path / "sketch.o")
    assert output(tmp_path / "run").strip() in LABELS


def test_arduino_s_properties_have_what_its_builder_requires():
    text = package_files(network("int8", True), "arduino")["library.properties"]
    found = dict(line.split("=", 1) for line in text.splitlines())
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
    assert required <= set(found) and re.fullmatch(r"\d+\.\d+\.\d+", found["version"])
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{0,62}", found["name"]) and found["includes"] == "scene.h"


@pytest.mark.parametrize("kind", PACKAGES)
def test_the_code_of_a_package_is_the_c_folder_s(kind):
    made = network("int8", True)
    files = package_files(made, kind)
    code = {name.removeprefix("src/"): text for name, text in files.items() if name.startswith("src/")}
    code.pop("ea_config.h", None)
    assert set(code) == {name for name in made.files if name.endswith(".h")} | set(made.chip_sources)
    assert all(text.removeprefix('#include "ea_config.h"\n') == made.files[name] for name, text in code.items())


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_file_of_code_says_its_licence(kind):
    for name, text in package_files(network("int8", True), kind).items():
        if name.endswith((".c", ".h", ".ino", ".txt", "Kconfig")):
            assert "SPDX-License-Identifier: 0BSD OR Apache-2.0" in "\n".join(text.splitlines()[:2]), name


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    (folder / "x.onnx").write_bytes(onnx_bytes(dummy_graph("int8")))
    export_artefacts(folder / "x.onnx", folder / "out", tflite=False, c=True, clips=3, packages=PACKAGES)
    return folder / "out"


@pytest.fixture
def exported(once, tmp_path) -> Path:
    return Path(shutil.copytree(once, tmp_path / "out"))


@pytest.mark.needs("gcc")
def test_packages_are_in_the_manifest_and_verified(exported):
    document = verify_folder(exported)
    checked = {check["name"] for check in document["checks"]}
    assert {"zephyr/zephyr/module.yml as derived from the ONNX file", "files in arduino/"} <= checked
    assert document["notes"] == []


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("name", ["arduino/src/weights.c", "zephyr/zephyr/CMakeLists.txt", "zephyr/src/added.c"])
def test_a_package_that_its_manifest_believes_is_still_compared_with_the_graph(exported, name):
    manifest = json.loads((exported / "manifest.json").read_text())
    with open(exported / name, "a") as stream:
        stream.write("#error\n")
    payload = (exported / name).read_bytes()
    kept = [entry for entry in manifest["files"] if entry["name"] != name]
    manifest["files"] = [*kept, {"name": name, "bytes": len(payload), "sha256": sha256(payload)}]
    write_json(exported / "manifest.json", manifest)
    with pytest.raises(VerificationFailed, match=r"as derived from the ONNX file"):
        verify_folder(exported)


@pytest.mark.needs("gcc")
def test_the_command_writes_packages_and_the_c_they_are_made_of(tmp_path, capsys):
    (tmp_path / "x.onnx").write_bytes(onnx_bytes(dummy_graph("int8")))
    words = ["export", str(tmp_path / "x.onnx"), "--onnx", "--package", "zephyr", "--clips", "3"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "zephyr" / "sample" / "prj.conf").is_file() and (tmp_path / "out" / "c").is_dir()
    assert "zephyr/zephyr/module.yml" in capsys.readouterr().out
    assert not (tmp_path / "out" / "arduino").exists()
