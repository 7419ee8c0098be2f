"""The README of a C folder tells the numbers of that folder, and what it shows works."""

import re
import subprocess

import pytest
from graph_builder import bcresnet

from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.export.c.strips import Stretch

PLAN = (Stretch(1, 4, 4),)


def test_it_tells_flash_and_ram_as_model_json_has_them():
    text = bundle(bcresnet("island"))
    shown = text.files["README.md"]
    assert f"| all constants | {text.facts['constant_bytes']:,} |" in shown
    assert f"| {text.facts['arena_bytes']:,} |" in shown and "strips" not in shown
    rows = [int(row.replace(",", "")) for row in re.findall(r"^\| flash \| .* \| ([\d,]+) \|$", shown, re.MULTILINE)]
    assert sum(rows[:-2]) == rows[-2] and rows[-1] > 5_000


def test_it_tells_what_strips_save():
    text = bundle(bcresnet("island"), plan=PLAN)
    whole = text.facts["whole_arena_bytes"]
    assert (
        f"an arena of {whole:,} bytes" in text.files["README.md"]
        and whole == bundle(bcresnet("island")).facts["arena_bytes"]
    )


@pytest.mark.needs("gcc")
def test_its_example_compiles(tmp_path):
    text = bundle(bcresnet("int8"), plan=PLAN)
    write_bundle(text, tmp_path)
    (code,) = re.findall(r"```c\n(.*?)```", text.files["README.md"], re.DOTALL)
    include, arena, *calls = [part for part in re.split(r"\n(?=static|scene_init)", code) if part]
    program = f"{include}\n{arena}\nint main(void)\n{{\n{''.join(calls)}\nreturn input[0] + logits[0];\n}}\n"
    (tmp_path / "example.c").write_text(program)
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "example.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.needs("gcc")
def test_its_first_commands_build(tmp_path):
    write_bundle(bundle(bcresnet("int8"), plan=PLAN), tmp_path)
    commands = re.findall(r"^\$ (make[^#\n]*)", (tmp_path / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 3
    for command in commands[:2]:
        subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "libscene.a").is_file() and (tmp_path / "scene_host").is_file()


@pytest.mark.needs("arm-none-eabi-gcc")
def test_its_line_for_a_chip_builds(tmp_path):
    write_bundle(bundle(bcresnet("int8"), plan=PLAN), tmp_path)
    (command,) = re.findall(r"^\$ (make clean; make .*)$", (tmp_path / "README.md").read_text(), re.MULTILINE)
    subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True)
    shown = subprocess.run(["arm-none-eabi-nm", "libscene.a"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert " T scene_run" in shown.stdout
