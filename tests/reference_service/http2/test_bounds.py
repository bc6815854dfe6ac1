"""What peers may use up, each resource to its bound: connections, calls, bytes held; and others go on meanwhile."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from reference_service.http2 import frames as wire
from reference_service.http2.connection import UNREAD_BYTES_MAX
from reference_service.http2.lasting import WRITE_BUFFER_BYTES
from reference_service.http2.limits import FAIR_STREAMS, ServerLimits
from reference_service.http2.stream import Stream
from tests.reference_service.http2.by_hand import (
    GRPC,
    MESSAGE,
    OPEN,
    closed_within,
    frames_until_end,
    of,
    opened,
    said_to,
    status_of,
    whole,
)
from tests.reference_service.http2.serving import LIMIT_S, Serving, Tls, call, serving
from tests.reference_service.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = ServerLimits(streams=100, message_bytes=200_000, connections=8, held_bytes=2_000_000, calls=150)


@pytest.fixture
def server() -> Iterator[Serving]:
    with serving(limits=FEW) as running:
        yield running


def still_answers(server: Serving) -> None:
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(server.address, options) as channel:
        assert call(channel, "echo")(b"others go on", timeout=LIMIT_S) == b"others go on"


def open_ones(server: Serving) -> int:
    return len(server.server.connections)


def test_a_connection_without_calls_makes_way_for_another(server: Serving) -> None:
    with contextlib.ExitStack() as held:
        connections = [held.enter_context(server.raw()) for _ in range(FEW.connections)]
        wait_for(lambda: open_ones(server) == FEW.connections)
        still_answers(server)
        assert open_ones(server) <= FEW.connections
        assert [closed_within(one, 0.05) for one in connections].count(True) == 1


def test_who_has_said_nothing_makes_way_first(server: Serving) -> None:
    with contextlib.ExitStack() as held:
        decent = held.enter_context(server.raw())
        wait_for(lambda: any(one.greeted for one in server.server.connections))
        for _ in range(3 * FEW.connections):
            held.enter_context(connected(server))
        still_answers(server)
        assert open_ones(server) <= FEW.connections
        assert frames_until_end(decent)[-1][0] != wire.GOAWAY


def connected(server: Serving) -> socket.socket:
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), LIMIT_S)


def test_connections_with_calls_stay_and_one_more_is_closed(server: Serving) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(FEW.connections):
            held.enter_context(server.raw()).sendall(opened(1))
        wait_for(lambda: sum(len(one.streams) for one in list(server.server.connections)) == FEW.connections)
        with connected(server) as late:
            assert closed_within(late)
        assert open_ones(server) == FEW.connections


def test_when_many_calls_are_open_a_connection_has_its_fair_share_and_no_more(server: Serving) -> None:
    many = b"".join(opened(1 + 2 * number) for number in range(FEW.streams))
    with contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(server.raw()).sendall(many)
        wait_for(lambda: server.server.counts.calls >= FEW.calls)
        said = said_to(server, many)
        refused = [stream for kind, _, stream, code in said if (kind, code) == (wire.RST_STREAM, wire.U32.pack(7))]
        assert len(refused) == FEW.streams - FAIR_STREAMS
        still_answers(server)
    wait_for(lambda: not server.server.counts.calls)


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


def test_a_burst_of_calls_on_one_connection_keeps_no_other_waiting_for_all_of_it(server: Serving) -> None:
    """Of one connection some frames are taken in each turn, so that another's call comes in between."""
    unoffered = b"".join(opened(1 + 2 * n, OPEN | wire.END_STREAM, *of("nothing")) for n in range(1500))
    with server.raw() as flood, server.raw() as other:
        flood.sendall(unoffered)
        other.sendall(whole(1))
        assert (wire.DATA, 0, 1, MESSAGE) in frames_until_end(other)
        assert len({stream for kind, _, stream, _ in frames_until_end(flood) if kind == wire.HEADERS}) == 1500


