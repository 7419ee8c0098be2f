"""Boards that answer, and boards that misbehave: each in bounded time, in one line, with its exit code."""

import contextlib
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from fake_board import FakeBoard, answering, broken, pseudo_terminal
from hypothesis import given
from hypothesis import strategies as st

from edgeasc.bench.mcu.frames import LARGEST, Frame, FrameReader
from edgeasc.bench.mcu.serial_bench import bench_boards
from edgeasc.bench.mcu.serial_link import ANSWER, FAILED, FEED, HELLO, READ, RUN, SerialLink
from edgeasc.cli import main
from edgeasc.errors import EdgeascError, MissingDependency
from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.export.dummy import dummy_graph
from edgeasc.graph.onnx_write import onnx_bytes

pytestmark = pytest.mark.needs("serial")


@pytest.fixture
def model(tmp_path) -> Path:
    (tmp_path / "model.onnx").write_bytes(onnx_bytes(dummy_graph()))
    return tmp_path / "model.onnx"


def ask(model, serve, **options):
    """The row of a board behind a terminal, and the document's exit code."""
    with pseudo_terminal(serve) as name:
        options = {"clips": 2, "timeout": 0.5, "answer_seconds": 0.2} | options
        document = bench_boards([model], [name], **options)
    (row,) = document["results"]
    return row, document["exit_code"]


def test_a_board_with_a_cycle_counter_is_measured_in_cycles_and_time(model):
    board = FakeBoard(dummy_graph(), ticks_per_layer=800)
    row, code = ask(model, answering(board))
    assert code == 0 and row["origin"] == "measured" and row["equal"] == row["runs"] == board.runs == 2
    assert row["cycles"] == 800 * board.layers and row["median_us"] == pytest.approx(row["cycles"] / 80, abs=0.1)
    assert (row["board"], row["counter"], row["stack_bytes"]) == ("fake", "DWT cycle counter", 1234)


def test_ticks_slower_than_instructions_are_an_emulator_s(model):
    board = FakeBoard(dummy_graph(), counter=2)
    board._hello = lambda question, real=board._hello: real(question).replace(
        struct.pack("<I", 6_000_000), struct.pack("<I", 50_000)
    )
    row, code = ask(model, answering(board))
    assert code == 0 and row["origin"] == "emulated" and "cycles" not in row and "median_us" not in row
    assert row["instructions"] == 1000 * board.layers * 40


def test_systick_of_a_core_without_cycle_counter_counts_cycles(model):
    row, _ = ask(model, answering(FakeBoard(dummy_graph(), counter=2)))
    assert row["origin"] == "measured" and row["counter"] == "SysTick" and "cycles" in row


def test_wrong_logits_fail_the_check(model):
    def line(question, answer):
        if question.type == READ and question.payload[0] == 0:
            return Frame(answer[2], answer[3], bytes([answer[6] ^ 1]) + answer[7:-4]).encode()
        return answer

    row, code = ask(model, answering(FakeBoard(dummy_graph(), line=line)))
    assert code == 1 and row["equal"] == 0


class TestRecovery:
    """What a line does now and then costs a repeated question, and no run is made twice."""

    def measured(self, model, line):
        board = FakeBoard(dummy_graph(), line=line)
        row, code = ask(model, answering(board))
        assert code == 0 and row["equal"] == 2 and board.runs == 2
        return board

    @pytest.mark.parametrize("kind", [HELLO, FEED, RUN, READ])
    def test_an_answer_that_broke_is_asked_for_again(self, model, kind):
        spoilt = []

        def line(question, answer):
            if question.type == kind and not spoilt:
                spoilt.append(question)
                return broken(answer)
            return answer

        board = self.measured(model, line)
        assert board.asked.count(spoilt[0]) == 2

    @pytest.mark.parametrize("kind", [FEED, RUN])
    def test_an_answer_that_was_lost_is_asked_for_again(self, model, kind):
        lost = []

        def line(question, answer):
            if question.type == kind and not lost:
                lost.append(question)
                return b""
            return answer

        self.measured(model, line)

    def test_noise_before_answers_is_passed_over(self, model):
        self.measured(model, lambda question, answer: b"boot: v1\r\nE" + answer)

    def test_an_answer_to_an_earlier_question_is_passed_over(self, model):
        self.measured(model, lambda question, answer: Frame(answer[2], (answer[3] - 1) % 256).encode() + answer)


