"""Frames come through whole, whatever lies between them, and nothing else comes through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeasc.bench.mcu.frames import LARGEST, OVERHEAD, Frame, FrameReader

frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=LARGEST))
# What cannot be the beginning of a frame: it would take the next one for its payload until that was asked for again.
noise = st.binary(max_size=20).map(lambda data: data.replace(b"E", b"e"))


@given(st.lists(st.tuples(noise, frames), max_size=5), st.integers(1, 50))
def test_frames_are_found_between_noise_however_they_are_cut(parts, step):
    data = b"".join(before + frame.encode() for before, frame in parts)
    reader = FrameReader()
    found = [frame for at in range(0, len(data), step) for frame in reader.push(data[at : at + step])]
    assert found == [frame for _, frame in parts]
    assert reader.broken == 0 and reader.dropped == sum(len(before) for before, _ in parts)


@given(frames, st.integers(0, 8 * (LARGEST + OVERHEAD) - 1))
def test_a_bit_that_flips_loses_the_frame_and_never_changes_it(frame, bit):
    data = bytearray(frame.encode())
    bit %= 8 * len(data)
    data[bit // 8] ^= 1 << bit % 8
    assert FrameReader().push(bytes(data)) == []


@given(st.binary(max_size=2000))
def test_garbage_is_no_frame_and_does_not_pile_up(data):
    reader = FrameReader()
    assert reader.push(data) == [] or b"EA" in data
    assert reader.dropped >= len(data) - (LARGEST + OVERHEAD)


@given(frames, frames)
def test_a_frame_behind_one_that_was_cut_is_found(cut, whole):
    reader = FrameReader()
    found = reader.push(cut.encode()[:-5] + whole.encode() + bytes(LARGEST + OVERHEAD))
    assert found == [whole] and reader.broken > 0


def test_a_payload_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="513 bytes"):
        Frame(1, 0, bytes(LARGEST + 1)).encode()
