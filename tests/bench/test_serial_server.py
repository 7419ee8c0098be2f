"""The firmware's own server, built for this machine under the sanitisers: no stream of bytes leads it astray."""

import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeasc.bench.mcu.frames import LARGEST, OVERHEAD, Frame, FrameReader
from edgeasc.bench.mcu.serial_link import ANSWER, DECIDE, FAILED, FEED, HEAR, HELLO, LISTEN, READ, RUN
from edgeasc.export.c.bundle import bundle, write_bundle
from edgeasc.export.c.identity import build_hash
from edgeasc.export.dummy import dummy_graph
from edgeasc.features.integer import IntegerFrontEnd
from edgeasc.features.integer_tables import thresholds
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.reference import run
from edgeasc.specs import LogMel

pytestmark = pytest.mark.needs("gcc")
FIRMWARE = Path(__file__).parents[2] / "edgeasc" / "bench" / "mcu" / "firmware"
SIZE = 192  # bytes of the dummy's input
# What a board and its linker script bring: a line that is standard input and output, no counter, no stack to look at.
HOST = """
#include <stdio.h>
#include <stdlib.h>
#include "board.h"
#include "counter.h"
const char fw_board_name[] = "host";
const unsigned char fw_flash_bytes[1] = {0};
uint32_t fw_stack_bottom[1], fw_stack_top[1];
void fw_board_init(uint32_t baud) { (void)baud; }
uint32_t fw_board_clock(void) { return 1000; }
int fw_board_receive(void) { const int byte = getchar(); if (byte == EOF) { fflush(stdout); exit(0); } return byte; }
void fw_board_send(uint8_t byte) { putchar(byte); }
uint8_t fw_counter_start(void) { return FW_COUNTER_DWT; }
uint32_t fw_counter_now(void) { static uint32_t now; return now += 7; }
uint32_t fw_counter_since(uint32_t before) { return fw_counter_now() - before; }
uint32_t fw_counter_calibrate(void) { return 3; }
"""


SPEC = LogMel(n_mels=16, n_fft=512, win_length=400, hop_length=100)


def listening() -> IntegerGraph:
    """The dummy network with a front end: 12 frames are a scene."""
    return replace(dummy_graph(), metadata={"edgeasc.features": SPEC.model_dump_json()})


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("server")
    text = bundle(listening())
    write_bundle(text, folder)
    (folder / "host.c").write_text(HOST)
    sources = [*text.chip_sources, "host.c", str(FIRMWARE / "serial/server.c"), str(FIRMWARE / "serial/frame.c")]
    flags = [
        "-std=c99",
        "-O1",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-DEA_ROUNDING=2",
        "-DFW_STREAM",
    ]
    command = ["gcc", *flags, "-I.", f"-I{FIRMWARE / 'serial'}", "-include", str(FIRMWARE / "count.h"), *sources]
    subprocess.run([*command, "-o", "server"], cwd=folder, check=True, timeout=200)
    return folder / "server"


