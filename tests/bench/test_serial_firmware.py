"""The firmware for every board builds with Debian's compiler, and answers over the emulator's serial line."""

import contextlib
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_firmware import EXAMPLE, build, emulated
from graph_builder import bcresnet

from edgeasc.bench.mcu.bench import bench_cores
from edgeasc.bench.mcu.frames import LARGEST, Frame
from edgeasc.bench.mcu.serial_bench import bench_boards
from edgeasc.bench.mcu.serial_link import SerialLink, open_port
from edgeasc.cli import main
from edgeasc.errors import ResourceExhausted
from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.export.dummy import dummy_graph
from edgeasc.graph.onnx_write import onnx_bytes

pytestmark = pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm", "serial")
BOARDS = EXAMPLE.parents[1] / "edgeasc" / "bench" / "mcu" / "firmware" / "boards"
MACHINES = {  # by board
    "mps2-an385": "mps2-an385",
    "mps2-an386": "mps2-an386",
    "mps2-an500": "mps2-an500",
    "mps3-an547": "mps3-an547",
    "stm32f405": "netduinoplus2",
}


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    """A folder with model.onnx, its C in c/, and the M4 firmware."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "model.onnx").write_bytes(onnx_bytes(bcresnet("int8")))
    write_bundle(bundle(bcresnet("int8")), folder / "c")
    return folder


@pytest.fixture(scope="module")
def m4(network) -> Path:
    done = build(network, "mps2-an386")
    assert done.returncode == 0, done.stderr
    return network / "mps2-an386" / "firmware.elf"


def test_every_board_s_files_are_there_and_tested_here():
    assert {path.stem for path in BOARDS.glob("*.mk")} == set(MACHINES)
    assert all((BOARDS / f"{board}.c").is_file() for board in MACHINES)


@pytest.mark.parametrize("board", MACHINES)
def test_a_board_on_a_serial_line_equals_the_reference(network, board):
    done = build(network, board, OPTIMISE="-Os", BUILD=str(network / board / "small"))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    with emulated(network / board / "small" / "firmware.elf", MACHINES[board]) as line:
        document = bench_boards([network / "model.onnx"], [line], clips=2)
    (row,) = document["results"]
    assert document["exit_code"] == 0 and row["equal"] == 2 and row["board"] == board
    assert row["origin"] == "emulated" and row["counter"] == "SysTick" and 64 < row["stack_bytes"] < 8192


def test_both_ways_to_count_agree(network, m4):
    """Files by semihosting and frames on a line: the same C in other firmware."""
    with emulated(m4, "mps2-an386") as line:
        (served,) = bench_boards([network / "model.onnx"], [line], clips=1)["results"]
    (filed,) = bench_cores([network / "model.onnx"], ["cortex-m4"], clips=1)["results"]
    assert served["instructions"] == pytest.approx(filed["instructions"], rel=0.01)
    assert [layer["name"] for layer in served["layers"]] == [layer["name"] for layer in filed["layers"]]


def test_flash_is_what_the_image_weighs(network, m4):
    with emulated(m4, "mps2-an386") as line:
        (row,) = bench_boards([network / "model.onnx"], [line], clips=1)["results"]
    assert row["flash_bytes"] == m4.with_suffix(".bin").stat().st_size


def test_a_board_with_another_model_is_refused_by_its_build(network, m4, tmp_path, capsys):
    (tmp_path / "other.onnx").write_bytes(onnx_bytes(dummy_graph()))
    with emulated(m4, "mps2-an386") as line:
        code = main(["bench", str(tmp_path / "other.onnx"), "--target", f"serial:{line}"])
    said = capsys.readouterr().err
    assert code == 3 and said.count("\n") == 1 and "the board runs build" in said


def test_the_firmware_answers_after_noise_half_frames_and_wrong_checksums(m4):
    with emulated(m4, "mps2-an386") as line, contextlib.closing(open_port(line, 115200)) as port:
        link = SerialLink(port, line)
        first = link.hello()
        for noise in (
            b"EEAEA\xff\xff\xff\xff", Frame(1, 9, b"abcd").encode()[:-1], b"EA" + bytes(3), bytes(range(256)),
            Frame(3, 5).encode()[:-4] + zlib.crc32(b"x").to_bytes(4, "little"),
            Frame(2, 7, bytes(LARGEST)).encode()[:9],
        ):  # fmt: skip
            port.write(noise)
            assert link.hello() == first


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (Frame(99, 1), "does not know"),
        (Frame(2, 1, (1 << 31).to_bytes(4, "little") + b"x"), "out of range"),
        (Frame(2, 1, b"abc"), "out of range"),
        (Frame(2, 1, (1).to_bytes(4, "little") + bytes(508)), "out of range"),
        (Frame(4, 1, b"\0" + (1 << 31).to_bytes(4, "little") + b"\1\0"), "out of range"),
        (Frame(4, 1, b"\2" + bytes(4) + b"\1\0"), "out of range"),
        (Frame(4, 1, b"\0" + bytes(4) + b"\xff\xff"), "out of range"),
        (Frame(1, 1, b"abc"), "out of range"),
    ],
)
def test_questions_beyond_the_arena_are_refused(small, question, why):
    with pytest.raises(ResourceExhausted, match=why):
        small._ask(question.type, question.payload, 2.0)
    assert small.hello().build


@pytest.fixture(scope="module")
def small_c(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    write_bundle(bundle(dummy_graph()), folder / "c")
    return folder


@pytest.fixture(scope="module")
def small(small_c) -> Iterator[SerialLink]:
    """A board with a network whose input takes less than a frame."""
    folder = small_c
    done = build(folder, "mps2-an386")
    assert done.returncode == 0, done.stderr
    elf = folder / "mps2-an386" / "firmware.elf"
    with emulated(elf, "mps2-an386") as line, contextlib.closing(open_port(line, 115200)) as port:
        yield SerialLink(port, line)


def test_a_model_of_older_files_is_built_anew(small_c, tmp_path):
    write_bundle(bundle(dummy_graph("island")), tmp_path / "c")
    os.utime(tmp_path / "c" / "scene.h", (0, 0))
    images = []
    for folder in (small_c, tmp_path):
        done = build(folder, "mps2-an386", BUILD=str(tmp_path / "build"), OPTIMISE="-O0")
        assert done.returncode == 0, done.stderr
        images.append((tmp_path / "build" / "firmware.bin").read_bytes())
    build_line = (tmp_path / "c" / "scene.h").read_text().split('SCENE_BUILD "')[1][:32].encode()
    assert [build_line in image for image in images] == [False, True]


def test_a_fault_is_told_until_reset(small_c, tmp_path):
    shutil.copytree(small_c / "c", tmp_path / "c")
    text = (tmp_path / "c" / "scene.c").read_text()
    before = "    int8_t *const a = arena;\n"
    (tmp_path / "c" / "scene.c").write_text(text.replace(before, before + "    __builtin_trap();\n"))
    done = build(tmp_path, "mps2-an386", OPTIMISE="-O0")
    assert done.returncode == 0, done.stderr
    with emulated(tmp_path / "mps2-an386" / "firmware.elf", "mps2-an386") as line:
        document = bench_boards([small_c / "c"], [line])
    assert document["exit_code"] == 5 and "its firmware faulted; reset it" in document["results"][0]["error"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"board": "mps9"}, "no board 'mps9'; there are: mps2-an385"),
        ({"board": "mps2-an386", "RAM_LENGTH": "1K"}, "overflowed by"),
        ({"board": "mps2-an386", "CROSS": "no-such-"}, "no-such-gcc"),
    ],
)
def test_what_cannot_be_built_says_why(small_c, tmp_path, options, why):
    done = build(small_c, options.pop("board"), **options, BUILD=str(tmp_path / "b"))
    assert done.returncode != 0 and why in done.stderr


def test_a_board_of_ones_own_needs_two_files_in_a_folder_of_its_own(small_c, tmp_path):
    (tmp_path / "mine.mk").write_text((BOARDS / "stm32f405.mk").read_text())
    (tmp_path / "mine.c").write_text((BOARDS / "stm32f405.c").read_text().replace('"stm32f405"', '"mine"'))
    done = build(small_c, "mine", BOARDS_AT=str(tmp_path), BUILD=str(tmp_path / "build"), OPTIMISE="-O0")
    assert done.returncode == 0, done.stderr
    elf = tmp_path / "build" / "firmware.elf"
    with emulated(elf, "netduinoplus2") as line, contextlib.closing(open_port(line, 115200)) as port:
        assert SerialLink(port, line).hello().name == "mine"


def test_a_model_that_is_no_c_folder_is_named_with_the_command_that_writes_one(tmp_path):
    done = build(tmp_path, "mps2-an386")
    assert done.returncode != 0 and "edgeasc export MODEL --c" in done.stderr
