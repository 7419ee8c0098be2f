"""Questions to a board and its answers: bounded in time, repeated where a frame broke, and each way to fail by name.

A port is anything with `read`, `write` and `close`, whose `read` waits a moment and may give nothing.
"""

from __future__ import annotations

import errno
import secrets
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.mcu.frames import FRAME_BYTES, LARGEST, Frame, FrameReader
from edgeasc.errors import BadInput, ResourceExhausted, UsageError
from edgeasc.extras import missing

HELLO, FEED, RUN, READ, LISTEN, HEAR, DECIDE, ANSWER, FAILED = 1, 2, 3, 4, 5, 6, 7, 0x80, 0xFF
PROTOCOL = 1
OUTPUT, TICKS, HISTORY = 0, 1, 2  # areas that can be read
SAMPLES = LARGEST // 2  # that are sent at once
TRIES = 3
ANSWER_SECONDS, RUN_SECONDS, POLL_SECONDS = 2.0, 60.0, 0.05
URLS = ("socket", "rfc2217")
FAULTED = b"\3"
_REASONS = {b"\1": "it does not know the question", b"\2": "out of range", FAULTED: "its firmware faulted; reset it"}
_HELLO = struct.Struct("<IBBHIIIIIII")
_PUSHED = struct.Struct("<HHII")
COUNTERS = {1: "DWT cycle counter", 2: "SysTick"}


