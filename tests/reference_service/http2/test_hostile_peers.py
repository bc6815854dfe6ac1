"""Peers that break HTTP/2's rules, or mean harm: each is answered as RFC 9113 has it, and others go on."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_service.http2 import frames as wire
from reference_service.http2.control import IDLE_FRAMES_MAX
from tests.reference_service.http2.by_hand import (
    CLOSE,
    GRPC,
    MESSAGE,
    OPEN,
    block,
    frames_until_end,
    opened,
    opened_at_length,
    said_to,
    whole,
)
from tests.reference_service.http2.serving import LIMIT_S, LIMITS, Serving, serving, still_answers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving() as running:
        yield running


CONNECTION_ERRORS = {
    "a frame that is too large": (b"\xff\xff\xff\0\0\0\0\0\1", wire.FRAME_SIZE_ERROR),
    "data before headers": (wire.frame(wire.DATA, 0, 1, b"x"), wire.PROTOCOL_ERROR),
    "data on stream 0": (wire.frame(wire.DATA, 0, 0, b"x"), wire.PROTOCOL_ERROR),
    "an even stream": (opened(2), wire.PROTOCOL_ERROR),
    "a stream twice": (whole(1) + opened(1), wire.PROTOCOL_ERROR),
    "streams backwards": (opened(5) + opened(3), wire.PROTOCOL_ERROR),
    "headers in the middle": (opened(1) + opened(1), wire.PROTOCOL_ERROR),
    "a stream that depends on itself": (
        wire.frame(wire.HEADERS, OPEN | wire.PRIORITY_FLAG, 1, b"\0\0\0\1\0" + block()), wire.PROTOCOL_ERROR
    ),
    "padding beyond the payload": (wire.frame(wire.HEADERS, OPEN | wire.PADDED, 1, b"\xff"), wire.PROTOCOL_ERROR),
    "headers that can't be read": (wire.frame(wire.HEADERS, OPEN, 1, b"\xff\xff\xff"), wire.COMPRESSION_ERROR),
    "headers that are not finished": (
        wire.frame(wire.HEADERS, 0, 1, block()) + wire.frame(wire.PING, 0, 0, bytes(8)), wire.PROTOCOL_ERROR
    ),
    "a continuation of nothing": (wire.frame(wire.CONTINUATION, OPEN, 1, b""), wire.PROTOCOL_ERROR),
    "headers without end": (
        wire.frame(wire.HEADERS, 0, 1) + wire.frame(wire.CONTINUATION, 0, 1, bytes(16_000)) * 5, wire.ENHANCE_YOUR_CALM
    ),
    "far more headers than allowed, told by a byte each": (
        wire.frame(wire.HEADERS, OPEN, 1, b"\x40\x01x\x7f\x21" + b"y" * 160 + b"\xbe" * 1000), wire.ENHANCE_YOUR_CALM
    ),
    "a reset of nothing": (wire.frame(wire.RST_STREAM, 0, 9, bytes(4)), wire.PROTOCOL_ERROR),
    "a short ping": (wire.frame(wire.PING, 0, 0, b"x"), wire.FRAME_SIZE_ERROR),
    "settings cut short": (wire.frame(wire.SETTINGS, 0, 0, b"xxxxx"), wire.FRAME_SIZE_ERROR),
    "a window beyond the largest": (wire.frame(wire.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), wire.FLOW_CONTROL_ERROR),
    "a window wider by nothing": (wire.frame(wire.WINDOW_UPDATE, 0, 0, bytes(4)), wire.PROTOCOL_ERROR),
    "a client that pushes": (wire.frame(wire.PUSH_PROMISE, OPEN, 1, bytes(4)), wire.PROTOCOL_ERROR),
    "pings without end": (wire.frame(wire.PING, 0, 0, bytes(8)) * (IDLE_FRAMES_MAX + 9), wire.ENHANCE_YOUR_CALM),
    "settings without end": (wire.frame(wire.SETTINGS, 0, 0) * (IDLE_FRAMES_MAX + 9), wire.ENHANCE_YOUR_CALM),
    "calls with far too many headers without end": (
        b"".join(opened_at_length(1 + 2 * n, *GRPC, *[("x", "y" * 100)] * 300) for n in range(60)),
        wire.ENHANCE_YOUR_CALM,
    ),
    "windows an octet wider without end": (
        wire.frame(wire.WINDOW_UPDATE, 0, 0, wire.U32.pack(1)) * (IDLE_FRAMES_MAX + 9), wire.ENHANCE_YOUR_CALM
    ),
    "windows that come and go without end": (
        b"".join(wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(4, size)) for size in (0, 65_535) * 60),
        wire.ENHANCE_YOUR_CALM,
    ),
    "many settings at once": (wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(4, 1) * 33), wire.ENHANCE_YOUR_CALM),
    "windows that settings widen too far": (
        opened(1) + wire.frame(wire.WINDOW_UPDATE, 0, 1, wire.U32.pack(2**31 - 1 - 65_535))
        + wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(4, 65_536)), wire.FLOW_CONTROL_ERROR
    ),
    "settings of a stream": (wire.frame(wire.SETTINGS, 0, 1), wire.PROTOCOL_ERROR),
    "a ping of a stream": (wire.frame(wire.PING, 0, 1, bytes(8)), wire.PROTOCOL_ERROR),
    "a push that is neither on nor off": (
        wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.ENABLE_PUSH, 2)), wire.PROTOCOL_ERROR
    ),
    "calls opened and given up without end": (
        b"".join(opened(n) + wire.frame(wire.RST_STREAM, 0, n, bytes(4)) for n in range(1, 2 * IDLE_FRAMES_MAX + 9, 2)),
        wire.ENHANCE_YOUR_CALM,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONNECTION_ERRORS)
def test_what_breaks_the_protocol_ends_the_connection_by_name(server: Serving, name: str) -> None:
    sent, code = CONNECTION_ERRORS[name]
    kind, _, _, payload = said_to(server, sent)[-1]
    assert (kind, int.from_bytes(payload[4:8], "big")) == (wire.GOAWAY, code)
    still_answers(server)


def test_what_is_on_its_way_for_calls_refused_is_no_attack(server: Serving) -> None:
    """Of many calls refused by their headers, each message comes after; a shared connection must outlive that."""
    odd = [*GRPC, ("grpc-encoding", "snappy")]
    count = IDLE_FRAMES_MAX + 500
    calls = b"".join(
        opened(n, OPEN, *odd) + wire.frame(wire.DATA, wire.END_STREAM, n, MESSAGE) for n in range(1, 2 * count, 2)
    )
    assert [item[0] for item in said_to(server, calls)].count(wire.HEADERS) == count


def test_calls_beyond_the_limit_are_refused_so_that_they_may_be_sent_again(server: Serving) -> None:
    said = said_to(server, b"".join(opened(1 + 2 * number) for number in range(LIMITS.streams + 2)))
    refused = [stream for kind, _, stream, payload in said if (kind, payload[3:]) == (wire.RST_STREAM, b"\7")]
    assert refused == [1 + 2 * LIMITS.streams, 3 + 2 * LIMITS.streams]


def test_an_answer_waits_for_the_peers_window(server: Serving) -> None:
    small = wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.INITIAL_WINDOW_SIZE, 3))
    with server.raw() as connection:
        connection.sendall(small + whole(1))
        first = frames_until_end(connection)
        connection.sendall(wire.frame(wire.WINDOW_UPDATE, 0, 1, wire.U32.pack(100)))
        second = frames_until_end(connection)
    assert [payload for kind, _, _, payload in first if kind == wire.DATA] == [MESSAGE[:3]]
    assert [payload for kind, _, _, payload in second if kind == wire.DATA] == [MESSAGE[3:]]
    assert second[-1][1] & wire.END_STREAM


def test_a_peer_that_does_not_read_is_not_read_either(server: Serving) -> None:
    large = wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.INITIAL_WINDOW_SIZE, wire.MAX_WINDOW))
    room = wire.frame(wire.WINDOW_UPDATE, 0, 0, wire.U32.pack(wire.MAX_WINDOW - wire.DEFAULT_WINDOW))
    body = bytes(1) + wire.U32.pack(150_000) + bytes(150_000)
    parts = [body[at : at + wire.FRAME_MAX] for at in range(0, len(body), wire.FRAME_MAX)]
    with server.raw() as connection:
        connection.sendall(large + room)
        connection.settimeout(1)
        sent_bytes = 0
        with contextlib.suppress(TimeoutError):
            for number in range(1, 1200, 2):  # 90 MB; the kernel's buffers hold some tens
                data = b"".join(wire.frame(wire.DATA, 0, number, part) for part in parts)
                connection.sendall(opened(number) + data + wire.frame(wire.DATA, wire.END_STREAM, number))
                sent_bytes += len(data)
        assert sent_bytes < 64 << 20, "all of it was taken in"
        still_answers(server)


FRAMES = st.lists(
    st.one_of(
        st.builds(
            wire.frame, st.integers(0, 10), st.integers(0, 255), st.sampled_from([0, 1, 2, 3, 5, 99]),
            st.one_of(st.binary(max_size=40), st.just(block()), st.just(MESSAGE)),
        ),
        st.sampled_from([opened(1), whole(1), whole(3), opened(5, CLOSE)]),
        st.binary(max_size=30),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(frames=FRAMES, cut=st.integers(0, 400))
def test_no_bytes_reach_an_error_that_nobody_foresaw(server: Serving, frames: list[bytes], cut: int) -> None:
    errors: list[object] = []
    server.loop.set_exception_handler(lambda _, context: errors.append(context))
    sent = b"".join(frames)
    with server.raw() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent[:cut])
            connection.sendall(sent[cut:])
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(LIMIT_S)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65_536):
                pass
    assert not errors