def silence(far: int) -> None:
    while os.read(far, 4096):
        pass


def garbage(far: int) -> None:
    os.read(far, 1)
    os.write(far, np.random.default_rng(3).integers(0, 256, 3000, np.uint8).tobytes())
    silence(far)


def endless_garbage(far: int) -> None:
    data = np.random.default_rng(3).integers(0, 256, 999, np.uint8).tobytes()
    while True:
        os.write(far, data)


def disconnect(far: int) -> None:
    os.read(far, 1)
    os.close(far)


def board_with(**said):
    return lambda: answering(FakeBoard(dummy_graph(), **said))


def refusing(reason: bytes, kind: int):
    def line(question, answer):
        return Frame(FAILED, question.sequence, reason).encode() if question.type == kind else answer

    return board_with(line=line)


def cut_off_in(kind: int):
    def line(question, answer):
        if question.type == kind:
            raise OSError("gone")
        return answer

    def serve(far: int) -> None:
        try:
            answering(FakeBoard(dummy_graph(), line=line))(far)
        finally:
            os.close(far)

    return lambda: serve


PEERS = {
    "silence": (lambda: silence, "no answer within 0.6 s"),
    "garbage": (lambda: garbage, "garbage: "),
    "endless garbage": (lambda: endless_garbage, "garbage: "),
    "a disconnect": (lambda: disconnect, "disconnected"),
    "a disconnect while running": (cut_off_in(RUN), "disconnected"),
    "wrong checksums": (board_with(line=lambda q, a: broken(a)), "garbage: 3 frames with a wrong checksum in 3 tries"),
    "wrong checksums while running": (
        board_with(line=lambda q, a: broken(a) if q.type == RUN else a), "3 frames with a wrong checksum"),
    "silence while running": (board_with(line=lambda q, a: b"" if q.type == RUN else a), "no answer within 0.9 s"),
    "a fault": (refusing(b"\3", RUN), "its firmware faulted"),
    "a refusal": (refusing(b"\2", FEED), "the board refuses: out of range"),
    "an unheard-of refusal": (refusing(b"\x77", FEED), "for no reason that is known"),
    "logits of another length": (
        board_with(line=lambda q, a: Frame(a[2], a[3], b"ab").encode() if q.type == READ else a), "answer of 2 bytes"),
    "half a hello": (
        board_with(line=lambda q, a: Frame(a[2], a[3], a[6:20]).encode() if q.type == HELLO else a), "malformed"),
    "an empty hello": (board_with(line=lambda q, a: Frame(a[2], a[3]).encode()), "answers another question"),
    "a hello without names": (
        board_with(line=lambda q, a: Frame(a[2], a[3], a[6:42]).encode() if q.type == HELLO else a), "malformed"),
    "sizes of another network": (board_with(sizes=(1 << 31, 10, 99)), "garbage: sizes"),
    "sizes of nothing": (board_with(sizes=(0, 0, 0)), "makes no sense"),
    "a counter that nobody knows": (board_with(counter=9), "makes no sense"),
}  # fmt: skip


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_misbehaves_is_5_in_one_line_and_bounded(model, name):
    make, why = PEERS[name]
    begun = time.monotonic()
    row, code = ask(model, make())
    assert code == row["exit_code"] == 5 and why in row["error"] and "\n" not in row["error"]
    assert time.monotonic() - begun < 10


def test_another_build_is_3_and_says_both(model):
    row, code = ask(model, answering(FakeBoard(dummy_graph(), build="0" * 32)))
    assert code == 3 and f"the board runs build {'0' * 32}, this model's C is " in row["error"]


def test_a_build_from_strangers_is_shown_as_plain_text(model):
    row, code = ask(model, answering(FakeBoard(dummy_graph(), build="\x1b[2J\nx" * 30)))
    assert code == 3 and row["error"].isprintable()


def test_firmware_of_another_protocol_is_3(model):
    row, code = ask(model, answering(FakeBoard(dummy_graph(), protocol=7)))
    assert code == 3 and "speaks protocol 7, this edgeasc 1" in row["error"]