class Port(Protocol):
    """The far end, as pyserial gives it."""

    def read(self, size: int = 1, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Board:
    """What a board says of itself. Sizes in bytes, clock in Hz (0: not known)."""

    counter: str
    layers: int
    input_bytes: int
    output_bytes: int
    arena_bytes: int
    flash_bytes: int
    clock_hz: int
    known_instructions: int
    known_ticks: int
    build: str
    name: str
    compiler: str

    @property
    def emulated(self) -> bool:
        """Whether the counter is slower than one tick per instruction, which no core is: an emulator's clock."""
        return self.counter == COUNTERS[2] and self.known_ticks < self.known_instructions


@dataclass(frozen=True)
class Pushed:
    """What became of samples: how many were taken, whether a scene is due, frames completed, ticks of the counter."""

    taken: int
    due: int
    frames: int
    ticks: int


class SerialLink:
    """A conversation with the firmware on `port`; `name` is what errors call it. Times in seconds."""

    def __init__(
        self, port: Port, name: str, *, answer_seconds: float = ANSWER_SECONDS, run_seconds: float = RUN_SECONDS
    ) -> None:
        self._port, self._name = port, name
        self._answer_seconds, self._run_seconds = answer_seconds, run_seconds
        self._reader = FrameReader()
        self._sequence = 0

    def hello(self) -> Board:
        """Who is there.

        Raises:
            ResourceExhausted: nobody, or somebody who talks nonsense. BadInput: firmware of another version.
        """
        nonce = secrets.token_bytes(4)
        self._send(bytes(FRAME_BYTES))  # whatever half a frame the board still waits for, is over now
        answer = self._ask(HELLO, nonce, self._answer_seconds)
        if len(answer) < 5 or answer[:4] != nonce:
            raise self.nonsense("its hello answers another question")
        if answer[4] != PROTOCOL:
            why = f"its firmware speaks protocol {answer[4]}, this edgeasc {PROTOCOL}; build and flash it again"
            raise BadInput("serial", why, self._name)
        texts = answer[_HELLO.size :].split(b"\0")
        if len(answer) < _HELLO.size or len(texts) != 4 or texts[-1]:
            raise self.nonsense("its hello is malformed")
        numbers = _HELLO.unpack_from(answer)
        counter, layers, inputs, outputs, arena, flash, clock, known, ticks = numbers[2:]
        build, name, compiler = (printable(text.decode(errors="replace")) for text in texts[:3])
        if counter not in COUNTERS or 0 in (layers, inputs, outputs, arena, known, ticks):
            raise self.nonsense("its hello makes no sense")
        return Board(
            COUNTERS[counter], layers, inputs, outputs, arena, flash, clock, known, ticks, build, name, compiler
        )

    def feed(self, data: bytes) -> None:
        """Write the input of the next run.

        Raises:
            ResourceExhausted: the board fails.
        """
        for offset in range(0, len(data), LARGEST - 4):
            self._ask(FEED, struct.pack("<I", offset) + data[offset : offset + LARGEST - 4], self._answer_seconds, 0)

    def run(self) -> int:
        """Run the network once; the most stack used since reset, in bytes.

        Raises:
            ResourceExhausted: the board fails.
        """
        return int.from_bytes(self._ask(RUN, b"", self._run_seconds, 4), "little")

    def read(self, area: int, count: int) -> bytes:
        """`count` bytes of `OUTPUT` or `TICKS`.

        Raises:
            ResourceExhausted: the board fails.
        """
        parts = []
        for offset in range(0, count, LARGEST):
            size = min(LARGEST, count - offset)
            parts.append(self._ask(READ, struct.pack("<BIH", area, offset, size), self._answer_seconds, size))
        return b"".join(parts)

    def listen(self) -> None:
        """Begin to hear from silence.

        Raises:
            ResourceExhausted: the board fails, or its firmware was built without a front end.
        """
        self._ask(LISTEN, b"", self._answer_seconds, 0)

    def hear(self, samples: NDArray[np.int16]) -> Pushed:
        """Send samples, `SAMPLES` at most; the board takes those up to the next scene.

        Raises:
            ResourceExhausted: the board fails.
        """
        answer = self._ask(HEAR, samples.astype("<i2").tobytes(), self._answer_seconds, _PUSHED.size)
        found = Pushed(*_PUSHED.unpack(answer))
        if found.taken > samples.size or found.due > 1 or (not found.due and found.taken < samples.size):
            raise self.nonsense(f"it took {found.taken} samples of {samples.size}")
        return found

    def decide(self) -> tuple[int, int]:
        """Run the network on what was heard; the most stack used since reset in bytes, and the scene's number.

        Raises:
            ResourceExhausted: the board fails, or has not heard enough.
        """
        stack, scene = struct.unpack("<II", self._ask(DECIDE, b"", self._run_seconds, 8))
        return stack, scene

    def _ask(self, kind: int, payload: bytes, seconds: float, size: int | None = None) -> bytes:
        """The payload that answers, of `size` bytes; asked again where the answer broke or did not come."""
        self._sequence = (self._sequence + 1) % 256
        question = Frame(kind, self._sequence, payload).encode()
        heard, broken = 0, self._reader.broken
        # What is told again is not done again, so the long wait is needed once.
        waits = (seconds, *(TRIES - 1) * (self._answer_seconds,))
        for wait in waits:
            self._send(question)
            answer, more = self._listen(kind, wait)
            heard += more
            if answer is not None:
                if size is not None and len(answer) != size:
                    raise self.nonsense(f"an answer of {len(answer)} bytes, {size} expected")
                return answer
        if broken := self._reader.broken - broken:
            raise self.nonsense(f"{broken} frames with a wrong checksum in {TRIES} tries")
        if heard:
            raise self.nonsense(f"{heard} bytes, none of them an answer")
        raise ResourceExhausted("serial", f"no answer within {sum(waits):g} s", self._name)

    def _listen(self, kind: int, seconds: float) -> tuple[bytes | None, int]:
        """The answer to the last question, if it comes in time; bytes heard.

        A pause after a broken frame ends the wait: that was the answer, and asking again is quicker.
        """
        deadline, heard, broken = time.monotonic() + seconds, 0, self._reader.broken
        while time.monotonic() < deadline:
            with self._disconnects():
                data = self._port.read(FRAME_BYTES)
            if not data and self._reader.broken > broken:
                break
            heard += len(data)
            for frame in self._reader.push(data):
                self._check_refusal(frame)
                if frame.sequence == self._sequence and frame.type == kind | ANSWER:
                    return frame.payload, heard
        return None, heard

    def _check_refusal(self, frame: Frame) -> None:
        if frame.type == FAILED and (frame.sequence == self._sequence or frame.payload == FAULTED):
            why = _REASONS.get(frame.payload, "for no reason that is known")
            raise ResourceExhausted("serial", f"the board refuses: {why}", self._name)

    def _send(self, data: bytes) -> None:
        with self._disconnects():
            self._port.write(data)

    @contextmanager
    def _disconnects(self) -> Iterator[None]:
        """Errors of the port as ours; pyserial's are all OSError."""
        try:
            yield
        except OSError as error:
            raise ResourceExhausted("serial", f"disconnected ({printable(str(error))})", self._name) from None

    def nonsense(self, why: str) -> ResourceExhausted:
        """The error for an answer that cannot be."""
        return ResourceExhausted("serial", f"garbage: {why}", self._name)


def printable(text: str) -> str:
    """`text` in one line of plain characters, cut where it is long."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text[:120])


def open_port(name: str, baud: int) -> Port:
    """The serial line `name`, a device or `socket://HOST:PORT` or `rfc2217://HOST:PORT`.

    Raises:
        MissingDependency: pyserial is not installed. BadInput: no such line, or none that can be opened.
    """
    try:
        import serial
    except ImportError as error:
        raise missing("serial") or error from None
    scheme, colon, _ = name.partition("://")
    if colon and scheme not in URLS:
        raise UsageError("--target", f"serial:{name}: known URLs are {', '.join(f'{url}://' for url in URLS)}")
    try:
        port: Port = serial.serial_for_url(
            name, baudrate=baud, timeout=POLL_SECONDS, write_timeout=ANSWER_SECONDS, exclusive=None if colon else True
        )
    except (OSError, ValueError) as error:
        raise BadInput("serial", _opening(error), name) from None
    return port


def _opening(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        from serial.tools.list_ports import comports

        here = ", ".join(sorted(port.device for port in comports()))
        return f"no such serial line; here {f'are {here}' if here else 'is none'}"
    if number == errno.EACCES:
        return "not permitted; add yourself to the group that owns it (often dialout)"
    return f"cannot be opened ({printable(str(error))})"
