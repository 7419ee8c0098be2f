"""A board on a pseudo terminal, in Python: answers as the firmware does, and misbehaves where a test says so."""

import os
import struct
import threading
import tty
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np

from edgeasc.bench.mcu.frames import Frame, FrameReader
from edgeasc.bench.mcu.serial_link import ANSWER, FAILED, FEED, HELLO, OUTPUT, READ, RUN
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.identity import build_hash
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.reference import run


@dataclass
class FakeBoard:
    """What a board answers for `graph`. `line` may change the bytes of an answer, whose question it is given."""

    graph: IntegerGraph
    counter: int = 1  # DWT
    ticks_per_layer: int = 1000
    clock_hz: int = 80_000_000
    protocol: int = 1
    build: str = ""
    sizes: tuple[int, ...] = ()
    line: Callable[[Frame, bytes], bytes] = lambda question, answer: answer
    runs: int = 0
    asked: list[Frame] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = bundle(self.graph)
        self.layers = len(made.facts["layers"])
        self.build = self.build or build_hash(made.files)
        self.input = bytearray(self.graph[self.graph.input].size)
        self.output = bytes(self.graph[self.graph.output].size)
        self.sizes = self.sizes or (len(self.input), len(self.output), made.facts["arena_bytes"])
        self._last = -1

    def answer(self, question: Frame) -> bytes:
        self.asked.append(question)
        make = {HELLO: self._hello, FEED: self._feed, RUN: self._run, READ: self._read}.get(question.type)
        if make is None:
            return self.line(question, Frame(FAILED, question.sequence, b"\1").encode())
        payload = make(question)
        return self.line(question, Frame(question.type | ANSWER, question.sequence, payload).encode())

    def _hello(self, question: Frame) -> bytes:
        numbers = (self.protocol, self.counter, self.layers, *self.sizes, 40_000, self.clock_hz, 2_000_000, 6_000_000)
        texts = "".join(f"{text}\0" for text in (self.build, "fake", "gcc 12")).encode()
        return question.payload + struct.pack("<BBHIIIIIII", *numbers) + texts

    def _feed(self, question: Frame) -> bytes:
        (offset,) = struct.unpack_from("<I", question.payload)
        self.input[offset : offset + len(question.payload) - 4] = question.payload[4:]
        return b""

    def _run(self, question: Frame) -> bytes:
        if question.sequence != self._last:
            self._last, self.runs = question.sequence, self.runs + 1
            shape = self.graph[self.graph.input].shape
            values = np.frombuffer(bytes(self.input), np.int8).reshape(1, *shape[1:])
            self.output = run(self.graph, values)[self.graph.output].astype(np.int8).tobytes()
            self.input[:] = bytes(len(self.input))  # running overwrites it
        return struct.pack("<I", 1234)

    def _read(self, question: Frame) -> bytes:
        area, offset, count = struct.unpack("<BIH", question.payload)
        ticks = np.full(self.layers, self.ticks_per_layer, "<u8").tobytes()
        return (self.output if area == OUTPUT else ticks)[offset : offset + count]


def broken(answer: bytes) -> bytes:
    """`answer` with a checksum that is wrong."""
    return answer[:-4] + struct.pack("<I", zlib.crc32(answer) ^ 1)


@contextmanager
def pseudo_terminal(serve: Callable[[int], None]) -> Iterator[str]:
    """The name of a terminal whose far end `serve` holds, as a file descriptor, in a thread of its own."""
    far, near = os.openpty()
    tty.setraw(near)
    name = os.ttyname(near)
    thread = threading.Thread(target=lambda: _quietly(serve, far), daemon=True)
    thread.start()
    try:
        yield name
    finally:
        for descriptor in (far, near):
            with suppress(OSError):
                os.close(descriptor)
        thread.join(5)


def _quietly(serve: Callable[[int], None], far: int) -> None:
    with suppress(OSError):  # the near end went away
        serve(far)


def answering(board: FakeBoard) -> Callable[[int], None]:
    """A far end that answers every frame as `board` does."""

    def serve(far: int) -> None:
        reader = FrameReader()
        while data := os.read(far, 4096):
            for question in reader.push(data):
                answer = board.answer(question)
                while answer:
                    answer = answer[os.write(far, answer) :]

    return serve