class Answering:
    """A line without a terminal: answers every question at once with bytes of the test's own."""

    def __init__(self, answers) -> None:
        self._answers, self._reader, self._waiting = list(answers), FrameReader(), b""

    def write(self, data: bytes) -> None:
        for question in self._reader.push(data):
            payload = self._answers.pop(0) if self._answers else b""
            nonce = question.payload if question.type == HELLO else b""
            self._waiting += Frame(question.type | ANSWER, question.sequence, (nonce + payload)[:LARGEST]).encode()

    def read(self, size: int = 1) -> bytes:
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data

    def close(self) -> None:
        pass


believable = st.builds(
    lambda numbers, texts: struct.pack("<BBHIIIIIII", 1, *numbers) + b"\0".join(texts) + b"\0",
    st.tuples(st.integers(0, 3), st.integers(0, 65535), *(st.integers(0, 2**32 - 1),) * 7),
    st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\0", b"")), min_size=2, max_size=4),
)


@given(st.lists(st.one_of(st.binary(max_size=LARGEST), believable), min_size=1, max_size=12))
def test_whatever_a_board_says_is_believed_or_refused_by_name(answers):
    link = SerialLink(Answering(answers), "there", answer_seconds=0.05, run_seconds=0.05)
    for question in (
        link.hello,
        link.run,
        lambda: link.read(0, 700),
        link.decide,
        lambda: link.hear(np.zeros(9, "i2")),
    ):
        with contextlib.suppress(EdgeascError):
            question()


class Stuck:
    """A line whose far end has stopped the flow."""

    def write(self, data: bytes) -> None:
        import serial

        raise serial.SerialTimeoutException("Write timeout")

    def close(self) -> None:
        self.closed = True


def test_a_line_that_takes_no_bytes_is_5_and_closed(model):
    port = Stuck()
    document = bench_boards([model], ["/dev/stuck"], connect=lambda name, baud: port)
    assert document["exit_code"] == 5 and "Write timeout" in document["results"][0]["error"] and port.closed


def test_an_absent_line_is_3_and_one_line_with_those_that_are_there(model, capsys, monkeypatch):
    from serial.tools import list_ports, list_ports_common

    found = [list_ports_common.ListPortInfo(name) for name in ("/dev/ttyUSB1", "/dev/ttyACM0")]
    monkeypatch.setattr(list_ports, "comports", lambda: found)
    assert main(["bench", str(model), "--target", "serial:/dev/edgeasc-none"]) == 3
    said = capsys.readouterr()
    here = "here are /dev/ttyACM0, /dev/ttyUSB1"
    assert said.err == f"edgeasc: error: serial: /dev/edgeasc-none: no such serial line; {here}\n" and said.out == ""


@pytest.mark.parametrize("name", ["model.onnx", "."])
def test_what_is_no_serial_line_is_3(model, name, monkeypatch):
    monkeypatch.chdir(model.parent)
    document = bench_boards([model], [name])
    assert document["exit_code"] == 3 and "cannot be opened" in document["results"][0]["error"]


def test_urls_that_do_more_than_connect_are_refused(model):
    document = bench_boards([model], ["spy:///dev/null?file=/tmp/x"])
    assert document["exit_code"] == 2 and "known URLs are socket://, rfc2217://" in document["results"][0]["error"]


def test_a_serial_target_without_a_port_is_named(model, capsys):
    assert main(["bench", str(model), "--target", "serial:"]) == 2
    assert "serial:PORT" in capsys.readouterr().err


def test_without_pyserial_the_install_command_is_named(model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "serial", None)
    document = bench_boards([model], ["/dev/ttyACM0"])
    assert document["exit_code"] == MissingDependency.exit_code
    assert "pip install 'edgeasc[mcu]'" in document["results"][0]["error"]


def test_the_command_shows_cycles_and_time(tmp_path, capsys):
    write_bundle(bundle(dummy_graph()), tmp_path / "c")
    with pseudo_terminal(answering(FakeBoard(dummy_graph()))) as name:
        assert main(["bench", str(tmp_path / "c"), "--target", f"serial:{name}", "--all-layers"]) == 0
    shown = capsys.readouterr().out
    assert "measured" in shown and "cycles" in shown and "Counted by DWT cycle counter at 80 MHz" in shown
