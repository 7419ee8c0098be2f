"""A board hears a recording over its serial line: frames and logits equal to numpy, refusals in one line."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board_firmware import build, emulated
from fake_board import FakeBoard, answering, pseudo_terminal

from edgeasc.bench.mcu.frames import Frame
from edgeasc.bench.mcu.serial_link import ANSWER, HEAR, LISTEN
from edgeasc.bench.mcu.serial_listen import bench_boards_listening
from edgeasc.cli import main
from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.export.dummy import dummy_graph
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.specs import LogMel

pytestmark = pytest.mark.needs("serial")
soundfile = pytest.importorskip("soundfile", reason="reads the recordings; pip install 'edgeasc[audio]'")
SPEC = LogMel(n_mels=16, n_fft=512, win_length=400, hop_length=100)


def listening() -> IntegerGraph:
    """The dummy network with a front end: 12 frames are a scene."""
    return replace(dummy_graph(), metadata={"edgeasc.features": SPEC.model_dump_json()})


def write_recording(path: Path, samples: int) -> Path:
    rng = np.random.default_rng(4)
    values = (rng.normal(0, 1, samples) * np.linspace(100, 12000, samples)).clip(-32768, 32767).astype(np.int16)
    soundfile.write(path, values, SPEC.sample_rate)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """A folder with model.onnx, c/ and the M4 firmware."""
    folder = tmp_path_factory.mktemp("listening")
    (folder / "model.onnx").write_bytes(onnx_bytes(listening()))
    write_bundle(bundle(listening()), folder / "c")
    return folder


@pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm")
def test_what_a_board_hears_equals_numpy(exported, tmp_path, capsys):
    done = build(exported, "mps2-an386")
    assert done.returncode == 0, done.stderr
    scene, short = write_recording(tmp_path / "street.wav", 3000), write_recording(tmp_path / "short.wav", 700)
    with emulated(exported / "mps2-an386" / "firmware.elf", "mps2-an386") as line:
        document = bench_boards_listening([exported], [line], [scene, short])
        code = main(["bench", str(exported / "c"), "--target", f"serial:{line}", "--audio", str(short)])
    assert document["exit_code"] == code == 0
    for row, scenes in zip(document["results"], (2, 1), strict=True):
        assert row["equal"] and row["network"]["equal_scenes"] == row["network"]["scenes"] == scenes
        assert row["front_end"]["equal_frames"] == row["front_end"]["frames"] == 12 * scenes
        assert row["unit"] == "instructions" and row["origin"] == "emulated" and row["front_end"]["per_frame"] > 1000
    assert "From samples to scenes on a board" in capsys.readouterr().out


@pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm")
def test_firmware_without_the_front_end_says_that_it_does_not_hear(exported, tmp_path, capsys):
    done = build(exported, "mps2-an386", STREAM="no", BUILD=str(tmp_path / "b"))
    assert done.returncode == 0, done.stderr
    recording = write_recording(tmp_path / "street.wav", 700)
    with emulated(tmp_path / "b" / "firmware.elf", "mps2-an386") as line:
        code = main(["bench", str(exported), "--target", f"serial:{line}", "--audio", str(recording)])
    said = capsys.readouterr()
    assert code == 5 and said.err.count("\n") == 1 and "it does not know the question" in said.err


def pushed(taken: int, due: int):
    """A board that takes so many samples of every question."""

    def line(question, answer):
        if question.type in (LISTEN, HEAR):
            payload = struct.pack("<HHII", taken, due, 1, 100) if question.type == HEAR else b""
            return Frame(question.type | ANSWER, question.sequence, payload).encode()
        return answer

    return answering(FakeBoard(listening(), line=line))


@pytest.mark.parametrize(("taken", "due"), [(257, 0), (3, 0), (0, 0), (256, 2)])
def test_a_board_that_takes_what_it_was_not_given_talks_garbage(exported, tmp_path, taken, due):
    recording = write_recording(tmp_path / "street.wav", 3000)
    with pseudo_terminal(pushed(taken, due)) as line:
        document = bench_boards_listening([exported], [line], [recording], answer_seconds=0.2)
    assert document["exit_code"] == 5 and "garbage: it took" in document["results"][0]["error"]


def test_a_board_that_never_comes_to_a_scene_is_ended(exported, tmp_path):
    recording = write_recording(tmp_path / "street.wav", 3000)
    with pseudo_terminal(pushed(256, 0)) as line:
        document = bench_boards_listening([exported], [line], [recording], answer_seconds=0.2)
    assert document["exit_code"] == 5 and "garbage: " in document["results"][0]["error"]


def test_a_model_without_a_front_end_is_3(tmp_path, capsys):
    (tmp_path / "m.onnx").write_bytes(onnx_bytes(dummy_graph()))
    recording = write_recording(tmp_path / "street.wav", 700)
    with pseudo_terminal(answering(FakeBoard(dummy_graph()))) as line:
        code = main(["bench", str(tmp_path / "m.onnx"), "--target", f"serial:{line}", "--audio", str(recording)])
    assert code == 3 and "the C has no front end" in capsys.readouterr().err


def test_a_recording_without_a_target_that_hears_is_2(exported, tmp_path, capsys):
    recording = write_recording(tmp_path / "street.wav", 700)
    assert main(["bench", str(exported), "--target", "host", "--audio", str(recording)]) == 2
    assert "needs a qemu: or serial: target" in capsys.readouterr().err
