"""Messages survive the pipe, and nothing else passes for one."""

import io

import pytest

from edgeasc.runtime.frames import MAGIC, PREFIX, BrokenFrame, read_frame, write_frame


def framed(header: dict[str, object], payload: bytes = b"") -> bytes:
    stream = io.BytesIO()
    write_frame(stream, header, payload)
    return stream.getvalue()


def test_a_message_comes_back_as_it_was_sent() -> None:
    payload = bytes(range(256)) * 3
    assert read_frame(io.BytesIO(framed({"op": "predict", "shape": [2, 3]}, payload))) == (
        {"op": "predict", "shape": [2, 3]},
        payload,
    )


def test_two_messages_do_not_run_into_each_other() -> None:
    stream = io.BytesIO(framed({"n": 1}, b"abc") + framed({"n": 2}))
    assert [read_frame(stream), read_frame(stream), read_frame(stream)] == [({"n": 1}, b"abc"), ({"n": 2}, b""), None]


@pytest.mark.parametrize("cut", [1, PREFIX.size - 1, PREFIX.size, PREFIX.size + 3, -1])
def test_a_cut_message_is_broken(cut: int) -> None:
    with pytest.raises(BrokenFrame):
        read_frame(io.BytesIO(framed({"op": "x"}, b"12345")[:cut]))


@pytest.mark.parametrize(
    "noise",
    [
        b"Hello from the runtime, this is a log line\n",
        PREFIX.pack(MAGIC, 2**32 - 1, 0),
        PREFIX.pack(MAGIC, 2, 2**63) + b"{}",
        PREFIX.pack(MAGIC, 4, 0) + b"\xff\xfe{}",
        PREFIX.pack(MAGIC, 2, 0) + b"[]",
        PREFIX.pack(MAGIC, 20_000, 0) + b"[" * 20_000,
    ],
)
def test_noise_is_broken(noise: bytes) -> None:
    with pytest.raises(BrokenFrame):
        read_frame(io.BytesIO(noise))