def test_calls_that_are_answered_pay_for_frames_that_carry_none(server: Serving) -> None:
    with server.raw() as connection:
        connection.settimeout(LIMIT_S)
        for number in range(60):
            calls = b"".join(whole(1 + 2 * (50 * number + n)) for n in range(50))
            connection.sendall(calls + wire.frame(wire.PING, 0, 0, bytes(8)) * 150)
            seen = b""
            while seen.count(wire.frame(wire.PING, wire.ACK, 0, bytes(8))) < 150:
                more = connection.recv(65_536)
                assert more, "9,000 pings, and 3,000 calls that pay for them"
                seen += more


def test_handshakes_that_do_not_end_make_way_and_leave_nothing_behind(tmp_path: Path) -> None:
    tls = Tls(tmp_path)
    known = grpc.ssl_channel_credentials(tls.authority.chain_pem)
    with serving(lambda: tls.context, FEW) as server, contextlib.ExitStack() as held:
        channel = held.enter_context(grpc.secure_channel(server.address, known))
        assert call(channel, "echo")(b"x", timeout=LIMIT_S) == b"x"
        before = len(descriptors())
        silent = [held.enter_context(connected(server)) for _ in range(5 * FEW.connections)]
        assert call(channel, "echo")(b"x", timeout=LIMIT_S) == b"x"
        for one in silent:
            one.close()
        wait_for(lambda: len(descriptors()) <= before)


def descriptors() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]


def test_who_does_not_agree_on_http2_is_hung_up_on(tmp_path: Path) -> None:
    tls = Tls(tmp_path)
    client = ssl.create_default_context(cadata=tls.authority.chain_pem.decode())
    with serving(lambda: tls.context, FEW) as server:
        host = server.address.rpartition(":")[0]
        with connected(server) as plain, client.wrap_socket(plain, server_hostname=host) as connection:
            assert closed_within(connection)  # type: ignore[arg-type] # as good as a socket


def test_without_descriptors_it_waits_and_then_goes_on(server: Serving) -> None:
    host, _, port = server.address.rpartition(":")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as held, contextlib.ExitStack() as taken:
        waiting = [held.enter_context(socket.socket()) for _ in range(2)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 2, hard))
        taken.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.callback(os.close, os.dup(0))
        for one in waiting:
            one.connect((host, int(port)))
        time.sleep(0.2)
        assert not server.server.connections
        taken.close()
        wait_for(lambda: open_ones(server) == 2)
    still_answers(server)


def test_a_deadline_ends_a_stream_of_answers_by_trailers_that_are_none_of_headers(server: Serving) -> None:
    late = [*of("count"), ("grpc-timeout", "100m")]
    with server.raw() as connection:
        connection.sendall(opened(1, OPEN, *late) + wire.frame(wire.DATA, wire.END_STREAM, 1, MESSAGE))
        time.sleep(0.3)
        said = frames_until_end(connection)
    assert said[-1][0] == wire.RST_STREAM  # its answers waited for the window, and trailers can't overtake them
    with grpc.insecure_channel(server.address) as channel:
        waiting = channel.stream_stream("/test.Echo/upper")(iter_then_wait(), timeout=0.5)
        assert next(waiting) == b"A"
        with pytest.raises(grpc.RpcError) as caught:
            next(waiting)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def iter_then_wait() -> Iterator[bytes]:
    yield b"a"
    time.sleep(1)


def test_trailers_of_a_client_end_its_message_and_those_of_a_call_that_is_over_nothing(server: Serving) -> None:
    trailers = wire.frame(wire.HEADERS, OPEN | wire.END_STREAM, 1, b"\0\1x\1y")
    said = said_to(server, opened(1) + wire.frame(wire.DATA, 0, 1, MESSAGE) + trailers)
    assert (wire.DATA, 0, 1, MESSAGE) in said
    # Refused at once by its headers, while its message and trailers were on their way.
    early = opened(1, OPEN, *GRPC, ("grpc-encoding", "snappy")) + wire.frame(wire.DATA, 0, 1, MESSAGE) + trailers
    assert (wire.DATA, 0, 3, MESSAGE) in said_to(server, early + whole(3))
