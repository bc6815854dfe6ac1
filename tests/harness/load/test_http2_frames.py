"""Frames are written as the RFC draws them, and padding and priorities are taken off or refused."""

from __future__ import annotations

import pytest

from harness.load import http2_frames as wire
from harness.load.http2_frames import Http2Error, frame, header_block, unpadded
from tests.harness.load import odd_peer


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_535, 65_536, 70_000])
def test_a_frame_has_its_length_type_flags_and_stream(size: int) -> None:
    written = frame(wire.DATA, wire.END_STREAM, 2**31 - 1, bytes(size))
    assert written == size.to_bytes(3, "big") + b"\x00\x01\x7f\xff\xff\xff" + bytes(size)
    assert frame(wire.DATA, 1, 3, memoryview(b"abc")) == frame(wire.DATA, 1, 3, b"abc")


def test_the_opening_is_what_a_client_must_say_first() -> None:
    assert (
        odd_peer.PREFACE
        + odd_peer.settings((1, 0), (2, 0), (4, 2**31 - 1), (6, 65_536))
        + odd_peer.frame(odd_peer.WINDOW_UPDATE, 0, 0, odd_peer.u32(2**31 - 1 - 65_535))
    ) == wire.OPENING


def test_padding_and_priority_are_taken_off() -> None:
    assert header_block(0, b"block") == header_block(wire.PADDED, b"\x02block\x00\x00") == b"block"
    assert header_block(wire.PRIORITY_FLAG, b"prio!block") == b"block"
    assert header_block(wire.PADDED | wire.PRIORITY_FLAG, b"\x01prio!block\x00") == b"block"
    assert unpadded(wire.PADDED, b"\x03\x00\x00\x00") == unpadded(wire.PADDED, b"\x00") == b""


@pytest.mark.parametrize("payload", [b"\x01", b"\x06block", b"\xff" * 10])
def test_more_padding_than_payload_is_an_error(payload: bytes) -> None:
    for strip in (unpadded, header_block):
        with pytest.raises(Http2Error):
            strip(wire.PADDED, payload)


def test_a_priority_cut_short_is_an_error() -> None:
    with pytest.raises(Http2Error):
        header_block(wire.PRIORITY_FLAG, b"prio")
    with pytest.raises(Http2Error):
        header_block(wire.PADDED | wire.PRIORITY_FLAG, b"\x03prio!x\x00")
    with pytest.raises(IndexError):
        unpadded(wire.PADDED, b"")
