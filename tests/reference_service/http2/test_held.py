"""What peers can make a server hold, and for how long its handlers wait for those that don't read."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from reference_service.http2 import frames as wire
from reference_service.http2.answering import UNREAD_BYTES_MAX
from reference_service.http2.lasting import WRITE_BUFFER_BYTES
from reference_service.http2.stream import Stream
from tests.reference_service.http2.by_hand import MESSAGE, OPEN, frames_until_end, of, opened, said_to, status_of, whole
from tests.reference_service.http2.serving import FEW, LIMIT_S, Serving, serving, still_answers
from tests.reference_service.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[Serving]:
    with serving(limits=FEW) as running:
        yield running


def part(stream: int, size: int) -> bytes:
    """The beginning of a message that never ends."""
    body = b"\0" + wire.U32.pack(FEW.message_bytes) + bytes(size - 5)
    pieces = [body[at : at + wire.FRAME_MAX] for at in range(0, size, wire.FRAME_MAX)]
    return opened(stream) + b"".join(wire.frame(wire.DATA, 0, stream, piece) for piece in pieces)


def test_of_one_connection_no_more_than_its_share_is_held(server: Serving) -> None:
    said = said_to(server, b"".join(part(1 + 2 * number, 150_000) for number in range(10)))
    refused = {stream for kind, flags, stream, _ in said if kind == wire.HEADERS and flags & wire.END_STREAM}
    assert {status_of(said, stream) for stream in refused} == {"8"}
    assert len(refused) == 10 - FEW.connection_bytes // 150_000
    wait_for(lambda: not server.server.counts.held_bytes)


def test_of_all_connections_who_holds_most_makes_room_and_small_calls_get_through(server: Serving) -> None:
    most = 0
    with contextlib.ExitStack() as held:
        for _ in range(FEW.connections - 1):
            connection = held.enter_context(server.raw())
            connection.sendall(b"".join(part(1 + 2 * number, 150_000) for number in range(3)))
            frames_until_end(connection)
            most = max(most, server.server.counts.held_bytes)
        assert FEW.held_bytes / 2 < most <= FEW.held_bytes + wire.FRAME_MAX
        assert server.server.counts.refused["held"]
        still_answers(server)
        said = said_to(server, part(1, 20_000) + whole(3))
        assert (wire.DATA, 0, 3, MESSAGE) in said
        assert not [item for item in said if item[2] == 1]  # it holds least: others made room
    wait_for(lambda: not server.server.counts.held_bytes)


def test_a_message_in_many_pieces_weighs_no_more_than_its_bytes() -> None:
    stream: Any = Stream(1, None, 0, 0.0)  # type: ignore[arg-type] # none is asked for
    for _ in range(10_000):
        stream.take(b"x")
    assert isinstance(stream.body, bytearray)
    assert len(stream.body) == 10_000


def test_answers_that_wait_for_the_peers_window_are_counted_and_bounded(server: Serving) -> None:
    nothing = wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.INITIAL_WINDOW_SIZE, 0))
    body = b"\0" + wire.U32.pack(16_000) + bytes(16_000)
    echoed = b"".join(opened(1 + 2 * n) + wire.frame(wire.DATA, wire.END_STREAM, 1 + 2 * n, body) for n in range(60))
    said = said_to(server, nothing + echoed)
    given_up = [stream for kind, _, stream, code in said if (kind, code) == (wire.RST_STREAM, wire.U32.pack(11))]
    assert len(given_up) == 60 - FEW.connection_bytes // 16_005


def stream_of_messages(stream: int) -> bytes:
    return opened(stream, OPEN, *of("count")) + wire.frame(wire.DATA, wire.END_STREAM, stream, MESSAGE)


def test_a_handler_of_many_messages_waits_for_a_peer_whose_window_is_full(server: Serving) -> None:
    with server.raw() as connection:
        connection.sendall(stream_of_messages(1))
        frames_until_end(connection)
        time.sleep(0.2)
        sent = server.sent[0]
        assert sent * 1005 < wire.DEFAULT_WINDOW + UNREAD_BYTES_MAX + 3000
        connection.sendall(wire.frame(wire.WINDOW_UPDATE, 0, 0, wire.U32.pack(300_000)))
        connection.sendall(wire.frame(wire.WINDOW_UPDATE, 0, 1, wire.U32.pack(300_000)))
        wait_for(lambda: server.sent[0] >= sent + 290)


def test_a_handler_of_many_messages_waits_for_a_peer_that_does_not_read(server: Serving) -> None:
    large = wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.INITIAL_WINDOW_SIZE, wire.MAX_WINDOW))
    room = wire.frame(wire.WINDOW_UPDATE, 0, 0, wire.U32.pack(wire.MAX_WINDOW - wire.DEFAULT_WINDOW))
    with server.raw() as connection:
        connection.sendall(large + room + stream_of_messages(1))
        wait_for(lambda: any(one.paused for one in list(server.server.connections)))
        (one,) = [one for one in server.server.connections if one.paused]
        assert one.transport.get_write_buffer_size() < 2 * WRITE_BUFFER_BYTES
        sent = server.sent[0]
        time.sleep(0.2)
        assert server.sent[0] <= sent + 2
        still_answers(server)
    wait_for(lambda: one not in server.server.connections)


def test_a_stream_of_requests_has_its_window_back_as_they_are_taken(server: Serving) -> None:
    messages = [bytes([65 + number % 26]) * 100_000 for number in range(30)]  # ten times its window
    with grpc.insecure_channel(server.address) as channel:
        answers = channel.stream_stream("/test.Echo/upper")(iter(messages), timeout=LIMIT_S)
        assert [len(answer) for answer in answers] == [100_000] * 30
    assert not server.server.counts.held_bytes


def test_messages_of_nothing_weigh_something(server: Serving) -> None:
    nothing = wire.frame(wire.SETTINGS, 0, 0, wire.SETTING.pack(wire.INITIAL_WINDOW_SIZE, 0))
    empty = wire.frame(wire.DATA, 0, 1, bytes(5) * 3000)  # and the peer's window is not minded
    with server.raw() as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(nothing + opened(1, OPEN, *of("upper")) + empty * 40)
        said = frames_until_end(connection)
    assert (wire.RST_STREAM, 0, 1) in [item[:3] for item in said]
    wait_for(lambda: not server.server.counts.held_bytes)
    assert server.server.counts.refused["held"]
    still_answers(server)