def talk(server: Path, data: bytes) -> list[Frame]:
    """The frames that answer `data`; whatever it was, the server ends well when the line does."""
    done = subprocess.run([server], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    reader = FrameReader()
    found = reader.push(done.stdout)
    assert reader.dropped == 0
    return found


def test_a_conversation_gives_the_reference_s_logits(server):
    graph = listening()
    values = np.random.default_rng(1).integers(-128, 128, (1, 1, 16, 12), dtype=np.int8)
    expected = run(graph, values)[graph.output].astype(np.int8).tobytes()
    layers = len(bundle(graph).facts["layers"])
    questions = [
        Frame(HELLO, 0, b"abcd"), Frame(FEED, 1, bytes(4) + values.tobytes()[:100]),
        Frame(FEED, 2, struct.pack("<I", 100) + values.tobytes()[100:]), Frame(RUN, 3), Frame(RUN, 3),
        Frame(READ, 4, struct.pack("<BIH", 0, 0, len(expected))), Frame(READ, 5, struct.pack("<BIH", 1, 0, 8 * layers)),
    ]  # fmt: skip
    answers = talk(server, b"".join(question.encode() for question in questions))
    assert [answer.sequence for answer in answers] == [question.sequence for question in questions]
    assert [answer.type for answer in answers] == [question.type | ANSWER for question in questions]
    assert build_hash(bundle(graph).files).encode() in answers[0].payload and answers[0].payload[:4] == b"abcd"
    assert answers[5].payload == expected and np.frombuffer(answers[6].payload, "<u8").min() > 0


def test_samples_are_heard_once_though_they_are_sent_twice(server):
    """What a lost answer makes the host do."""
    front = bundle(listening()).facts["front_end"]
    samples = np.random.default_rng(2).integers(-20000, 20000, front["scene_samples"] + 100, dtype=np.int16)
    parts = [samples[at : at + 250].tobytes() for at in range(0, samples.size, 250)]
    asked = [Frame(LISTEN, 0), *(Frame(HEAR, 1 + index, part) for index, part in enumerate(parts) for _ in (0, 1))]
    after = [Frame(DECIDE, 100), Frame(DECIDE, 100), Frame(READ, 101, struct.pack("<BIH", 2, 0, 12 * 16))]
    answers = talk(server, b"".join(question.encode() for question in [*asked, *after]))
    pushed = [struct.unpack("<HHII", answer.payload) for answer in answers[1 : len(asked) : 2]]
    assert sum(taken for taken, *_ in pushed) == front["scene_samples"] and pushed[-1][1] == 1
    assert sum(frames for _, _, frames, _ in pushed) == 12
    assert answers[-3].payload == answers[-2].payload
    source = bundle(listening()).facts["input"]
    levels = IntegerFrontEnd(SPEC).levels(samples)[:, :12].T
    grid = thresholds(source["scale"], source["zero_point"])
    expected = (np.searchsorted(grid, levels, side="right") - 128).astype(np.int8)
    assert answers[-1].payload == expected.tobytes()


def test_a_scene_that_is_not_due_is_refused(server):
    questions = [Frame(DECIDE, 1), Frame(HEAR, 2, b"ab"), Frame(LISTEN, 3), Frame(DECIDE, 4), Frame(HEAR, 5, b"abc")]
    answers = talk(server, b"".join(question.encode() for question in questions))
    assert [answer.type == FAILED for answer in answers] == [True, True, False, True, True]


kinds = st.one_of(st.sampled_from([HELLO, FEED, RUN, READ, LISTEN, HEAR, DECIDE]), st.integers(0, 255))
offsets = st.one_of(st.integers(0, SIZE + 4), st.integers(0, 2**32 - 1)).map(lambda value: struct.pack("<I", value))
payloads = st.one_of(
    st.binary(max_size=12),
    st.tuples(offsets, st.binary(max_size=LARGEST - 4)).map(b"".join),
    st.tuples(st.binary(min_size=1, max_size=1), offsets, st.binary(min_size=2, max_size=2)).map(b"".join),
)
frames = st.builds(Frame, kinds, st.integers(0, 255), payloads)


@settings(max_examples=30, deadline=None)
@given(st.lists(frames, max_size=30))
def test_every_whole_frame_gets_one_answer_of_its_number(server, questions):
    answers = talk(server, b"".join(question.encode() for question in questions))
    assert [answer.sequence for answer in answers] == [question.sequence for question in questions]
    assert all(
        answer.type in (question.type | ANSWER, FAILED) for answer, question in zip(answers, questions, strict=True)
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), frames.map(Frame.encode), frames.map(lambda f: f.encode()[:-3]))))
def test_no_stream_of_bytes_leads_it_astray_and_zeros_bring_it_back(server, parts):
    hello = Frame(HELLO, 200, b"abcd")
    answers = talk(server, b"".join(parts) + bytes(LARGEST + OVERHEAD) + hello.encode())
    assert (answers[-1].type, answers[-1].sequence) == (HELLO | ANSWER, 200)


def test_a_frame_with_a_wrong_checksum_gets_no_answer(server):
    data = bytearray(Frame(RUN, 9).encode())
    data[-4:] = struct.pack("<I", zlib.crc32(bytes(data[2:-4])) ^ 1)
    assert talk(server, bytes(data)) == []
